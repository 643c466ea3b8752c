"""Mazes: a way from start to goal, with as many right answers as passages are opened beyond a tree.

A maze is a grid of cells joined by passages: a uniform random spanning tree and `loops` further passages. With none of
these every two cells are joined by exactly one path, with more by many: the number of solutions is a setting.

A completion is a series of moves U, D, L, R; blanks do not matter. It is right if every move goes through an open
passage, no cell is entered twice, there are at most `limit` moves and the last one ends on the goal. No cell twice,
because otherwise steps to and fro would make many answers out of one, even in a maze without loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import Literal

import numpy as np

from rl.tasks._classes import deal
from rl.tasks._maze_grid import MOVES, Grid, draw, images
from rl.tasks.base import Verdict

MAX_LENGTH = 4096
_BLANKS = str.maketrans("", "", " \t\r\n")
_FRUITLESS = 1000
_DEAL = 0xDEA1  # a random stream of its own, apart from the one that draws
_START, _GOAL = 16, 32
_MOVE, _TURN = 0.25, 0.5
_FIRST = {"R": 0.0, "D": 0.1, "L": 0.2, "U": 0.3}


@dataclass(frozen=True)
class MazeConfig:
    """Which mazes there are, and how they are split."""

    rows: int
    columns: int
    loops: int
    """Passages opened beyond those of the tree; (rows − 1)(columns − 1) leave no wall."""
    min_path: int
    """The shortest path from start to goal has at least so many moves."""
    limit: int
    """A solution has at most so many moves."""
    max_solutions: int
    """A problem with more solutions is drawn anew: they are all listed."""
    problems: int
    """Distinct problems that are drawn; what validation and held-out leave is for training."""
    validation: int
    heldout: int
    seed: int
    name: str = "maze"
    split: Literal["classes", "drawn"] = "classes"
    """`classes`: no two splits hold the same grid, not even turned or mirrored. `drawn`: the first that were drawn are
    validation and held-out, and only the very same grid, start and goal are kept apart."""

    def __post_init__(self) -> None:
        if self.name != type(self).name:
            raise ValueError(f"name={self.name!r}: this task is called {type(self).name}")
        if self.split not in ("classes", "drawn"):
            raise ValueError(f"split={self.split!r}: classes or drawn")
        for field in ("rows", "columns"):
            if not 2 <= getattr(self, field) <= 12:
                raise ValueError(f"{field}={getattr(self, field)}: between 2 and 12")
        walls = (self.rows - 1) * (self.columns - 1)
        if not 0 <= self.loops <= walls:
            raise ValueError(f"loops={self.loops}: between 0 and {walls}, the walls that a tree leaves")
        if self.min_path < 1:
            raise ValueError(f"min_path={self.min_path}: must be at least 1")
        longest = self.rows * self.columns - 1
        if not self.min_path <= self.limit <= longest:
            raise ValueError(
                f"limit={self.limit}: between min_path={self.min_path} and {longest}, which enter every cell"
            )
        if not 1 <= self.max_solutions <= 10_000:
            raise ValueError(f"max_solutions={self.max_solutions}: between 1 and 10000")
        for field in ("validation", "heldout", "seed"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field}={getattr(self, field)}: must not be negative")
        if self.problems <= self.validation + self.heldout:
            raise ValueError(
                f"problems={self.problems}: must exceed validation + heldout, or nothing is left to train on"
            )


@dataclass(frozen=True)
class Problem:
    id: str
    """Unique among all problems: the code of each cell as one hexadecimal digit, start and goal, `2c36/0-3`."""
    prompt: str
    grid: Grid
    start: int
    goal: int
    limit: int


def problem(grid: Grid, start: int, goal: int, limit: int) -> Problem:
    """The problem of going from cell `start` to cell `goal`.

    The prompt is one number for each cell, row by row: the sum of 1, 2, 4, 8 for an open passage up, right, down, left,
    of 16 for the start and of 32 for the goal. Rows need no separator: all problems of a task have the same size.
    """
    name = "".join(f"{code:x}" for code in grid.codes) + f"/{start}-{goal}"
    shown = [code + _START * (cell == start) + _GOAL * (cell == goal) for cell, code in enumerate(grid.codes)]
    return Problem(name, " ".join(map(str, shown)) + " :", grid, start, goal, limit)


def _ends(grid: Grid, min_path: int, limit: int) -> list[tuple[int, int]]:
    """All pairs of cells whose shortest path has from `min_path` to `limit` moves."""
    cells = range(len(grid.codes))
    found: list[tuple[int, int]] = []
    for start in cells:
        goals = grid.reach(start, limit) & ~grid.reach(start, min_path - 1)
        found += [(start, goal) for goal in cells if goals >> goal & 1]
    return found


def _drawn(config: MazeConfig, rng: np.random.Generator) -> Problem | None:
    """A problem; None if the maze has no two cells far enough apart, or there are too many solutions."""
    grid = draw(config.rows, config.columns, config.loops, rng)
    ends = _ends(grid, config.min_path, config.limit)
    if not ends:
        return None
    start, goal = ends[int(rng.integers(len(ends)))]
    count = sum(1 for _ in islice(grid.paths(start, goal, config.limit), config.max_solutions + 1))
    return problem(grid, start, goal, config.limit) if count <= config.max_solutions else None


def _draw(config: MazeConfig) -> Iterator[Problem]:
    """Distinct problems in the order drawn, until `_FRUITLESS` draws in a row bring none."""
    rng = np.random.default_rng(config.seed)
    seen: set[str] = set()
    fruitless = 0
    while fruitless < _FRUITLESS:
        found = _drawn(config, rng)
        fruitless += 1
        if found is not None and found.id not in seen:
            seen.add(found.id)
            fruitless = 0
            yield found


@cache
def _problems(config: MazeConfig) -> tuple[Problem, ...]:
    found = tuple(islice(_draw(config), config.problems))
    if len(found) < config.problems:
        raise ValueError(
            f"problems={config.problems}: only {len(found)} found with this size, loops, min_path, limit and "
            f"max_solutions"
        )
    return found


def canonical_problem(problem: Problem) -> tuple[str]:
    """The first of the eight images of the problem's grid, turned and mirrored, in the order of their texts.

    Two problems are the same iff they have the same grid but for these symmetries, whatever start and goal are. The end
    of an answer is an answer from each cell on the way, and an answer read backwards leads from goal to start. So
    the answers to a problem hold answers to others on its grid, and all problems on a grid are joined that way.
    """
    return (min(f"{image.columns}/" + "".join(f"{code:x}" for code in image.codes) for image in images(problem.grid)),)


@cache
def _dealt(config: MazeConfig) -> dict[str, list[Problem]]:
    found = _problems(config)
    ways = [list(solutions(one)) for one in found]
    features = [(min(map(len, each)), len(each).bit_length()) for each in ways]  # the shortest way, and how many
    rng = np.random.default_rng([config.seed, _DEAL])
    forms = [canonical_problem(one) for one in found]
    dealt = deal(forms, features, config.validation, config.heldout, rng)
    return {split: [found[index] for index in indices] for split, indices in dealt.items()}


def splits(config: MazeConfig) -> dict[str, list[Problem]]:
    """`train`, `validation` and `heldout`, disjoint.

    With `classes` no two hold the same problem (`canonical_problem`), and they are alike in the length of the shortest
    way and the number of ways. Further problems on a grid of validation or held-out are in no split, so training is
    smaller than what these leave. Raises ValueError if there are too few grids. With `drawn`, validation and held-out
    do not depend on `config.problems`.
    """
    if config.split == "classes":
        return {split: list(problems) for split, problems in _dealt(config).items()}
    drawn = _problems(config)
    first, second = config.validation, config.validation + config.heldout
    return {"train": list(drawn[second:]), "validation": list(drawn[:first]), "heldout": list(drawn[first:second])}


def solutions(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Every solution: canonical form → its one string, in a fixed order. Nothing that `verify` takes is left out but
    for blanks."""
    found = problem.grid.paths(problem.start, problem.goal, problem.limit)
    return {moves: (" ".join(moves),) for moves in found}


def verify(problem: Problem, completion: str) -> Verdict:
    """Whether `completion` (special tokens removed) is a way to the goal; `reason` is "correct" or says what is wrong.

    Every text is scored. The canonical form is the moves themselves, without blanks; what is no series of at most
    `limit` moves has none.
    """
    if len(completion) > MAX_LENGTH:
        return Verdict(False, None, "too long")
    moves = completion.translate(_BLANKS)
    if not moves:
        return Verdict(False, None, "empty")
    if not set(moves) <= set(MOVES):
        return Verdict(False, None, "unexpected character")
    if len(moves) > problem.limit:
        return Verdict(False, None, "too long")
    cell, entered = problem.start, {problem.start}
    for move in moves:
        if not problem.grid.codes[cell] & MOVES[move]:
            return Verdict(False, moves, "through a wall")
        cell += problem.grid.offsets[move]
        if cell in entered:
            return Verdict(False, moves, "cell twice")
        entered.add(cell)
    return Verdict(True, moves, "correct") if cell == problem.goal else Verdict(False, moves, "not at the goal")


def vocabulary(config: MazeConfig) -> list[str]:
    """Every symbol that a prompt or a solution can hold, each once."""
    return [*MOVES, ":", *(str(code + end) for end in (0, _START, _GOAL) for code in range(1, 16))]


def max_symbols(config: MazeConfig) -> int:
    """The most symbols that a string in `solutions` can have (end of sequence not counted)."""
    return config.limit


def effort(solution: str) -> float:
    """How much the supervised stage shuns a way: a quarter for each move, a half for each turn, and up to 0.3 for the
    direction in which it sets out.

    This is what makes the base prefer some ways to others; the scale is arbitrary and multiplied by `skew`.
    """
    moves = solution.split()
    turns = sum(first != second for first, second in pairwise(moves))
    return _MOVE * len(moves) + _TURN * turns + _FIRST[moves[0]]
