"""T4: the closed forms of the optimal policies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from theory import policies
from theory.checks import t4
from theory.checks.base import mutated

BASE = policies.log_base([0.3, 0.1, 0.4, 0.2])
CORRECT = np.array([True, True, False, False])


def test_every_fact_holds():
    outcomes = t4.THEOREM.check(np.random.default_rng(1), 5000)
    assert len(outcomes) == len(t4.FORMS) + 3
    assert all(outcome.holds for outcome in outcomes), [o for o in outcomes if not o.holds]


@pytest.mark.parametrize("control", t4.THEOREM.controls, ids=lambda control: control.name)
def test_each_broken_variant_is_noticed(control):
    with mutated(control):
        outcomes = t4.THEOREM.check(np.random.default_rng(1), 300)
    failed = {outcome.name for outcome in outcomes if not outcome.holds}
    assert any(name.startswith("stationary") for name in failed)
    assert "an optimizer's log-odds" in failed


def test_by_hand():
    """1/beta = log 3, gamma_p = beta/2, gamma_n = beta: weights 3 sqrt(pi0) on K, pi0^2 on I; 3 pi0 and pi0 without."""
    beta = 1 / np.log(3)
    smooth = np.array([3 * 0.3**0.5, 3 * 0.1**0.5, 0.4**2, 0.2**2])
    assert np.allclose(np.exp(policies.ds(BASE, CORRECT, beta, beta / 2, beta)), smooth / smooth.sum())
    plain = np.array([0.9, 0.3, 0.4, 0.2])
    assert np.allclose(np.exp(policies.vanilla(BASE, CORRECT, beta)), plain / plain.sum())
    bonus = np.array([3 * 0.3**0.5, 3 * 0.1**0.5, 0.4**0.5, 0.2**0.5])
    assert np.allclose(np.exp(policies.entropy_ce(BASE, CORRECT, beta, beta / 2)), bonus / bonus.sum())
    shannon = np.array([(3 * 0.3) ** 0.5, (3 * 0.1) ** 0.5, 0.4**0.5, 0.2**0.5])
    assert np.allclose(np.exp(policies.entropy_shannon(BASE, CORRECT, beta, beta)), shannon / shannon.sum())


@settings(deadline=None, max_examples=50)
@given(st.floats(0.01, 0.99), st.floats(0.2, 20), st.floats(0, 1.5), st.floats(0, 1.5))
def test_two_trajectories_against_a_line_search(c0, beta, p, n):
    """With m = 2 the policy is one number, and a bounded line search over the log-odds finds it."""
    log_p0 = policies.log_base([c0, 1 - c0])
    correct = np.array([True, False])
    reward = np.array([1 - p * beta * log_p0[0], n * beta * log_p0[1]])

    def loss(odds: float) -> float:
        log_p = -np.logaddexp(0.0, [-odds, odds])
        return -float(np.exp(log_p) @ (reward - beta * (log_p - log_p0))) / beta

    found = minimize_scalar(loss, bounds=(-30, 30), method="bounded", options={"xatol": 1e-10})
    smooth = policies.ds(log_p0, correct, beta, p * beta, n * beta)
    assert loss(float(policies.log_odds(smooth, correct))) <= found.fun + 1e-12
    assert np.exp(smooth[0]) == pytest.approx(1 / (1 + np.exp(-found.x)), abs=1e-6)


@pytest.mark.parametrize("form", t4.FORMS)
def test_corners_are_stationary(form):
    """Base masses of 1e-12 and of nearly one, beta 1e-2 and 1e2, one correct and all but one."""
    log_p0 = policies.log_normalize(np.log([1e-12, 1.0, 1e-12, 1e-6]))
    for correct in ([True, False, False, False], [False, True, True, True], [False, False, True, True]):
        for beta in (1e-2, 1e2):
            for p in (0.0, 1.0, 3.0):
                one = t4.Instances(log_p0[None], np.array([correct]), *(np.array([v]) for v in (beta, p * beta, beta)))
                log_p, reward, gamma = t4.problem(form, one)
                assert np.isfinite(log_p).all()
                assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12)
                assert t4.stationarity(log_p, one.log_p0, reward, one.beta, gamma)[0] < 1e-12


def test_special_cases_agree():
    assert np.allclose(policies.ds(BASE, CORRECT, 0.5, 0.0), policies.vanilla(BASE, CORRECT, 0.5))
    assert np.allclose(policies.entropy_ce(BASE, CORRECT, 0.5, 0.0), policies.vanilla(BASE, CORRECT, 0.5))
    assert np.allclose(policies.entropy_shannon(BASE, CORRECT, 0.5, 0.0), policies.vanilla(BASE, CORRECT, 0.5))
    # the Shannon form is the cross-entropy form with beta + gamma in the place of beta
    assert np.allclose(policies.entropy_shannon(BASE, CORRECT, 0.5, 0.3), policies.entropy_ce(BASE, CORRECT, 0.8, 0.3))


def test_gamma_p_equal_to_beta_makes_the_correct_answers_uniform():
    assert np.allclose(policies.conditional(policies.ds(BASE, CORRECT, 0.7, 0.7), CORRECT)[:2], np.log(0.5))


def test_a_penalty_without_interior_optimum_is_refused():
    with pytest.raises(ValueError, match=r"beta \+ gamma=0\.0"):
        policies.entropy_shannon(BASE, CORRECT, 0.5, -0.5)
