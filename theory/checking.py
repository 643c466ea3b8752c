"""Running a theorem's check and its negative controls, and what comes of it: plain data, no output.

The work is cut into parts that run in any order and in any number of processes: the seed of a part comes from the
theorem, the kind of work and its number alone, so that the result does not depend on how many run at once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from theory import theorems
from theory.checks.base import Outcome, mutated

CHUNK = 100_000  # instances in one part of the work, so that a million need no more memory
CONTROL_INSTANCES = 2_000


@dataclass(frozen=True)
class Part:
    """A part of the work: chunk `number` of a theorem's check, or (control) its control `number`."""

    theorem: str
    number: int
    instances: int
    control: bool = False


@dataclass(frozen=True)
class PartResult:
    """What a part found; `failure` is the message of an exception, which never counts as a theorem that holds."""

    part: Part
    outcomes: tuple[Outcome, ...]
    seconds: float
    failure: str | None = None


@dataclass(frozen=True)
class ControlResult:
    """A negative control, and which facts noticed it. One that nothing noticed, or that crashed, is a failure."""

    name: str
    target: str
    noticed_by: tuple[str, ...]
    failure: str | None

    @property
    def noticed(self) -> bool:
        """True iff the check reported a fact that no longer held."""
        return bool(self.noticed_by) and self.failure is None


@dataclass(frozen=True)
class CheckResult:
    """A theorem's outcomes and controls; `seconds` of processor time over all parts."""

    theorem: str
    outcomes: tuple[Outcome, ...]
    controls: tuple[ControlResult, ...]
    seconds: float
    failure: str | None

    @property
    def holds(self) -> bool:
        """True iff there are outcomes, all hold, and every control was noticed."""
        return (
            self.failure is None
            and bool(self.outcomes)
            and all(outcome.holds for outcome in self.outcomes)
            and all(control.noticed for control in self.controls)
        )


def parts(names: list[str], instances: int) -> list[Part]:
    """All parts of the work, the long ones first. Raises ValueError for instances < 1 or an unknown theorem."""
    if instances < 1:
        raise ValueError(f"instances={instances}: must be at least 1")
    chunks = [
        Part(name, number, min(CHUNK, instances - number * CHUNK))
        for number in range(math.ceil(instances / CHUNK))
        for name in names
    ]
    controls = [
        Part(name, number, min(CONTROL_INSTANCES, instances), control=True)
        for name in names
        for number in range(len(theorems.get(name).controls))
    ]
    return chunks + controls


def run(part: Part, seed: int) -> PartResult:
    """Run one part; an exception becomes a failure, so that one theorem's error does not hide the others."""
    theorem = theorems.get(part.theorem)
    rng = np.random.default_rng([seed, int(theorem.id[1:]), int(part.control), part.number])
    started = time.process_time()
    try:
        if part.control:
            with mutated(theorem.controls[part.number]), np.errstate(all="ignore"):
                outcomes = theorem.check(rng, part.instances)
        else:
            outcomes = theorem.check(rng, part.instances)
    except Exception as error:  # whatever it is, it is the result of this part
        return PartResult(part, (), time.process_time() - started, f"{type(error).__name__}: {error}")
    return PartResult(part, tuple(outcomes), time.process_time() - started)


def merge(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes of several chunks, one for each fact: instances added up, error and detail of the worst chunk."""
    merged: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = merged.get(outcome.name)
        if before is None:
            merged[outcome.name] = outcome
            continue
        worse = outcome if math.isnan(outcome.error) or outcome.error > before.error else before
        merged[outcome.name] = replace(worse, instances=before.instances + outcome.instances)
    return list(merged.values())


def check_result(name: str, found: list[PartResult]) -> CheckResult:
    """What all the parts of one theorem come to."""
    checks = sorted((f for f in found if not f.part.control), key=lambda f: f.part.number)
    controls = sorted((f for f in found if f.part.control), key=lambda f: f.part.number)
    failures = [f.failure for f in checks if f.failure]
    return CheckResult(
        theorem=name,
        outcomes=tuple(merge([outcome for f in checks for outcome in f.outcomes])),
        controls=tuple(
            ControlResult(
                name=theorems.get(name).controls[f.part.number].name,
                target=theorems.get(name).controls[f.part.number].target,
                noticed_by=tuple(outcome.name for outcome in f.outcomes if not outcome.holds),
                failure=f.failure,
            )
            for f in controls
        ),
        seconds=sum(f.seconds for f in found),
        failure=failures[0] if failures else None,
    )


def as_json(found: CheckResult) -> dict[str, Any]:
    """A result beside what the register says of its theorem; an error that is not finite becomes None."""
    theorem = theorems.get(found.theorem)
    return {
        "id": theorem.id,
        "title": theorem.title,
        "statement": theorem.statement,
        "tag": theorem.tag,
        "oracle": theorem.oracle,
        "instances": theorem.instances,
        "holds": found.holds,
        "failure": found.failure,
        "seconds": round(found.seconds, 3),
        "outcomes": [
            {
                "name": outcome.name,
                "instances": int(outcome.instances),
                "error": float(outcome.error) if math.isfinite(outcome.error) else None,
                "tolerance": float(outcome.tolerance),
                "holds": outcome.holds,
                "detail": outcome.detail,
            }
            for outcome in found.outcomes
        ],
        "controls": [
            {
                "name": control.name,
                "target": control.target,
                "noticed": control.noticed,
                "noticed_by": list(control.noticed_by),
                "failure": control.failure,
            }
            for control in found.controls
        ],
        "module": theorem.module,
        "notebook": theorem.notebook,
        "test": theorem.test,
        "figure": theorem.figure,
    }
