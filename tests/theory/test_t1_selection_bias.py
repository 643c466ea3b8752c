"""T1, selection bias."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import groups, sampled, shaping
from theory.checks import brute, t1
from theory.checks.base import Control, mutated

N = 4
P = np.array([0.2, 0.1, 0.05, 0.4, 0.25])
CORRECT = np.arange(5) < 3


def exact(p: Fraction, C: Fraction, size: int) -> Fraction:
    """The theorem's formula in rational arithmetic."""
    return (1 - (1 - p) ** size) - (C**size - (C - p) ** size)


@settings(deadline=None)
@given(
    a=st.integers(1, 10**12), b=st.integers(0, 10**12), c=st.integers(1, 10**12), size=st.integers(1, 32)
)  # probabilities down to 1e-12 and up to almost 1
def test_closed_form_is_the_rational_number(a: int, b: int, c: int, size: int) -> None:
    total = a + b + c
    wanted = float(exact(Fraction(a, total), Fraction(a + b, total), size))
    # C is rounded to a double before the call: near 1 that alone moves 1 - C
    found = float(groups.reinforcement_probability(a / total, (a + b) / total, size))
    assert found == pytest.approx(wanted, rel=1e-9 + 4e-16 * total / c, abs=1e-300)


def test_by_hand_two_rollouts() -> None:
    # both orders of (y, an incorrect one)
    assert groups.reinforcement_probability(0.2, 0.5, 2) == pytest.approx(2 * 0.2 * 0.5)
    assert groups.reinforcement_probability(0.2, 0.5, 1) == 0.0


def test_every_ordered_group() -> None:
    drawn = brute.sequences(len(P), N)
    mixed = CORRECT[drawn].any(1) & ~CORRECT[drawn].all(1)
    for y in range(3):
        wanted = P[drawn].prod(1) @ ((drawn == y).any(1) & mixed)
        assert groups.reinforcement_probability(P[y], P[CORRECT].sum(), N) == pytest.approx(wanted, rel=1e-12)


@settings(deadline=None)
@given(C=st.floats(0.01, 0.99), first=st.floats(0.001, 0.99), second=st.floats(0.001, 0.99), size=st.integers(2, 40))
def test_likelier_is_reinforced_more_often(C: float, first: float, second: float, size: int) -> None:
    low, high = sorted((first * C, second * C))
    if high > low * 1.001:
        gap = groups.reinforcement_probability([low, high], C, size)
        assert gap[1] > gap[0] or 1 - gap[0] / (1 - C**size) < 1e-9  # both at the ceiling


def test_ratio_falls_from_p1_over_p2_to_one() -> None:
    ratios = [float(groups.selection_ratio(0.3, 0.03, 0.5, size)) for size in range(2, 400)]
    assert ratios[0] == pytest.approx(10)
    assert np.all(np.diff(ratios) < 0)
    assert groups.selection_ratio(0.3, 0.03, 0.5, 2048) == pytest.approx(1, abs=1e-12)


def test_undrawn_correct_keep_their_logit_and_lose_share() -> None:
    counts = np.array([2, 0, 0, 1, 1])
    step = sampled.group_step(np.log(P), CORRECT, counts, shaping.vanilla())
    assert step[1] == step[2] == 0
    assert step[0] > 0
    after = P * np.exp(step)
    assert after[1] / after[CORRECT].sum() < P[1] / P[CORRECT].sum()


def test_group_without_spread_moves_nothing() -> None:
    for counts in ([2, 1, 1, 0, 0], [0, 0, 0, 4, 0]):
        assert not sampled.group_step(np.log(P), CORRECT, np.array(counts), shaping.vanilla()).any()


def test_check_holds() -> None:
    for outcome in t1.check(np.random.default_rng(5), 3000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t1.THEOREM.controls, ids=lambda control: control.name)
def test_check_notices(control: Control) -> None:
    with mutated(control):
        outcomes = t1.check(np.random.default_rng(6), 1000)
    assert not all(outcome.holds for outcome in outcomes)


@pytest.mark.parametrize(
    ("p", "C", "size", "named"),
    [
        (0.6, 0.5, 4, "p=0.6"),
        (0.0, 0.5, 4, "p=0.0"),
        (float("nan"), 0.5, 4, "p=nan"),
        (0.2, 1.0, 4, "C=1.0"),
        (0.2, 0.0, 4, "C=0.0"),
        (0.2, float("nan"), 4, "C=nan"),
        (0.2, 0.5, 0, "size=0"),
        (0.2, 0.5, 2.5, "size=2.5"),
        (0.2, 0.5, True, "size=True"),
    ],
)
def test_bad_input_is_named(p: float, C: float, size: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        groups.reinforcement_probability(p, C, size)


def test_ratio_needs_two_rollouts() -> None:
    with pytest.raises(ValueError, match="size=1"):
        groups.selection_ratio(0.2, 0.1, 0.5, 1)
