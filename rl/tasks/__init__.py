"""Every task by name, one module for each domain. `rl.tasks.base.Task` says what a task is."""

from __future__ import annotations

from repro.names import nearest
from rl.tasks import countdown, countdown_sentence, countdown_words, linear, math, maze, reasoning_gym
from rl.tasks.base import Task

TASKS: dict[str, Task] = {
    "countdown": countdown.TASK,
    "countdown-sentence": countdown_sentence.TASK,
    "countdown-words": countdown_words.TASK,
    "linear": linear.TASK,
    "math": math.TASK,
    "maze": maze.TASK,
    "reasoning-gym": reasoning_gym.TASK,
}


def get(name: str) -> Task:
    """The task called `name`. Raises ValueError with the nearest name."""
    if name in TASKS:
        return TASKS[name]
    raise ValueError(f"task={name!r}: no such task{nearest(name, TASKS)}")
