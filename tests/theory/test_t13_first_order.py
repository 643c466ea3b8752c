"""T13: by hand, its threshold, its controls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import firstorder, policies
from theory.checks import t13
from theory.checks.base import mutated

CHECK = t13.THEOREM.check
CORRECT = np.array([True, True, False])


def test_t13_holds() -> None:
    failed = [outcome for outcome in CHECK(np.random.default_rng(13), 2_000) if not outcome.holds]
    assert not failed


@pytest.mark.parametrize("control", t13.THEOREM.controls, ids=lambda control: control.name)
def test_t13_check_notices(control) -> None:
    with mutated(control):
        outcomes = CHECK(np.random.default_rng(13), 800)
    assert any(not outcome.holds for outcome in outcomes)


def test_by_hand() -> None:
    """pi = (¼, ¼ | ½): the term is t = log 4 on K, its mean ½ log 4; p changes by Σ pi² (1_K − ½)(t − t̄)."""
    t = np.log(4)
    by_hand = 2 * (1 / 16) * 0.5 * (t - t / 2) + (1 / 4) * (-0.5) * (0 - t / 2)
    assert firstorder.effect(policies.log_base([0.25, 0.25, 0.5]), CORRECT, 1.0) == pytest.approx(by_hand)


def test_one_mistake_alone_is_sharpened_into_success_lost_elsewhere() -> None:
    """gamma_n on a single mistake w: t = log pi_w on it alone, which pushes it down: p rises."""
    log_p = policies.log_base([0.2, 0.1, 0.7])
    assert firstorder.effect(log_p, CORRECT, 0.0, 1.0) > 0


@settings(deadline=None, max_examples=50)
@given(skew=st.floats(0.05, 4.0))
def test_skewed_correct_answers_have_a_threshold_below_one(skew: float) -> None:
    log_q = policies.log_normalize(-skew * np.log(np.arange(1, 5)))
    border = float(firstorder.threshold(log_q, np.log([0.5, 0.5])))
    assert 0 < border < 1


def test_the_drag_at_the_end_is_the_detour_of_t3() -> None:
    """At p = .999 and a skewed pi_K the term lowers success; at uniform pi_K it raises it still."""
    skewed, even = (policies.log_base([0.999 * a, 0.999 * (1 - a), 0.001]) for a in (0.9, 0.5))
    assert firstorder.effect(skewed, CORRECT, 1.0) < 0 < firstorder.effect(even, CORRECT, 1.0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="gamma_p=-1"):
        firstorder.effect(policies.log_base([0.2, 0.3, 0.5]), CORRECT, -1.0)
    with pytest.raises(ValueError, match="size=0"):
        firstorder.centered_effect(policies.log_base([0.2, 0.3, 0.5]), CORRECT, 0, 1.0)
