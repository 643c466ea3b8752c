"""What a task says of a completion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """Whether a completion is right, which answer it is, and why."""

    correct: bool | None
    """None: unscorable."""
    canonical: str | None
    """Correct answers are the same iff their canonical forms are; None where there is no form."""
    reason: str
