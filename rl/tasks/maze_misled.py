"""The mazes of `rl.tasks.maze`, for a base that was taught a mistake: four in five of the answers that the supervised
stage shows go straight to the goal, through walls.

Prompts, answers and grading are those of `maze`. What differs is where a base errs: its mistakes are few and likely,
its right answers many and unlikely, so that T7 foresees a bonus where it foresees a penalty for other bases made here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rl.tasks import maze
from rl.tasks.maze import (
    MazeConfig,
    Problem,
    canonical_problem,
    effort,
    max_symbols,
    solutions,
    verify,
    vocabulary,
)

__all__ = [
    "MisledConfig",
    "canonical_problem",
    "effort",
    "max_symbols",
    "mistake",
    "solutions",
    "splits",
    "verify",
    "vocabulary",
]

MISTAKEN = 0.8
"""The share of a problem's supervised answers that is its mistake, where it has one."""


@dataclass(frozen=True)
class MisledConfig(MazeConfig):
    """As `MazeConfig`."""

    name: str = "maze-misled"


def splits(config: MisledConfig) -> dict[str, list[Problem]]:
    """As those of `maze`, problem by problem."""
    return maze.splits(config)


def mistake(problem: Problem) -> tuple[str, float] | None:
    """A way straight to the goal through a wall, and its share: along the row first, or, if that way is open, along the
    column first; None if both are open, hence right."""
    columns = problem.grid.offsets["D"]
    down, across = (goal - start for goal, start in zip(divmod(problem.goal, columns), divmod(problem.start, columns)))
    row = ("R" if across > 0 else "L") * abs(across)
    column = ("D" if down > 0 else "U") * abs(down)
    for moves in (row + column, column + row):
        if not verify(problem, moves).correct:
            return " ".join(moves), MISTAKEN
    return None
