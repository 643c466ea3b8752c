"""Grids of cells joined by passages: uniform spanning trees, loops, what can be reached, all paths.

Cells are numbered row by row from 0. A set of cells is an integer with bit i for cell i, so that one flood over the
whole grid takes a few operations on integers for each move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOVES = {"U": 1, "R": 2, "D": 4, "L": 8}
"""A move → the bit of an open passage that way in a cell's code."""
_MIRRORED = {"U": "U", "R": "L", "D": "D", "L": "R"}
_TRANSPOSED = {"U": "L", "R": "D", "D": "R", "L": "U"}


@dataclass(frozen=True)
class Grid:
    """codes: one for each cell, the sum of the `MOVES` bits of its open passages; none leads off the grid."""

    columns: int
    codes: tuple[int, ...]

    @cached_property
    def offsets(self) -> dict[str, int]:
        """A move → what it adds to the number of the cell."""
        return {"U": -self.columns, "R": 1, "D": self.columns, "L": -1}

    @cached_property
    def _open(self) -> tuple[int, int, int, int]:
        """For each of `MOVES` the set of cells from which it goes through a passage."""
        up, right, down, left = (
            sum(1 << cell for cell, code in enumerate(self.codes) if code & bit) for bit in MOVES.values()
        )
        return up, right, down, left

    def reach(self, cell: int, moves: int, closed: int = 0) -> int:
        """The set of cells at most `moves` away from `cell`, not going through the set `closed` (`cell` is none)."""
        up, right, down, left = self._open
        found = front = 1 << cell
        for _ in range(moves):
            further = (front & up) >> self.columns | (front & down) << self.columns
            front = (further | (front & right) << 1 | (front & left) >> 1) & ~(found | closed)
            if not front:
                break
            found |= front
        return found

    def paths(self, start: int, goal: int, limit: int) -> Iterator[str]:
        """The moves of every path of at most `limit` moves that enters no cell twice, in the order of `MOVES`.

        Depth first. A cell is entered only if the goal can still be reached from it in the moves that are left, through
        cells not yet entered: every cell entered is on a path that is found, so that a path costs no more than
        about `limit` floods however the grid looks.
        """
        waiting = [(start, 1 << start, "")]
        while waiting:
            cell, entered, moves = waiting.pop()
            if cell == goal:
                yield moves
                continue
            hopeful = self.reach(goal, limit - len(moves) - 1, closed=entered) if len(moves) < limit else 0
            for move in reversed(MOVES):
                further = cell + self.offsets[move]
                if self.codes[cell] & MOVES[move] and hopeful >> further & 1:
                    waiting.append((further, entered | 1 << further, moves + move))


def images(grid: Grid) -> list[Grid]:
    """The eight images of `grid` under the symmetries of the square: turned, mirrored, both. Some may be equal."""
    found: list[Grid] = []
    for _ in range(4):
        grid = _transposed(grid)
        found.append(grid)
        grid = _mirrored(grid)
        found.append(grid)
    return found


def _moved(moves: dict[str, str]) -> tuple[int, ...]:
    """The code of a cell → its code when each move becomes that of `moves`."""
    return tuple(sum(MOVES[moves[move]] for move in MOVES if code & MOVES[move]) for code in range(16))


_MIRRORED_CODES, _TRANSPOSED_CODES = _moved(_MIRRORED), _moved(_TRANSPOSED)


def _mirrored(grid: Grid) -> Grid:
    """Left and right exchanged."""
    rows = [grid.codes[begin : begin + grid.columns] for begin in range(0, len(grid.codes), grid.columns)]
    return Grid(grid.columns, tuple(_MIRRORED_CODES[code] for row in rows for code in reversed(row)))


def _transposed(grid: Grid) -> Grid:
    """Rows and columns exchanged."""
    columns = [grid.codes[first :: grid.columns] for first in range(grid.columns)]
    return Grid(
        len(grid.codes) // grid.columns, tuple(_TRANSPOSED_CODES[code] for column in columns for code in column)
    )


def _walls(rows: int, columns: int) -> list[tuple[int, int]]:
    """All pairs of neighboring cells, the lower number first."""
    cells = range(rows * columns)
    across = [(cell, cell + 1) for cell in cells if (cell + 1) % columns]
    return across + [(cell, cell + columns) for cell in cells[:-columns]]


def spanning_tree(rows: int, columns: int, rng: np.random.Generator) -> set[tuple[int, int]]:
    """Passages of a maze without loops, every spanning tree of the grid alike (Wilson's algorithm).

    From each cell in turn a random walk goes until it meets the tree; what is left of it when its loops are erased
    joins the tree.
    """
    neighbors: list[list[int]] = [[] for _ in range(rows * columns)]
    for first, second in _walls(rows, columns):
        neighbors[first].append(second)
        neighbors[second].append(first)
    inside = [False] * len(neighbors)
    inside[0] = True
    left_by = [0] * len(neighbors)
    passages: set[tuple[int, int]] = set()
    for begin in range(1, len(neighbors)):
        cell = begin
        while not inside[cell]:
            # A cell's last exit overwrites its earlier ones: that erases the loops.
            left_by[cell] = neighbors[cell][int(rng.integers(len(neighbors[cell])))]
            cell = left_by[cell]
        cell = begin
        while not inside[cell]:
            inside[cell] = True
            passages.add((min(cell, left_by[cell]), max(cell, left_by[cell])))
            cell = left_by[cell]
    return passages


def draw(rows: int, columns: int, loops: int, rng: np.random.Generator) -> Grid:
    """A uniform spanning tree, and `loops` of the walls that remain opened, every choice of them alike."""
    passages = spanning_tree(rows, columns, rng)
    walls = [wall for wall in _walls(rows, columns) if wall not in passages]
    passages.update(walls[index] for index in rng.choice(len(walls), loops, replace=False))
    return grid(rows, columns, passages)


def grid(rows: int, columns: int, passages: set[tuple[int, int]]) -> Grid:
    """The grid with these passages, pairs of neighboring cells with the lower number first."""
    codes = [0] * (rows * columns)
    for first, second in passages:
        there, back = ("R", "L") if second == first + 1 else ("D", "U")
        codes[first] |= MOVES[there]
        codes[second] |= MOVES[back]
    return Grid(columns, tuple(codes))
