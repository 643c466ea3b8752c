"""Competition mathematics from data sets: trained on some, evaluated on benchmarks, graded by math-verify.

Nothing is downloaded unless asked: each data set comes from a JSONL named in `files`, else from the hub at the commit
named in `revisions`. Answers cannot be listed, so there is no `solutions`, and evaluation is by sampling.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from rl.tasks import math_data
from rl.tasks._rows import Data, DataError, say_left_out
from rl.tasks.base import GradeResult, Task
from rl.tasks.math_data import INSTRUCTION, Item
from rl.tasks.math_grading import shared


@dataclass(frozen=True)
class MathConfig:
    """Which data sets are trained on, and which are benchmarks: their problems are the held-out ones."""

    train: tuple[str, ...]
    benchmarks: tuple[str, ...]
    seed: int
    """Of the choice of validation problems among those for training."""
    validation: int = 0
    files: dict[str, str] = field(default_factory=dict, hash=False)
    """Local JSONL by data set."""
    revisions: dict[str, str] = field(default_factory=dict, hash=False)
    """Commit on the hub by data set."""
    name: str = "math"

    def __post_init__(self) -> None:
        if self.name != "math":
            raise ValueError(f"name={self.name!r}: this task is called math")
        for one in (*self.train, *self.benchmarks, *self.files, *self.revisions):
            math_data.get(one)
        for twice in set(self.train) & set(self.benchmarks):
            raise ValueError(f"benchmarks={twice!r}: is trained on")
        for part in ("seed", "validation"):
            if getattr(self, part) < 0:
                raise ValueError(f"{part}={getattr(self, part)}: must not be negative")


@dataclass(frozen=True)
class Problem:
    id: str
    prompt: str
    """The question and how to answer; a chat template is put around it where a model wants one."""
    answers: tuple[str, ...]
    benchmark: str


def _problem(item: Item) -> Problem:
    return Problem(item.id, f"{item.question}\n{INSTRUCTION}", item.answers, item.benchmark)


@cache
def _items(name: str, file: str | None, revision: str | None) -> tuple[Item, ...]:
    found = math_data.load(name, Path(file) if file else None, revision)
    say_left_out(name, len(found.items), found.refused)
    return tuple(found.items)


def data(config: MathConfig) -> list[Data]:
    """The data sets that `splits` reads, those for training first."""
    return [
        Data(
            math_data.get(name).repository,
            config.files.get(name),
            config.revisions.get(name) or math_data.get(name).revision,
            f"task.revisions.{name}",
        )
        for name in (*config.train, *config.benchmarks)
    ]


def splits(config: MathConfig) -> dict[str, list[Problem]]:
    """`train` and `validation` from the training sets, `heldout`: all benchmarks, one after the other.

    A question that is also in a benchmark is not trained on. Raises DataError if a data set cannot be read.
    """

    def problems(names: tuple[str, ...]) -> list[Problem]:
        return [
            _problem(item)
            for name in names
            for item in _items(name, config.files.get(name), config.revisions.get(name))
        ]

    heldout = problems(config.benchmarks)
    seen = {canonical_problem(one) for one in heldout}
    train = [one for one in problems(config.train) if canonical_problem(one) not in seen]
    if config.validation > len(train):
        raise DataError(f"validation={config.validation}: only {len(train)} problems to train on")
    order = np.random.default_rng(config.seed).permutation(len(train))
    chosen = set(order[: config.validation].tolist())
    return {
        "train": [one for index, one in enumerate(train) if index not in chosen],
        "validation": [one for index, one in enumerate(train) if index in chosen],
        "heldout": heldout,
    }


def canonical_problem(problem: Problem) -> tuple[str]:
    """The question in lower case without blanks."""
    return ("".join(problem.prompt.split()).lower(),)


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether the boxed answer equals a gold one. Routes are not told apart: all right answers are one."""
    [grade] = shared().grade([(problem.answers, completion)])
    return GradeResult(grade.correct, problem.answers[0] if grade.correct else None, grade.reason)


TASK = Task(config=MathConfig, splits=splits, canonical_problem=canonical_problem, verify=verify, data=data)
