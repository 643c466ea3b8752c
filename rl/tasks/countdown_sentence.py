"""Countdown asked in one sentence, for pretrained models: "Make 35 from 3, 7, 8.", and the answer is the expression.

Problems, splits, grading and canonical forms are those of the task `countdown`. Expressions are written as people write
them, `(8 - 3) * 7`; all of them can be listed, so evaluation can be exact.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rl.tasks import countdown
from rl.tasks.base import GradeResult, Task
from rl.tasks.countdown import CountdownConfig, Problem, canonical_problem


@dataclass(frozen=True)
class CountdownSentenceConfig:
    """Which problems there are, and how they are split: each split is a random part of all of them."""

    numbers: int
    """How many numbers a problem has, 2 to 5."""
    max_number: int
    """Numbers are from 1 … max_number, with repetition."""
    max_target: int
    """Targets are from 1 … max_target; unsolvable pairs are dropped."""
    problems: int
    """Distinct problems in all; what validation and held-out leave is for training."""
    validation: int
    heldout: int
    seed: int
    name: str = "countdown-sentence"

    def __post_init__(self) -> None:
        if self.name != "countdown-sentence":
            raise ValueError(f"name={self.name!r}: this task is called countdown-sentence")
        self.countdown  # noqa: B018 (raises where a value is not possible)

    @property
    def countdown(self) -> CountdownConfig:
        """The same problems as the task `countdown` asks them."""
        return CountdownConfig(**{**dataclasses.asdict(self), "name": "countdown"}, split="shuffled")


def splits(config: CountdownSentenceConfig) -> dict[str, list[Problem]]:
    """`train`, `validation` and `heldout` of one distribution; no two hold the same problem (`canonical_problem`)."""
    return {name: [_asked(one) for one in part] for name, part in countdown.splits(config.countdown).items()}


def _asked(problem: Problem) -> Problem:
    numbers = ", ".join(map(str, problem.numbers))
    return dataclasses.replace(problem, prompt=f"Make {problem.target} from {numbers}.")


def solutions(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Every solution without idle brackets: canonical form → all its strings, both in a fixed order.

    What is not listed, though `verify` takes it: idle brackets, and other spacing.
    """
    listed = countdown.solutions(problem)
    return {form: tuple(text.replace("( ", "(").replace(" )", ")") for text in texts) for form, texts in listed.items()}


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether `completion` (special tokens removed) is an expression that makes the target, and nothing else."""
    return countdown.verify(problem, completion)


TASK = Task(
    config=CountdownSentenceConfig,
    splits=splits,
    canonical_problem=canonical_problem,
    verify=verify,
    solutions=solutions,
)
