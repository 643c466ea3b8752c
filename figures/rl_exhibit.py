"""What every exhibit of the experiment shares: reading recorded runs, refusing in one line, writing files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from rl.analysis.results import ResultError, Results, Run, load

KS = tuple(2**i for i in range(13))  # Pass@k is exact, so k may exceed any number of samples that one would draw


def arguments(name: str, experiment: str, scale: str) -> argparse.Namespace:
    """The options of an exhibit's command line: --out, and --experiment and --scale with these defaults."""
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the run at hand, and where the exhibit goes")
    parser.add_argument("--experiment", default=experiment, help="the name in the experiment's YAML")
    parser.add_argument("--scale", default=scale, choices=["cpu", "gpu", "paper"])
    return parser.parse_args()


def _make(
    name: str,
    frame: Callable[[Results], pd.DataFrame],
    write: Callable[[pd.DataFrame, Results, Path], None],
    experiment: str,
    scale: str,
) -> int:
    options = arguments(name, experiment, scale)
    try:
        results = load(options.experiment, options.out, options.scale)
        data = frame(results)
    except ResultError as error:
        print(f"{name}: not made: {error}", file=sys.stderr)
        return 2
    write(data, results, options.out)
    print(f"{name}: made from {results.experiment} ({results.origin})")
    return 0


def figure(
    name: str,
    frame: Callable[[Results], pd.DataFrame],
    draw: Callable[[pd.DataFrame], Figure],
    experiment: str = "countdown",
    scale: str = "cpu",
) -> int:
    """Draw the figure `name` from recorded runs; 2 and one line on standard error if they are not there.

    experiment, scale: whose runs, unless the command line names others.
    """

    def write(data: pd.DataFrame, results: Results, out: Path) -> None:
        style.use()
        style.save(draw(data), name, data, out)

    return _make(name, frame, write, experiment, scale)


def table(
    name: str,
    frame: Callable[[Results], pd.DataFrame],
    caption: str,
    experiment: str = "countdown",
    scale: str = "cpu",
) -> int:
    """Write the table `name` as CSV, Markdown and TeX; 2 and one line on standard error if its runs are not there.

    experiment, scale: whose runs, unless the command line names others.
    """

    def write(data: pd.DataFrame, results: Results, out: Path) -> None:
        style.save_table(name, data, out, f"{caption} Experiment {results.experiment}, {results.origin}.")

    return _make(name, frame, write, experiment, scale)


def model_name(results: Results) -> str:
    """`Qwen2.5-Math-7B`, or `model made here, 149,440 parameters`; raises ResultError if nothing says how many."""
    run = results.runs[0]
    if "model" in run.config["base"]:
        return Path(run.config["base"]["model"]).name
    if "parameters" not in run.summary:
        raise ResultError(f"{run.evaluation}: does not say how many parameters the model has; evaluate the run again")
    return f"model made here, {run.summary['parameters']:,} parameters"


def options(run: Run, usual: Mapping[str, Any] | None = None) -> str:
    """`gamma_p 0.3, reduction sum`: the options of the run's method, but for those in `usual`; empty for `base`."""
    chosen = run.config.get("method", {}).items()
    left_out = (usual or {}).items()
    return ", ".join(f"{key} {value}" for key, value in chosen if key != "name" and (key, value) not in left_out)
