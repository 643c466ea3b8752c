"""Every task by name, one module for each domain. `rl.tasks.base.Task` says what a task is."""

from __future__ import annotations

import difflib

from rl.tasks import countdown, countdown_words, linear, math, maze
from rl.tasks.base import Task

TASKS: dict[str, Task] = {
    "countdown": countdown.TASK,
    "countdown-words": countdown_words.TASK,
    "linear": linear.TASK,
    "math": math.TASK,
    "maze": maze.TASK,
}


def get(name: str) -> Task:
    """The task called `name`. Raises ValueError with the nearest name."""
    if name in TASKS:
        return TASKS[name]
    near = difflib.get_close_matches(name, TASKS, n=1)
    raise ValueError(
        f"task={name!r}: no such task" + (f"; did you mean {near[0]!r}?" if near else f", only {list(TASKS)}")
    )
