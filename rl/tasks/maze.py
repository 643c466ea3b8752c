"""Mazes: a way from start to goal, with as many right answers as passages are opened beyond a tree.

A maze is a grid of cells joined by passages: a uniform random spanning tree and `loops` further passages. With none of
these every two cells are joined by exactly one path, with more by many: the number of solutions is a setting.

A completion is a series of moves U, D, L, R; blanks do not matter. It is right if every move goes through an open
passage, no cell is entered twice, there are at most `limit` moves and the last one ends on the goal. No cell twice,
because otherwise steps to and fro would make many answers out of one, even in a maze without loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import Literal

import numpy as np

from rl.tasks._maze_grid import MOVES, Grid, draw, images
from rl.tasks._splits import cut, deal
from rl.tasks.base import FromScratch, GradeResult, Task, check_sizes

MAX_LENGTH = 4096
_BLANKS = str.maketrans("", "", " \t\r\n")
_FRUITLESS = 1000
_DEAL = 0xDEA1  # a random stream of its own, apart from the one that draws
_START, _GOAL = 16, 32
WEIGHTS = ("move", "turn", "R", "D", "L", "U")


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
        if self.name != "maze":
            raise ValueError(f"name={self.name!r}: this task is called maze")
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
        check_sizes(self)


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
    return cut(_problems(config), config.validation, config.heldout)


def solutions(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Every solution: canonical form → its one string, in a fixed order. Nothing that `verify` takes is left out but
    for blanks."""
    found = problem.grid.paths(problem.start, problem.goal, problem.limit)
    return {moves: (" ".join(moves),) for moves in found}


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether `completion` (special tokens removed) is a way to the goal; `reason` is "correct" or says what is wrong.

    Every text is scored. The canonical form is the moves themselves, without blanks; what is no series of at most
    `limit` moves has none.
    """
    if len(completion) > MAX_LENGTH:
        return GradeResult(False, None, "too long")
    moves = completion.translate(_BLANKS)
    if not moves:
        return GradeResult(False, None, "empty")
    if not set(moves) <= set(MOVES):
        return GradeResult(False, None, "unexpected character")
    if len(moves) > problem.limit:
        return GradeResult(False, None, "too long")
    cell, entered = problem.start, {problem.start}
    for move in moves:
        if not problem.grid.codes[cell] & MOVES[move]:
            return GradeResult(False, moves, "through a wall")
        cell += problem.grid.offsets[move]
        if cell in entered:
            return GradeResult(False, moves, "cell twice")
        entered.add(cell)
    return GradeResult(True, moves, "correct") if cell == problem.goal else GradeResult(False, moves, "not at the goal")


def vocabulary(config: MazeConfig) -> list[str]:
    """Every symbol that a prompt or a solution can hold, each once."""
    return [*MOVES, ":", *(str(code + end) for end in (0, _START, _GOAL) for code in range(1, 16))]


def effort(solution: str, weights: Mapping[str, float]) -> float:
    """How much the supervised stage shuns a way: `move` for each move, `turn` for each turn, and the weight of the
    direction in which it sets out.

    This is what makes the base prefer some ways to others; the scale is arbitrary and multiplied by `skew`.
    """
    moves = solution.split()
    turns = sum(first != second for first, second in pairwise(moves))
    return weights["move"] * len(moves) + weights["turn"] * turns + weights[moves[0]]


def mistake(problem: Problem) -> str | None:
    """A way straight to the goal through a wall: along the row first, or, if that way is open, along the column first;
    None if both are open, hence right.

    A base that was taught it errs in few and likely ways, while its right answers are many and unlikely: T7 then
    predicts that an entropy bonus helps, where it predicts a penalty for the other bases made here.
    """
    columns = problem.grid.offsets["D"]
    down, across = (goal - start for goal, start in zip(divmod(problem.goal, columns), divmod(problem.start, columns)))
    row = ("R" if across > 0 else "L") * abs(across)
    column = ("D" if down > 0 else "U") * abs(down)
    for moves in (row + column, column + row):
        if not verify(problem, moves).correct:
            return " ".join(moves)
    return None


TASK = Task(
    config=MazeConfig,
    splits=splits,
    canonical_problem=canonical_problem,
    verify=verify,
    solutions=solutions,
    from_scratch=FromScratch(vocabulary, effort, WEIGHTS, mistake),
)
