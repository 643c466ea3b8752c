"""T7: when an entropy bonus or penalty raises correctness, and where DS does anyway."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import heuristics, policies
from theory.checks import t7
from theory.checks.base import mutated

CHECK = t7.THEOREM.check
EXAMPLE = policies.log_base([0.3, 0.2, 0.01, 0.48, 0.01])
OF_EXAMPLE = np.array([True, True, False, False, False])


def correctness(pi0: list[float], correct: np.ndarray, s: float, beta: float) -> float:
    """C(pi_s) from powers of probabilities."""
    weights = np.array(pi0) ** s * np.exp(correct / beta)
    return float(weights[correct].sum() / weights.sum())


def test_t7_holds():
    failed = [outcome for outcome in CHECK(np.random.default_rng(7), 20_000) if not outcome.holds]
    assert not failed


@pytest.mark.parametrize("control", t7.THEOREM.controls, ids=lambda control: control.name)
def test_t7_check_notices(control):
    with mutated(control):
        outcomes = CHECK(np.random.default_rng(7), 2_000)
    assert any(not outcome.holds for outcome in outcomes)


def test_t7_example_by_hand():
    """K = (.3, .2), I = (.01, .48, .01): a small bonus raises C, the full one (s = 0) lowers it."""
    pi0 = [0.3, 0.2, 0.01, 0.48, 0.01]
    at = {s: correctness(pi0, OF_EXAMPLE, s, beta=2.0) for s in (1.0, 0.9, 0.0)}
    assert at[0.9] > at[1.0] > at[0.0]
    # by hand: E_{pi0|K} log pi0 = .6 log .3 + .4 log .2, E_{pi0|I} log pi0 = .96 log .48 + .04 log .01
    slope = 0.6 * np.log(0.3) + 0.4 * np.log(0.2) - 0.96 * np.log(0.48) - 0.04 * np.log(0.01)
    assert slope < 0
    assert heuristics.log_odds_slope(EXAMPLE, OF_EXAMPLE, 1.0) == pytest.approx(slope, abs=1e-12)
    # by hand: at s = 0 the odds are 2/3 instead of 1
    assert heuristics.gain(EXAMPLE, OF_EXAMPLE, 0.0) == pytest.approx(np.log(2 / 3), abs=1e-12)
    assert not heuristics.flips(EXAMPLE, OF_EXAMPLE, 0.9)
    assert heuristics.flips(EXAMPLE, OF_EXAMPLE, 0.0)


def test_t7_a_penalty_can_flip_too():
    """The example turned around: a penalty promises by its slope what a stronger one takes away."""
    promised = -heuristics.log_odds_slope(EXAMPLE, ~OF_EXAMPLE, 1.0)  # gain of a small bonus if I were correct
    assert promised < 0
    rng = np.random.default_rng(0)
    log_p0 = np.log(rng.dirichlet(np.ones(5), 2000))
    correct = np.argsort(rng.random((2000, 5)), axis=1) < 2
    assert 0 < heuristics.flip_share(log_p0, correct, np.array([3.0]))[0] < 0.5


def test_t7_flips_get_commoner_with_the_step():
    rng = np.random.default_rng(3)
    log_p0 = np.log(rng.dirichlet(np.ones(5), 20_000))
    correct = np.argsort(rng.random((20_000, 5)), axis=1) < rng.integers(1, 5, (20_000, 1))
    share = heuristics.flip_share(log_p0, correct, np.array([0.9, 0.5, 0.0]))
    assert 0 < share[0] < share[1] < share[2]
    assert share[2] == pytest.approx(0.094, abs=0.01)  # the rate that the figure quotes, with this distribution


@pytest.mark.parametrize(("M", "helps"), [(1, "penalty"), (7, "penalty"), (8, "neither"), (9, "bonus"), (40, "bonus")])
def test_t7_multiplicity_decides(M, helps):
    """L = 32, C0 = 1/5: M* = 8."""
    assert heuristics.multiplicity_threshold(0.2, 32) == pytest.approx(8)
    log_p0, correct = heuristics.even_base(M, 32, 0.2)
    vanilla = policies.log_odds(policies.vanilla(log_p0, correct, 1.0), correct)
    for gamma in (0.05, 0.5, 1.0, 2.0):
        bonus, penalty = (
            policies.log_odds(policies.entropy_ce(log_p0, correct, 1.0, sign * gamma), correct) - vanilla
            for sign in (1, -1)
        )
        expected = {"bonus": (1, -1), "penalty": (-1, 1), "neither": (0, 0)}[helps]
        assert tuple(np.sign(np.round([bonus, penalty], 12))) == expected
        smoothed = policies.log_odds(policies.ds(log_p0, correct, 1.0, gamma), correct)
        assert smoothed > vanilla + 1e-6  # DS gains on both sides, and at the threshold


def test_t7_shannon_threshold_is_higher():
    """Between M* = 8 and e M* = 21.7 the two forms of the entropy bonus disagree."""
    assert heuristics.shannon_threshold(0.2, 32, 1.0) == pytest.approx(8 * np.e)
    log_p0, correct = heuristics.even_base(15, 32, 0.2)
    vanilla = policies.log_odds(policies.vanilla(log_p0, correct, 1.0), correct)
    assert policies.log_odds(policies.entropy_ce(log_p0, correct, 1.0, 0.5), correct) > vanilla
    assert policies.log_odds(policies.entropy_shannon(log_p0, correct, 1.0, 0.5), correct) < vanilla
    assert heuristics.shannon_slope(log_p0, correct, 1.0, 0.0) < 0


@settings(deadline=None)
@given(st.lists(st.floats(-20, 0), min_size=4, max_size=6), st.integers(1, 3), st.floats(0.05, 20), st.floats(0, 2))
def test_t7_slope_is_the_derivative(logits, K, beta, s):
    log_p0 = policies.log_normalize(np.array(logits))
    correct = np.arange(len(logits)) < K
    h = 1e-5
    up, down = (
        policies.log_odds(policies.entropy_ce(log_p0, correct, beta, beta * (1 - x)), correct) for x in (s + h, s - h)
    )
    found = heuristics.log_odds_slope(log_p0, correct, s)
    assert found == pytest.approx((up - down) / (2 * h), abs=1e-4 * max(1, 1 / beta))


def test_t7_correctness_slope_does_not_round():
    """C = 1 − 1e-40 is 1 in floating point; its slope is not zero."""
    log_p0 = policies.log_base([0.3, 0.2, 0.5])
    slope = heuristics.correctness_slope(log_p0, np.array([True, True, False]), 0.01, 1.0)
    assert -1e-40 < slope < 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: heuristics.multiplicity_threshold(1.0, 3), "C0=1.0"),
        (lambda: heuristics.multiplicity_threshold(float("nan"), 3), "C0=nan"),
        (lambda: heuristics.multiplicity_threshold(0.5, 0), "L=0"),
        (lambda: heuristics.shannon_threshold(0.5, 3, 0.0), "beta=0"),
        (lambda: heuristics.log_odds_slope(EXAMPLE, OF_EXAMPLE, float("nan")), "s=nan"),
        (lambda: heuristics.gain(EXAMPLE, np.ones(5, bool), 0.5), "correct="),
        (lambda: heuristics.even_base(0, 3, 0.5), "M=0"),
        (lambda: heuristics.even_base(3, 0, 0.5), "L=0"),
    ],
)
def test_t7_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_t7_one_of_each_is_an_even_base():
    log_p0, correct = heuristics.even_base(1, 1, 0.3)
    assert np.exp(log_p0) == pytest.approx([0.3, 0.7])
    assert correct.tolist() == [True, False]


def test_t7_gain_beyond_the_full_bonus_by_hand():
    """s = −1 turns pi0 = (.4, .1 | .3, .2) into weights 2.5, 10 | 10/3, 5; vanilla's odds before e^{1/beta} are 1."""
    log_p0, correct = policies.log_base([0.4, 0.1, 0.3, 0.2]), np.array([True, True, False, False])
    assert heuristics.gain(log_p0, correct, -1.0) == pytest.approx(np.log(12.5 / (25 / 3)))
