"""What a task is: the functions that experiments call, and what grading returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Problem(Protocol):
    """A problem of any task; each task adds what its grading needs."""

    @property
    def id(self) -> str:
        """Unique among all problems of the task."""
        ...

    @property
    def prompt(self) -> str: ...


@dataclass(frozen=True)
class GradeResult:
    """Whether a completion is correct, which answer it is, and why."""

    correct: bool | None
    """None: cannot be scored."""
    canonical: str | None
    """Two correct answers are the same if and only if their canonical forms agree; None where there is no form."""
    reason: str


@dataclass(frozen=True)
class FromScratch:
    """What a base model that is made from scratch needs of its task."""

    vocabulary: Callable[[Any], list[str]]
    """config → every symbol that a prompt or a solution can hold, each once."""
    effort: Callable[[str, Mapping[str, float]], float]
    """(solution, weights) → how much the supervised stage shuns that way of writing."""
    weights: tuple[str, ...]
    """The names that `weights` of `effort` has: what must stand under `base.effort`."""
    mistake: Callable[[Any], str | None] = lambda problem: None
    """problem → a wrong answer that the base can be taught; None where there is none."""


@dataclass(frozen=True)
class Task:
    """A domain: its problems, how they are split, how an answer is graded. `rl.tasks.TASKS` names all of them."""

    config: type
    """The dataclass of the task's settings: the section `task` of an experiment."""
    splits: Callable[[Any], dict[str, list[Any]]]
    """config → problems by split: `train`, `validation`, `heldout`. No two splits hold the same problem."""
    canonical_problem: Callable[[Any], Sequence[str]]
    """problem → its canonical forms: two problems are the same if and only if they share one."""
    verify: Callable[[Any, str], GradeResult]
    """(problem, completion without special tokens) → its grade."""
    solutions: Callable[[Any], dict[str, tuple[str, ...]]] | None = None
    """problem → canonical form → all its strings, where correct answers can be enumerated."""
    examples: Callable[[Any], Sequence[str]] | None = None
    """problem → correct answers to learn from, where `solutions` does not list them; none where none are known."""
    from_scratch: FromScratch | None = None
    data: Callable[[Any], list[Any]] | None = None
    """config → the data sets that `splits` reads, where problems come from outside."""

    def answers(self, problem: Any) -> list[str]:
        """Correct answers to learn from, in a fixed order; none where none are known."""
        if self.solutions is not None:
            return [text for texts in self.solutions(problem).values() for text in texts]
        return [] if self.examples is None else list(self.examples(problem))

    @property
    def module(self) -> str:
        """The module that grades: the code behind the task."""
        return self.verify.__module__


def check_sizes(config: Any) -> None:
    """Raise ValueError unless the settings `problems`, `validation`, `heldout` and `seed` of a task are possible."""
    for name in ("validation", "heldout", "seed"):
        if getattr(config, name) < 0:
            raise ValueError(f"{name}={getattr(config, name)}: must not be negative")
    if config.problems <= config.validation + config.heldout:
        raise ValueError(
            f"problems={config.problems}: must exceed validation + heldout, or nothing is left to train on"
        )
