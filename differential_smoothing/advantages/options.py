"""What the options of the baselines have in common: the checks of their values, and what the trainer asks of them."""

from __future__ import annotations

import math


class OverGroups:
    """Options of a method that always acts, looks at whole groups, and starts from GRPO's advantages with the std."""

    @property
    def std(self) -> bool:
        """Whether TRL divides the base advantages by the group's std."""
        return True

    @property
    def active(self) -> bool:
        """Whether the method can change anything."""
        return True

    @property
    def whole_groups(self) -> bool:
        """Whether a row's advantage depends on other rows of its group."""
        return True


def check_number(name: str, value: object, low: float, high: float = math.inf) -> None:
    """Raise ValueError unless `value` is a finite number in [low, high]."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):  # type: ignore[arg-type, operator]
        raise ValueError(f"{name}={value!r} must be a finite number in [{low:g}, {high:g}]")


def check_whole(name: str, value: object, low: int) -> None:
    """Raise ValueError unless `value` is a whole number >= low."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name}={value!r} must be a whole number >= {low}")


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless `value` is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be true or false")
