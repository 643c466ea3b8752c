"""Which theorems have certificates, and the table that `python -m theory.verify --certified` prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from flint import ctx

from theory.certified import t5, t6, t7, t8, t9, t11, t12
from theory.certified.base import BITS, Certificate

MODULES = {"T5": t5, "T6": t6, "T7": t7, "T8": t8, "T9": t9, "T11": t11, "T12": t12}


def certify(names: Iterable[str]) -> list[Certificate]:
    """Every certificate of the theorems `names`, controls last; ValueError for one that has none."""
    missing = [name for name in names if name not in MODULES]
    if missing:
        raise ValueError(f"{', '.join(missing)}: no certificates; there are some of {', '.join(MODULES)}")
    with ctx.workprec(BITS):
        found = [one for name in names for one in MODULES[name].certificates()]
        return found + [one for name in names for one in MODULES[name].controls()]


def row(found: Certificate) -> str:
    """One line of the table."""
    mark = "✓" if found.as_it_should else "✗"
    status = "proved" if found.proved else "not proved"
    claim = f"control, false: {found.claim}" if found.control else found.claim
    decided = f"{found.boxes:,} decided"
    if found.proved:
        decided += f", widest interval {found.width:.0e}" if found.width else ", exact"
    return f"{mark} {found.theorem:<4}{status:<11} {claim} [{found.where}] {decided}"


def summary(found: list[Certificate]) -> str:
    """How many are proved, and how many false claims are not."""
    facts, controls = ([one for one in found if one.control == kind] for kind in (False, True))
    return (
        f"{sum(one.proved for one in facts)} of {len(facts)} claims proved; "
        f"{sum(not one.proved for one in controls)} of {len(controls)} false claims not proved"
    )


def as_json(found: Certificate) -> dict[str, Any]:
    """The certificate for the record."""
    return dataclasses.asdict(found)
