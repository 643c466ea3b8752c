"""Every method against GRPO, where problems have one answer and where they have many: ΔPass@1 and ΔPass@1024."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from figures import style
from figures.baselines import EXPERIMENTS, LABELS, Compared
from figures.command import figure
from rl.analysis.comparisons import compared_methods, difference, pass_at
from rl.analysis.reads import Experiments

READS = (Experiments(EXPERIMENTS),)
KS = (1, 1024)


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (experiment, method, k): the difference of Pass@k to GRPO with its interval, paired by seed."""
    rows = []
    for name, results in compared.items():
        for method in (one for one in compared_methods(results) if one not in ("base", "grpo")):
            for k in KS:
                found = difference(results, method, "grpo", pass_at(k))
                rows.append({"experiment": name, "method": method, "k": k, **found})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """A row of panels a task, a column a k; a point with its interval for each method, GRPO the line at zero."""
    names = list(dict.fromkeys(data["experiment"]))
    counts = [data[data["experiment"] == name]["method"].nunique() for name in names]
    fig, grid = plt.subplots(
        len(names),
        len(KS),
        figsize=(2 * style.COLUMN, 0.6 + 0.5 * len(names) + 0.17 * sum(counts)),
        height_ratios=counts,
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for row, name in zip(grid, names):
        part = data[data["experiment"] == name]
        methods = list(dict.fromkeys(part["method"]))
        for axes, k in zip(row, KS):
            for place, method in enumerate(methods):
                [one] = part[(part["method"] == method) & (part["k"] == k)].to_dict("records")
                error = np.array([[one["mean"] - one["low"]], [one["high"] - one["mean"]]])
                color = style.color(method)
                axes.errorbar(one["mean"], place, xerr=error, fmt="o", ms=4, color=color, capsize=2)
            axes.axvline(0, color="0.4", linewidth=0.8)
            axes.set_yticks(range(len(methods)), [style.label(method) for method in methods])
            axes.set_ylim(len(methods) - 0.5, -0.5)
        few, many = part["seeds"].min(), part["seeds"].max()
        row[0].set_title(f"{LABELS[name]}, seeds: {few}" + (f" to {many}" if many > few else ""), loc="left")
    for axes, k in zip(grid[-1], KS):
        axes.set_xlabel(f"Pass@{k} − GRPO's, 95% intervals")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_heuristics", READS, draw, frame))
