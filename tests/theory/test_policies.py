"""The closed forms against an optimizer that knows none of them; log-space behavior at extremes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp

from theory import policies

M = 4


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float]:
    weights = np.array(draw(st.lists(st.floats(0.02, 1), min_size=M, max_size=M)))
    size = draw(st.integers(1, M - 1))
    order = draw(st.permutations(range(M)))
    return policies.log_base(weights / weights.sum()), np.isin(np.arange(M), order[:size]), draw(st.floats(0.3, 5))


def optimum(payoff, log_p0, beta, gamma=0.0):
    """The distribution of largest E[payoff] − beta KL(·‖pi0) + gamma H, by SLSQP on the simplex itself."""

    def cost(p):
        return -float(p @ payoff - beta * p @ (np.log(p) - log_p0) - gamma * p @ np.log(p))

    def slope(p):
        return -(payoff - beta * (np.log(p) - log_p0 + 1) - gamma * (np.log(p) + 1))

    found = minimize(
        cost,
        np.full(M, 1 / M),
        jac=slope,
        method="SLSQP",
        bounds=[(1e-12, 1)] * M,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 300},
    )
    return found.x


@settings(deadline=None, max_examples=40)
@given(problems(), st.floats(0, 2), st.floats(0, 2))
def test_closed_forms_are_what_an_optimizer_finds(problem, ratio_p, ratio_n):
    log_p0, correct, beta = problem
    p, n, r = ratio_p * beta, ratio_n * beta, correct.astype(float)
    smooth = np.where(correct, r - p * log_p0, r + n * log_p0)
    for found, payoff, gamma in (
        (policies.vanilla(log_p0, correct, beta), r, 0.0),
        (policies.ds(log_p0, correct, beta, p, n), smooth, 0.0),
        (policies.entropy_ce(log_p0, correct, beta, p), r - p * log_p0, 0.0),
        (policies.entropy_ce(log_p0, correct, beta, -p), r + p * log_p0, 0.0),
        (policies.entropy_shannon(log_p0, correct, beta, p), r, p),
        (policies.entropy_shannon(log_p0, correct, beta, -0.4 * beta), r, -0.4 * beta),
    ):
        assert np.allclose(np.exp(found), optimum(payoff, log_p0, beta, gamma), atol=2e-4)


@settings(deadline=None, max_examples=60)
@given(problems(), st.floats(0, 3), st.floats(0, 3))
def test_self_centered_ds_is_the_fixed_point_of_its_reward(problem, ratio_p, ratio_n):
    """From the base: center by the current policy's means, take the optimum for that reward, repeat."""
    log_p0, correct, beta = problem
    log_p = log_p0
    for _ in range(4):
        means = [policies.expected(policies.conditional(log_p, part), log_p0) for part in (correct, ~correct)]
        reward = np.where(correct, 1 - ratio_p * beta * (log_p0 - means[0]), ratio_n * beta * (log_p0 - means[1]))
        log_p = policies.log_normalize(log_p0 + reward / beta)
    found = policies.ds_centered(log_p0, correct, beta, ratio_p * beta, ratio_n * beta)
    assert np.allclose(found, log_p, atol=1e-10)


def test_ds_by_hand():
    """K = (.4, .1), I = (.5), beta = 1, gamma_p = .5, gamma_n = 1: weights e·√.4, e·√.1, .5²."""
    log_p = policies.ds(policies.log_base([0.4, 0.1, 0.5]), np.array([True, True, False]), 1.0, 0.5, 1.0)
    weights = np.array([np.e * 0.4**0.5, np.e * 0.1**0.5, 0.25])
    assert np.allclose(np.exp(log_p), weights / weights.sum())


def test_a_batch_is_its_rows():
    rng = np.random.default_rng(8)
    log_p0 = policies.log_base(rng.dirichlet(np.ones(5), (3, 2)))
    correct = np.array([True, True, False, False, True])
    beta, p, n = rng.uniform(0.1, 3, (3, 3, 2))
    for function, strengths in (
        (policies.ds, (beta, p, n)),
        (policies.ds_centered, (beta, p, n)),
        (policies.entropy_ce, (beta, p)),
        (policies.entropy_shannon, (beta, p)),
        (policies.vanilla, (beta,)),
    ):
        whole = function(log_p0, correct, *strengths)
        for i in np.ndindex(3, 2):
            assert np.allclose(whole[i], function(log_p0[i], correct, *(float(s[i]) for s in strengths)))


def test_log_odds_tell_apart_what_c_rounds_to_one():
    log_p0, correct = policies.log_base([0.5, 0.5]), np.array([True, False])
    near, nearer = (policies.vanilla(log_p0, correct, beta) for beta in (1 / 50, 1 / 100))
    assert np.exp(near[0]) == np.exp(nearer[0]) == 1
    assert policies.log_odds(near, correct) == pytest.approx(50)
    assert policies.log_odds(nearer, correct) == pytest.approx(100)


def test_tiny_masses_and_strong_gammas_stay_finite():
    log_p0 = policies.log_base([1e-12, 1 - 3e-12, 1e-12, 1e-12])
    correct = np.array([True, False, True, False])
    for function in (policies.ds, policies.ds_centered):
        assert np.isfinite(function(log_p0, correct, 1e-2, 1e2, 1e2)).all()


def test_conditionals_mend_the_whole():
    log_p0, correct = policies.log_base([0.2, 0.3, 0.5]), np.array([True, False, True])
    on, off = policies.conditional(log_p0, correct), policies.conditional(log_p0, ~correct)
    assert np.allclose(np.exp(on), [2 / 7, 0, 5 / 7])
    assert np.allclose(0.7 * np.exp(on) + 0.3 * np.exp(off), np.exp(log_p0))
    assert policies.log_mass(log_p0, correct) == pytest.approx(np.log(0.7))
    assert policies.log_odds(log_p0, correct) == pytest.approx(np.log(0.7 / 0.3))


def test_means_and_the_objective_by_hand():
    """A trajectory of zero probability counts for nothing, whatever its value."""
    log_p = np.array([np.log(0.75), np.log(0.25), -np.inf])
    for lost in (5.0, np.inf, np.nan):
        assert policies.expected(log_p, np.array([2.0, -4.0, lost])) == pytest.approx(0.5)
    log_p0 = policies.log_base([0.5, 0.25, 0.25])
    found = policies.objective(log_p, log_p0, np.array([1.0, 3.0, 7.0]), 2.0)
    assert found == pytest.approx(0.75 + 0.75 - 2 * 0.75 * np.log(1.5))


@settings(deadline=None, max_examples=60)
@given(problems(), st.lists(st.floats(-3, 3), min_size=M, max_size=M))
def test_any_other_policy_is_worth_less(problem, logits):
    log_p0, correct, beta = problem
    reward = correct.astype(float)
    best = policies.objective(policies.vanilla(log_p0, correct, beta), log_p0, reward, beta)
    other = policies.objective(policies.log_normalize(np.array(logits)), log_p0, reward, beta)
    assert other <= best + 1e-12


@pytest.mark.parametrize("shape", [(1,), (3,), (50, 8), (4, 3, 5)])
def test_log_sum_is_scipys(shape):
    rng = np.random.default_rng(0)
    logs = rng.choice([-np.inf, -745.0, -1.0, 0.0, 700.0], shape) + rng.normal(size=shape).round(1)
    np.testing.assert_array_max_ulp(policies.log_sum(logs), logsumexp(logs, axis=-1), 2)
    np.testing.assert_array_max_ulp(policies.log_sum(logs, keepdims=True), logsumexp(logs, axis=-1, keepdims=True), 2)


def test_log_sum_keeps_the_digits_of_a_sum_just_above_one():
    assert policies.log_sum(np.array([0.0, -50.0])) == pytest.approx(np.exp(-50.0), rel=1e-14)
    assert policies.log_sum(np.full(3, -np.inf)) == -np.inf


def test_only_leaves_nothing_off_the_mask():
    found = policies.only(np.array([[-1.0, -np.inf, 2.0]]), np.array([True, True, False]))
    assert found.tolist() == [[-1.0, -np.inf, -np.inf]]
