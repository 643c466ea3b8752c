"""What every exhibit of the experiment shares: reading recorded runs, refusing in one line, writing files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from rl.results import ResultError, Results, load

KS = tuple(2**i for i in range(13))  # Pass@k is exact, so k may exceed any number of samples that one would draw


def arguments(name: str) -> argparse.Namespace:
    """The options of an exhibit's command line: --out, --experiment, --scale."""
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the run at hand, and where the exhibit goes")
    parser.add_argument("--experiment", default="countdown", help="the name in the experiment's YAML")
    parser.add_argument("--scale", default="cpu", choices=["cpu", "gpu", "paper"])
    return parser.parse_args()


def figure(name: str, frame: Callable[[Results], pd.DataFrame], draw: Callable[[pd.DataFrame], Figure]) -> int:
    """Draw the figure `name` from recorded runs; 2 and one line on standard error if they are not there."""
    options = arguments(name)
    try:
        results = load(options.experiment, options.out, options.scale)
        data = frame(results)
    except ResultError as error:
        print(f"{name}: not drawn: {error}", file=sys.stderr)
        return 2
    style.use()
    style.save(draw(data), name, data, options.out)
    print(f"{name}: drawn from {results.experiment} ({results.origin})")
    return 0


def table(name: str, frame: Callable[[Results], pd.DataFrame], caption: str) -> int:
    """Write the table `name` as CSV, Markdown and TeX; 2 and one line on standard error if its runs are not there."""
    options = arguments(name)
    try:
        results = load(options.experiment, options.out, options.scale)
        data = frame(results)
    except ResultError as error:
        print(f"{name}: not written: {error}", file=sys.stderr)
        return 2
    style.save_table(name, data, options.out, f"{caption} Experiment {results.experiment}, {results.origin}.")
    print(f"{name}: written from {results.experiment} ({results.origin})")
    return 0


def with_interval(found: dict[str, Any], sign: str = "") -> str:
    """`0.428 [0.411, 0.445]` from what `rl.analysis.interval` returns; sign `+` shows the sign of a difference."""
    return f"{found['mean']:{sign}.3f} [{found['low']:{sign}.3f}, {found['high']:{sign}.3f}]"
