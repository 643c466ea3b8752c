"""T2, reinforcement bias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import flows, groups, policies, shaping
from theory.checks import brute, t2
from theory.checks.base import Control, mutated

P = np.array([0.2, 0.1, 0.05, 0.4, 0.25])
CORRECT = np.arange(5) < 3


def test_by_hand_two_rollouts() -> None:
    # A mixed pair has advantages +1 and -1: a_2 = 1 - C, b_2 = C, g_2 = 1
    C = np.array([0.1, 0.5, 0.8])
    np.testing.assert_allclose(groups.correct_factor(C, 2), 1 - C, rtol=1e-13)
    np.testing.assert_allclose(groups.incorrect_factor(C, 2), C, rtol=1e-13)
    np.testing.assert_allclose(groups.gradient_factor(C, 2), 1, rtol=1e-13)


def test_by_hand_three_rollouts() -> None:
    # std sqrt(2)/3 for k = 1 and k = 2; y and two others, of whom none or one may be correct
    C = 0.3
    std = np.sqrt(2) / 3
    wanted = ((1 - C) ** 2 * (2 / 3) + 2 * C * (1 - C) * (1 / 3)) / std
    assert groups.correct_factor(C, 3) == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize(("ddof", "eps", "std"), t2.SCALES)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_every_ordered_group(size: int, ddof: int, eps: float, std: bool) -> None:
    wanted = brute.expected_step(
        P, CORRECT, size, lambda log_p, good: brute.normalize(good.astype(float), ddof, eps, std)
    )
    np.testing.assert_allclose(groups.mean_step(P, CORRECT, size, ddof, eps, std), wanted, atol=1e-14)


@settings(deadline=None)
@given(C=st.floats(1e-6, 1 - 1e-6), size=st.integers(2, 64), scale=st.sampled_from(t2.SCALES))
def test_the_two_factors_pull_alike(C: float, size: int, scale: tuple[int, float, bool]) -> None:
    a, b = groups.correct_factor(C, size, *scale), groups.incorrect_factor(C, size, *scale)
    assert C * a == pytest.approx((1 - C) * b, rel=1e-9)


def test_a_small_integer_type_does_not_overflow() -> None:
    np.testing.assert_array_equal(groups.group_std(np.int8(100)), groups.group_std(100))


@pytest.mark.parametrize("size", [2, 5, 16])
def test_mean_step_is_the_policy_gradient_times_g(size: int) -> None:
    gradient = flows.field(np.log(P), CORRECT, shaping.vanilla())
    factor = groups.gradient_factor(P[CORRECT].sum(), size)
    np.testing.assert_allclose(groups.mean_step(P, CORRECT, size), factor * gradient, rtol=1e-12)


def test_factor_without_std_and_at_the_ends() -> None:
    for size in (2, 3, 8, 64):
        assert groups.gradient_factor(0.37, size, std=False) == pytest.approx(1 - 1 / size, rel=1e-12)
        for C in (1e-12, 1 - 1e-12):
            assert groups.gradient_factor(C, size) == pytest.approx(np.sqrt(size - 1), rel=1e-9)


def test_likelier_correct_gain_more_and_likelier_mistakes_lose_more() -> None:
    step = groups.mean_step(P, CORRECT, 8)
    assert step[0] > step[1] > step[2] > 0 > step[4] > step[3]
    a, C = groups.correct_factor(0.35, 8), P[CORRECT].sum()
    assert pytest.approx(0.35) == C
    assert step[0] - step[1] == pytest.approx(a * (0.2 - 0.1))


def test_small_steps_flatten_the_mistakes_and_a_large_one_overshoots() -> None:
    step = groups.mean_step(P, CORRECT, 8)
    limit = 1 / groups.incorrect_factor(P[CORRECT].sum(), 8)

    def log_ratio(eta: float) -> float:
        after = np.log(P) + eta * step
        return float(after[3] - after[4])

    before = np.log(0.4 / 0.25)
    assert 0 < log_ratio(limit) < log_ratio(limit / 2) < before
    assert log_ratio(30 * limit) < -before


def test_one_rollout_teaches_nothing() -> None:
    assert not groups.mean_step(P, CORRECT, 1).any()
    assert not groups.mean_step(P, CORRECT, 1, ddof=1).any()


def test_check_holds() -> None:
    for outcome in t2.check(np.random.default_rng(5), 3000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t2.THEOREM.controls, ids=lambda control: control.name)
def test_check_notices(control: Control) -> None:
    with mutated(control):
        outcomes = t2.check(np.random.default_rng(6), 1000)
    assert not all(outcome.holds for outcome in outcomes)


@pytest.mark.parametrize(
    ("keywords", "named"),
    [
        ({"C": 1.0}, "C=1.0"),
        ({"C": float("nan")}, "C=nan"),
        ({"size": 0}, "size=0"),
        ({"ddof": 2}, "ddof=2"),
        ({"eps": -1e-4}, "eps=-0.0001"),
        ({"eps": float("nan")}, "eps=nan"),
    ],
)
def test_bad_input_is_named(keywords: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        groups.gradient_factor(**{"C": 0.5, "size": 4, **keywords})


def test_base_of_the_examples_is_a_policy() -> None:
    assert policies.log_base(P).shape == P.shape
