"""A task's verdicts as TRL's reward function, and as what tells correct answers apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from rl.tasks.base import Task

REMEMBERED = 1 << 16  # verdicts kept: reward and answers ask for the same ones, and rollouts repeat


class Rewards:
    """Reward functions of one task over `problems`: rows carry the problem's id in the column `problem`."""

    def __init__(self, task: Task, problems: Sequence[Any]) -> None:
        known: Mapping[str, Any] = {problem.id: problem for problem in problems}
        self._verdict = lru_cache(maxsize=REMEMBERED)(lambda name, text: task.verify(known[name], text))

    def reward(self, completions: Sequence[str], problem: Sequence[str], **_: Any) -> list[float | None]:
        """1 for a correct completion, 0 for an incorrect one, None for one that cannot be scored."""
        verdicts = (self._verdict(name, text).correct for name, text in zip(problem, completions))
        return [None if correct is None else float(correct) for correct in verdicts]

    def answers(self, completions: Sequence[str], problem: Sequence[str], **_: Any) -> list[str | None]:
        """The canonical form of each completion: correct answers are the same iff theirs are."""
        return [self._verdict(name, text).canonical for name, text in zip(problem, completions)]
