"""The register: every theorem with its statement, its check, its negative controls, and where else it is found."""

from __future__ import annotations

from theory.checks import t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13
from theory.checks.base import Theorem

REGISTER: dict[str, Theorem] = {
    module.THEOREM.id: module.THEOREM for module in (t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13)
}


def get(name: str) -> Theorem:
    """The theorem `name`, in either case; ValueError if there is none."""
    found = REGISTER.get(name.upper())
    if found is None:
        raise ValueError(f"theorem={name!r}: there are {', '.join(REGISTER)}")
    return found
