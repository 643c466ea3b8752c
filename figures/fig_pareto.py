"""Correctness against breadth: the trace of every method from its base, Pass@1 against Pass@128 along training."""

from __future__ import annotations

import math
import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.baselines import EXPERIMENTS, LABELS, Compared
from figures.command import figure
from rl.analysis.comparisons import common, compared_methods
from rl.analysis.reads import Experiments
from rl.analysis.results import ResultError

READS = (Experiments(EXPERIMENTS),)
AXES = {"x": "val/pass@1", "y": "val/pass@128"}


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (experiment, method, step): Pass@1 and Pass@128 on validation problems, means over common seeds."""
    rows = []
    for name, results in compared.items():
        methods = [method for method in compared_methods(results) if method != "base"]
        seeds = common(results, *methods)
        for method in methods:
            curves = []
            for run in (results.of(method)[seed] for seed in seeds):
                if not set(AXES.values()) <= set(run.metrics):
                    raise ResultError(f"{run.folder}: metrics.jsonl lacks {' or '.join(AXES.values())}; run it again")
                curves.append(run.metrics.set_index("step")[list(AXES.values())].dropna())
            mean = pd.concat(curves).groupby(level="step").mean()
            for step, values in mean.iterrows():
                point = {key: values[column] for key, column in AXES.items()}
                rows.append({"experiment": name, "method": method, "step": step, **point, "seeds": len(curves)})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """One panel a task, two in a row; a line for each method, its end marked; the base is where all begin."""
    names = list(dict.fromkeys(data["experiment"]))
    rows, columns = math.ceil(len(names) / 2), min(2, len(names))
    size = (max(1.3, columns) * style.COLUMN, 2.6 * rows + 1.3)
    fig, panels = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for axes in panels.flat[len(names) :]:
        axes.remove()
    for axes, name in zip(panels.flat, names):
        part = data[data["experiment"] == name]
        for method, points in part.groupby("method", sort=False):
            ordered = points.sort_values("step")
            color, marker = style.color(str(method)), style.marker(str(method))
            axes.plot(ordered["x"], ordered["y"], color=color, linewidth=1, alpha=0.8)
            end, label = ordered[["x", "y"]].iloc[-1], style.label(str(method))
            axes.plot(*end, marker, color=color, label=label, ms=6, mec="white", mew=0.5, zorder=4)  # over all lines
        start = part[part["step"] == 0][["x", "y"]].mean()
        axes.plot(*start, marker="*", ms=10, color=style.color("base"))
        count = int(part["seeds"].iloc[0])
        axes.set_title(f"{LABELS[name]}, " + (f"mean of {count} seeds" if count > 1 else "one seed"))
        axes.set_xlabel("Pass@1 (validation)")
    for axes in panels[:, 0]:
        axes.set_ylabel("Pass@128 (validation)")
    handles = {label: handle for axes in fig.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns + 1)
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_pareto", READS, draw, frame))
