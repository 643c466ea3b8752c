"""What a theorem's entry in the register holds, and how a mutation of the code under test is put in place."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One checked fact: over how many instances, the largest error, and what was allowed. A NaN error never holds."""

    name: str
    instances: int
    error: float
    tolerance: float
    detail: str = ""

    @property
    def holds(self) -> bool:
        """True iff error ≤ tolerance."""
        return bool(self.error <= self.tolerance)


@dataclass(frozen=True)
class Control:
    """A negative control: `mutate` wraps the real function `target` ("module:name"); the check must then fail."""

    name: str
    target: str
    mutate: Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Theorem:
    """A theorem in the register.

    tag: `paper`, `derived` or `new`, part by part. oracle: what the check compares with. instances: their distribution.
    check: (generator, number of instances) → outcomes. module, notebook, test, figure: where it is found.
    """

    id: str
    title: str
    statement: str
    tag: str
    oracle: str
    instances: str
    check: Callable[[np.random.Generator, int], list[Outcome]]
    controls: tuple[Control, ...]
    module: str
    notebook: str
    test: str
    figure: str | None


@contextmanager
def mutated(control: Control) -> Iterator[None]:
    """Put the control's mutation in the place of its target, for as long as the context lasts."""
    module_name, name = control.target.split(":")
    module = importlib.import_module(module_name)
    original = getattr(module, name)
    setattr(module, name, control.mutate(original))
    try:
        yield
    finally:
        setattr(module, name, original)
