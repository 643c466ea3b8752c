"""T6 by its number: the check holds and notices mutations; every counterexample of the statement by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theory import dominance, measures, policies
from theory.checks import t6
from theory.checks.base import mutated

BASES = arrays(float, 5, elements=st.floats(-6, 0)).map(policies.log_normalize)
# K = (.2, .05), I = (.35, .4), beta = gamma = 10: the place where the literal form fails
BY_HAND = policies.log_base([0.2, 0.05, 0.35, 0.4])
CORRECT = np.array([True, True, False, False])


def test_t6_holds() -> None:
    for outcome in t6.THEOREM.check(np.random.default_rng(0), 10_000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t6.THEOREM.controls, ids=lambda control: control.name)
def test_t6_notices(control) -> None:
    with mutated(control):
        outcomes = t6.THEOREM.check(np.random.default_rng(0), 2000)
    assert not all(outcome.holds for outcome in outcomes)


def test_t6_literal_form_fails_by_hand() -> None:
    """C_ent = .525, KL = .291; equal diversity forces gamma_p = beta, hence C > .727 and KL > .663."""
    bonus = policies.entropy_ce(BY_HAND, CORRECT, 10.0, 10.0)
    assert measures.correctness(bonus, CORRECT) == pytest.approx(0.525, abs=5e-4)
    assert measures.kl(bonus, BY_HAND) == pytest.approx(0.291, abs=5e-4)
    assert measures.gini_simpson(policies.conditional(bonus, CORRECT)) == pytest.approx(0.5)

    for beta in np.geomspace(1e-2, 1e8, 200):  # equally diverse means uniform on K: gamma_p = beta
        literal = policies.ds(BY_HAND, CORRECT, beta, beta)
        assert measures.correctness(literal, CORRECT) > 0.727
        assert measures.kl(literal, BY_HAND) > 0.663

    where = dominance.boundary(BY_HAND, CORRECT, bonus, 0.0)
    assert not where.meets
    assert np.exp(-np.logaddexp(0, -where.log_odds_floor)) == pytest.approx(0.7273, abs=1e-4)
    assert where.kl_floor == pytest.approx(0.663, abs=1e-3)


def test_t6_mended_form_holds_there() -> None:
    """Self-centered DS with beta' from `centered_witness`: the same C and diversity, a smaller KL."""
    bonus = policies.entropy_ce(BY_HAND, CORRECT, 10.0, 10.0)
    inverse = float(dominance.centered_witness(BY_HAND, CORRECT, bonus, 0.0))
    assert inverse > 0
    ours = policies.ds_centered(BY_HAND, CORRECT, 1 / inverse, 1 / inverse)
    assert policies.log_odds(ours, CORRECT) == pytest.approx(float(policies.log_odds(bonus, CORRECT)))
    assert measures.gini_simpson(policies.conditional(ours, CORRECT)) == pytest.approx(0.5)
    assert measures.kl(ours, BY_HAND) < measures.kl(bonus, BY_HAND)


def test_t6_centering_by_the_base_mean_is_not_enough() -> None:
    """There its least odds still exceed those of the bonus: neither C nor KL can be matched."""
    bonus = policies.entropy_ce(BY_HAND, CORRECT, 10.0, 10.0)
    least = dominance.base_centered_log_odds(BY_HAND, CORRECT, 0.0)
    assert least > dominance.centered_log_odds(BY_HAND, CORRECT, 0.0)
    rng, fails = np.random.default_rng(0), 0
    for _ in range(2000):
        log_p0 = policies.log_normalize(rng.normal(0, 2, 5))
        correct = np.arange(5) < 3
        beta, s = 10 ** rng.uniform(-1, 2), rng.uniform(0, 1)
        bonus = policies.entropy_ce(log_p0, correct, beta, (1 - s) * beta)
        floor = dominance.base_centered_log_odds(log_p0, correct, s)
        at = dominance.compose(floor, dominance.tilt(log_p0, correct, s), policies.conditional(log_p0, ~correct))
        fails += policies.log_odds(bonus, correct) < floor and measures.kl(at, log_p0) > measures.kl(bonus, log_p0)
    assert fails > 0


def test_t6_chi_squared_counterexample_and_repair() -> None:
    """K = (.05, .70), I = (.25), s = .5, beta = 10: chi-squared .2318 against at least .2391 for self-centered DS."""
    log_p0, correct = policies.log_base([0.05, 0.70, 0.25]), np.array([True, True, False])
    bonus = policies.entropy_ce(log_p0, correct, 10.0, 5.0)
    assert measures.chi_squared(bonus, log_p0) == pytest.approx(0.2318, abs=5e-5)
    odds = policies.log_odds(bonus, correct)
    least = min(
        float(measures.chi_squared(dominance.centered_policy(log_p0, correct, reward, 0.5), log_p0))
        for reward in np.linspace(0, 2, 2001)
        if policies.log_odds(dominance.centered_policy(log_p0, correct, reward, 0.5), correct) >= odds
    )
    assert least == pytest.approx(0.2391, abs=5e-5)
    repaired = dominance.renyi_centered_policy(log_p0, correct, bonus, 0.5, 2.0)
    assert measures.chi_squared(repaired, log_p0) <= measures.chi_squared(bonus, log_p0)
    assert policies.log_odds(repaired, correct) >= odds - 1e-12


def test_t6_the_least_odds_of_centering_by_the_base_mean_by_hand() -> None:
    """s = ½: K's logits become the geometric mean of pi0 and e^{mean of log pi0 under pi0_K}."""
    middle = 0.8 * np.log(0.2) + 0.2 * np.log(0.05)
    wanted = np.log((np.sqrt(0.2) + np.sqrt(0.05)) * np.exp(middle / 2) / 0.75)
    assert dominance.base_centered_log_odds(BY_HAND, CORRECT, 0.5) == pytest.approx(wanted, rel=1e-12)


def test_t6_all_slack_is_spent_however_much_there_is() -> None:
    """pi_I on one of six: log 6 nats to spend, which lift log-odds by more than one and leave KL as it was."""
    log_p0 = policies.log_base([0.05, 0.05, *[0.15] * 6])
    correct = np.arange(8) < 2
    policy = policies.log_normalize(np.where(np.arange(8) < 3, np.log([0.05, 0.05, 0.9, *[1e-9] * 5]), -20.0))
    odds = dominance.spend_slack(policy, log_p0, correct)
    assert odds > policies.log_odds(policy, correct) + 3
    C = 1 / (1 + np.exp(-odds))
    spent = C * np.log(C / 0.1) + (1 - C) * np.log((1 - C) / 0.9)  # pi_K is the base's
    assert spent == pytest.approx(float(measures.kl(policy, log_p0)), rel=1e-9)


@settings(deadline=None)
@given(BASES, st.integers(1, 4), st.floats(0.05, 50), st.floats(0.01, 3))
def test_t6_companion_is_never_farther(log_p0, size, beta, ratio) -> None:
    correct = np.arange(5) < size
    bonus = policies.entropy_ce(log_p0, correct, beta, ratio * beta)
    star = dominance.companion(bonus, log_p0, correct)
    assert np.exp(star).sum() == pytest.approx(1)
    for divergence in t6.DIVERGENCES.values():
        assert divergence(star, log_p0) <= divergence(bonus, log_p0) + 1e-9


@settings(deadline=None)
@given(BASES, st.floats(0.05, 50), st.floats(0.01, 0.99))
def test_t6_the_direct_regime_is_exact(log_p0, beta, ratio) -> None:
    """pi* is a literal DS policy with gamma_n = 0 iff e^{1/beta} > Z_s(I)/pi0(I), summed here by hand."""
    correct = np.arange(5) < 2
    assume(abs(log_p0[0] - log_p0[1]) > 1e-3)
    s = 1 - ratio
    p0 = np.exp(log_p0)
    exists = np.exp(1 / beta) - (p0[2:] ** s).sum() / p0[2:].sum()
    assume(abs(exists) > 1e-6)
    assert (dominance.direct_log_reward(log_p0, correct, beta, s) > 0) == (exists > 0)


def test_t6_shannon_form_fits_with_beta_plus_gamma() -> None:
    """The Shannon bonus is the cross-entropy form at beta' = beta + gamma, so all of T6 speaks of it too."""
    shannon = policies.entropy_shannon(BY_HAND, CORRECT, 2.0, 3.0)
    assert shannon == pytest.approx(policies.entropy_ce(BY_HAND, CORRECT, 5.0, 3.0))


def test_t6_uniform_on_the_correct_set() -> None:
    """pi0_K uniform: every tilt is the same, and pi* is literal DS iff C_ent > C0."""
    log_p0 = policies.log_base([0.1, 0.1, 0.3, 0.5])
    bonus = policies.entropy_ce(log_p0, CORRECT, 1.0, 0.5)
    where = dominance.boundary(log_p0, CORRECT, bonus, 0.5)
    assert where.s_plus == 1.0
    assert where.log_odds_floor == pytest.approx(float(policies.log_odds(log_p0, CORRECT)))
    assert where.meets


def test_t6_negative_tilt_uses_the_equally_diverse_positive_one() -> None:
    """Two correct answers: q_s and q_{−s} mirror each other, so s₊ = −s."""
    assert dominance.largest_tilt(BY_HAND, CORRECT, -0.4) == pytest.approx(0.4, abs=1e-9)
    assert dominance.largest_tilt(BY_HAND, CORRECT, 0.4) == 0.4
    assert dominance.largest_tilt(BY_HAND, CORRECT, -1.5) == pytest.approx(1.0)


def test_t6_penalty_by_hand() -> None:
    """beta = 10, gamma = −10 (s = 2): C falls below the base's; the base itself is better in all three."""
    penalty = policies.entropy_ce(BY_HAND, CORRECT, 10.0, -10.0)
    assert measures.correctness(penalty, CORRECT) < 0.25
    assert dominance.penalty_dominator(BY_HAND, CORRECT, penalty) == pytest.approx(BY_HAND)
