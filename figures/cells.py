"""Cells of tables: text for people, and in the CSV the numbers behind it, each in a column of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One cell. numbers: by the end of the CSV column's name, such as ` low`; empty for the column itself."""

    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text


def number(value: float, form: str) -> Cell:
    """A number as `form` shows it; the CSV has all its digits."""
    return Cell(format(value, form), {"": value})


def estimate(found: Mapping[str, Any], sign: str = "") -> Cell:
    """`0.428 [0.411, 0.445]` from an interval of `rl.analysis.comparisons`; sign `+` shows the sign of a difference.

    Where there is no interval, as over a single seed, that is said. The CSV has mean, low, high and n, the seeds.
    """
    numbers = {" mean": found["mean"], " low": found["low"], " high": found["high"], " n": found["seeds"]}
    if found["low"] != found["low"]:
        return Cell(f"{found['mean']:{sign}.3f} (one seed)", numbers)
    return Cell(f"{found['mean']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]", numbers)


def numeric(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with each column of cells replaced by columns of their numbers, empty where a cell has none."""
    parts: dict[str, pd.Series] = {}
    for name in frame.columns:
        cells = [value.numbers if isinstance(value, Cell) else {} for value in frame[name]]
        ends = dict.fromkeys(end for numbers in cells for end in numbers)
        for end in ends:
            column = pd.Series([numbers.get(end) for numbers in cells], dtype=float)
            parts[f"{name}{end}"] = column.astype("Int64") if end == " n" else column
        if not ends:
            parts[str(name)] = frame[name].reset_index(drop=True)
    return pd.DataFrame(parts)
