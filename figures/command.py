"""The command line of every figure and table: load what it reads, make it, write its files; refuse in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from rl.analysis.reads import Place, Reads, Theory, has_scales, stem_of
from rl.analysis.results import ResultError, Results


def figure(
    name: str,
    reads: Reads,
    draw: Callable[[pd.DataFrame], Figure],
    frame: Callable[..., pd.DataFrame] = lambda table: table,
) -> int:
    """Draw the figure `name` as PDF and PNG, with the numbers drawn as CSV; 2 and one line if its data are refused.

    frame: from what is read, in its order, to the numbers drawn.
    """

    def write(data: pd.DataFrame, stem: str, out: Path, experiments: list[Results]) -> None:
        style.use()
        style.save(draw(data), stem, data, out)

    return _make(name, reads, frame, write)


def table(name: str, reads: Reads, frame: Callable[..., pd.DataFrame], caption: str) -> int:
    """Write the table `name` as CSV, Markdown and TeX; 2 and one line if its data are refused."""

    def write(data: pd.DataFrame, stem: str, out: Path, experiments: list[Results]) -> None:
        names = ", ".join(one.experiment for one in experiments)
        listed = f"Experiment {names}." if len(experiments) == 1 else f"Experiments: {names}."
        style.save_table(stem, data, out, f"{caption} {listed}")

    return _make(name, reads, frame, write)


def _make(
    name: str,
    reads: Reads,
    frame: Callable[..., pd.DataFrame],
    write: Callable[[pd.DataFrame, str, Path, list[Results]], None],
) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="of local results, and where the files go")
    if has_scales(reads):
        parser.add_argument("--scale", default="cpu", choices=["cpu", "llm", "gpu", "paper"])
        parser.add_argument("--experiment", help="another one than that of the scale, by the name in its YAML")
    place = Place(**vars(parser.parse_args()))
    try:
        loaded = [one.load(place) for one in reads]
        data = frame(*loaded)
    except ResultError as error:
        print(f"{name}: not made: {error}", file=sys.stderr)
        return 2
    experiments = _experiments(loaded)
    write(data, stem_of(name, place.scale), place.out, experiments)
    origins = [f"theory ({one.origin(place)})" for one in reads if isinstance(one, Theory)]
    origins += [f"{one.experiment} ({one.origin})" for one in experiments]
    print(f"{name}: made from {', '.join(origins)}")
    return 0


def _experiments(loaded: list[Any]) -> list[Results]:
    parts = (one.values() if isinstance(one, dict) else [one] for one in loaded)
    return [one for part in parts for one in part if isinstance(one, Results)]
