"""From estimates to verdicts, by fixed rules. Pure functions: no file, no text, no exception for any claim."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

SEEDS_FOR_A_VERDICT = 5
"""A verdict from fewer seeds is preliminary: it shows a direction and decides nothing."""


class Status(StrEnum):
    """What the data say about one difference."""

    HIGHER = "higher"
    LOWER = "lower"
    EQUAL = "equal"
    UNDECIDED = "undecided"


class Verdict(StrEnum):
    """What the data say about one claim."""

    REPRODUCED = "reproduced"
    IN_PART = "in part"
    MIXED = "mixed"
    EQUAL = "equal"
    UNDECIDED = "undecided"
    CONTRADICTED = "contradicted"
    NOT_RUN = "not run"


OPPOSITE = {Status.HIGHER: Status.LOWER, Status.LOWER: Status.HIGHER}


def status(low: float, high: float, margin: float | None = None) -> Status:
    """Higher or lower: the 95% interval excludes 0. Equal: it lies within ±margin. Undecided: neither (NaN too)."""
    if low > 0:
        return Status.HIGHER
    if high < 0:
        return Status.LOWER
    if margin is not None and -margin <= low <= high <= margin:
        return Status.EQUAL
    return Status.UNDECIDED


def tested_status(mean: float, p: float, p_equal: float, level: float) -> Status:
    """The same from p-values: of no difference (adjusted), and of a difference beyond the margin (TOST). NaN decides
    nothing."""
    if p < level:
        return Status.HIGHER if mean > 0 else Status.LOWER
    return Status.EQUAL if p_equal < level else Status.UNDECIDED


def of_differences(found: Sequence[Status], expected: Sequence[Status], universal: bool = False) -> Verdict:
    """The verdict on a claim that each difference has its expected direction.

    Reproduced: all have it. In part: some have it, none the opposite one. Mixed: some have it, some the opposite one.
    Contradicted: some have the opposite one and none has it; for a universal claim one counterexample is enough.
    Equal: all lie within the margin. Undecided: all else.
    """
    good = sum(one == wanted for one, wanted in zip(found, expected, strict=True))
    bad = sum(one == OPPOSITE[wanted] for one, wanted in zip(found, expected, strict=True))
    if good == len(found):
        return Verdict.REPRODUCED
    if bad:
        return Verdict.CONTRADICTED if universal or not good else Verdict.MIXED
    if good:
        return Verdict.IN_PART
    return Verdict.EQUAL if all(one == Status.EQUAL for one in found) else Verdict.UNDECIDED


def of_ratio(low: float, high: float, claimed: float) -> Verdict:
    """The verdict on a claim that a ratio is at least `claimed` > 1, from its 95% interval.

    Reproduced: above it. In part: below it, but above 1. Contradicted: below 1. Undecided: the interval includes one of
    the two.
    """
    if low > claimed:
        return Verdict.REPRODUCED
    if not high < claimed:
        return Verdict.UNDECIDED
    if low > 1:
        return Verdict.IN_PART
    return Verdict.CONTRADICTED if high < 1 else Verdict.UNDECIDED


def of_theorems(hold: int, theorems: int, counterexamples: int) -> Verdict:
    """The verdict on the theory: reproduced if all theorems hold and the paper's own form has no counterexample."""
    return Verdict.REPRODUCED if hold == theorems and not counterexamples else Verdict.IN_PART
