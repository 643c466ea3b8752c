"""One module per domain, each with `splits` and `verify`.

Besides, where answers can be listed: `solutions`; where a base model can be made from scratch: `vocabulary`,
`max_symbols`, `effort` and, if it is to be taught a mistake, `mistake`; where problems come from outside: `data`.
"""

from __future__ import annotations

import difflib
from types import ModuleType

from rl.tasks import countdown, countdown_words, linear, math, maze, maze_misled

TASKS: dict[str, ModuleType] = {
    "countdown": countdown,
    "countdown-words": countdown_words,
    "linear": linear,
    "math": math,
    "maze": maze,
    "maze-misled": maze_misled,
}


def get(name: str) -> ModuleType:
    """The task module called `name`. Raises ValueError with the nearest name."""
    if name in TASKS:
        return TASKS[name]
    near = difflib.get_close_matches(name, TASKS, n=1)
    raise ValueError(
        f"task={name!r}: no such task" + (f"; did you mean {near[0]!r}?" if near else f", only {list(TASKS)}")
    )
