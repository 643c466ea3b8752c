"""Correctness against breadth on held-out problems: every method's path, and where each of its seeds ended."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.early_stopping import path
from rl.analysis.reads import Reads, Saturated
from rl.analysis.results import Results
from rl.experiments.trajectory import in_last_part

READS: Reads = (Saturated(),)
K = 128


def frame(results: Results) -> pd.DataFrame:
    """Rows (method, part): part `path` has step and the mean over seeds; part `end` one row a seed, at the endpoint."""
    rows = []
    for method in results.methods(variants=True):
        if method == "base":
            continue
        curves = []
        for seed, run in results.of(method).items():
            found = path(run, K)
            table = pd.DataFrame({"x": run.metrics.set_index("step")["heldout/pass@1"].dropna()})
            table["y"] = pd.Series(found.passk, found.step)
            last = table[[in_last_part(step, table.index[-1]) for step in table.index]].mean()
            rows.append({"method": method, "part": "end", "seed": seed, "x": last.x, "y": last.y})
            curves.append(table)
        mean = pd.concat(curves).groupby(level="step").mean()
        rows += [
            {"method": method, "part": "path", "step": step, "x": one.x, "y": one.y} for step, one in mean.iterrows()
        ]
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """A line for each method's mean over seeds, a small marker for the end of each seed, a large one for their mean."""
    fig, axes = plt.subplots(figsize=(1.6 * style.COLUMN, 1.5 * style.COLUMN), layout="constrained")
    for name, rows in data.groupby("method", sort=False):
        method = str(name)
        color, marker = style.color(method), style.marker(method)
        line, ends = rows[rows["part"] == "path"].sort_values("step"), rows[rows["part"] == "end"]
        axes.plot(line["x"], line["y"], "--" if "@" in method else "-", color=color, linewidth=1, alpha=0.7)
        axes.plot(ends["x"], ends["y"], marker, color=color, ms=3, alpha=0.6)
        label = f"{style.label(method)} ({len(ends)})"
        face = "white" if "@" in method else color
        axes.plot(ends["x"].mean(), ends["y"].mean(), marker, color=color, mfc=face, ms=8, zorder=4, label=label)
    axes.set(xlabel="Pass@1, held-out problems", ylabel=f"Pass@{K}, held-out problems")
    axes.set_title("line: along training; marker: mean of the last fifth (seeds)")
    axes.legend(loc="best")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_saturated_paths", READS, draw, frame))
