"""A verdict follows from intervals by the written rule, and from nothing else."""

from __future__ import annotations

import pytest

from rl.analysis.verdicts import Status, Verdict, of_differences, of_ratio, of_theorems, status

NAN = float("nan")


def judged(intervals: list[tuple[float, float]], signs: list[int], margin: float | None, universal: bool) -> Verdict:
    found = [status(low, high, margin) for low, high in intervals]
    return of_differences(found, [Status.HIGHER if sign > 0 else Status.LOWER for sign in signs], universal)


@pytest.mark.parametrize(
    ("intervals", "signs", "verdict"),
    [
        ([(0.1, 0.2), (0.1, 0.2)], [1, 1], "reproduced"),
        ([(0.1, 0.2), (-0.2, -0.1)], [1, -1], "reproduced"),
        ([(0.1, 0.2), (-0.1, 0.1)], [1, 1], "in part"),
        ([(0.1, 0.2), (-0.2, -0.1)], [1, 1], "mixed"),
        ([(-0.1, 0.1), (-0.2, -0.1)], [1, 1], "contradicted"),
        ([(-0.1, 0.1), (-0.2, 0.1)], [1, 1], "undecided"),
        ([(-0.01, 0.004), (-0.02, 0.001)], [1, 1], "undecided"),
        ([(-0.01, 0.004), (0.0, 0.01)], [1, 1], "equal"),
        ([(-0.01, 0.004), (0.001, 0.004)], [1, 1], "in part"),
        ([(-0.004, -0.001)], [1], "contradicted"),
        ([(NAN, NAN)], [1], "undecided"),
    ],
)
def test_verdict_follows_from_intervals(intervals: list[tuple[float, float]], signs: list[int], verdict: str) -> None:
    assert judged(intervals, signs, 0.01, universal=False) == verdict


def test_one_counterexample_contradicts_a_claim_about_all() -> None:
    above, below, unclear = (0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1)
    assert judged([above, below, unclear], [1, 1, 1], 0.01, universal=True) == Verdict.CONTRADICTED
    assert judged([above, unclear], [1, 1], 0.01, universal=True) == Verdict.IN_PART


def test_without_a_margin_nothing_is_equal() -> None:
    assert status(-1e-9, 1e-9) == Status.UNDECIDED
    assert status(-1e-9, 1e-9, 0.01) == Status.EQUAL


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (4.1, 5, "reproduced"),
        (1.9, 2.3, "in part"),
        (0.2, 0.9, "contradicted"),
        (0.9, 2.0, "undecided"),
        (3.9, 4.1, "undecided"),
        (NAN, NAN, "undecided"),
    ],
)
def test_a_ratio_is_held_against_what_is_claimed_and_against_one(low: float, high: float, verdict: str) -> None:
    assert of_ratio(low, high, claimed=4) == verdict


def test_theory_stands_if_all_holds_and_nothing_refutes_the_papers_own_form() -> None:
    assert of_theorems(13, 13, 0) == Verdict.REPRODUCED
    assert of_theorems(13, 13, 1) == of_theorems(12, 13, 0) == Verdict.IN_PART
