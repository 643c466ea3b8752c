"""What the exhibits of the contest share: several experiments at once, from one answer a problem to many."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from rl.analysis.comparisons import contestants
from rl.analysis.results import NotRun, ResultError, Results, load

EXPERIMENTS = ("maze-perfect", "maze-looped", "maze-misled", "countdown")
LABELS = {
    "maze-perfect": "maze, one path",
    "maze-looped": "maze, many paths",
    "maze-misled": "maze, misled base",
    "countdown": "Countdown",
}
Contest = Mapping[str, Results]


def load_all(out: Path | None, scale: str = "cpu") -> dict[str, Results]:
    """The experiments of the contest that were run, by name; raises NotRun if none was."""
    found: dict[str, Results] = {}
    missing: list[str] = []
    for name in EXPERIMENTS:
        try:
            found[name] = load(name, out, scale)
        except NotRun as error:
            missing.append(str(error))
    if not found:
        raise NotRun(missing[0])
    return found


def heuristics(results: Results) -> list[str]:
    """The methods to hold against GRPO in figures; tables show those with fewer seeds too."""
    return [name for name in contestants(results) if name not in ("base", "grpo")]


def _make(name: str, write: Callable[[Contest, Path], None]) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the runs at hand, and where the exhibit goes")
    parser.add_argument("--scale", default="cpu", choices=["cpu", "gpu", "paper"])
    options = parser.parse_args()
    try:
        contest = load_all(options.out, options.scale)
        write(contest, options.out)
    except ResultError as error:
        print(f"{name}: not made: {error}", file=sys.stderr)
        return 2
    print(f"{name}: made from " + ", ".join(f"{one.experiment} ({one.origin})" for one in contest.values()))
    return 0


def figure(name: str, frame: Callable[[Contest], pd.DataFrame], draw: Callable[[pd.DataFrame], Figure]) -> int:
    """Draw the figure `name` from the contest's recorded runs; 2 and one line if there are none."""

    def write(contest: Contest, out: Path) -> None:
        data = frame(contest)
        style.use()
        style.save(draw(data), name, data, out)

    return _make(name, write)


def table(name: str, frame: Callable[[Contest], pd.DataFrame], caption: str) -> int:
    """Write the table `name` as CSV, Markdown and TeX; 2 and one line if there are no runs."""

    def write(contest: Contest, out: Path) -> None:
        origins = ", ".join(f"{one.experiment} ({one.origin})" for one in contest.values())
        style.save_table(name, frame(contest), out, f"{caption} Experiments: {origins}.")

    return _make(name, write)
