"""METHOD@VARIANT: a method under a second name, with options of its own, in the same experiment."""

from __future__ import annotations

MARK = "@"


def is_variant(name: str) -> bool:
    """Whether `name` is a method under a second name."""
    return MARK in name


def kind(name: str) -> str:
    """The method that `name` is, or is a variant of."""
    return name.partition(MARK)[0]
