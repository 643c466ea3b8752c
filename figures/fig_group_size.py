"""T10, collapse against group size: `python -m figures.fig_group_size --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_group_size"),)


def _sizes(axes: Axes, data: pd.DataFrame) -> None:
    sizes = sorted(data["size"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])


def _fractions(axes: Axes, data: pd.DataFrame) -> None:
    for method, part in data.groupby("method", sort=False):
        color = style.color(str(method))
        for outcome, dash in (("collapsed", "-"), ("frozen", ":")):
            if outcome == "frozen" and method != "vanilla":
                continue  # without mixed groups vanilla stands still; DS goes on spreading
            bars = np.abs(part[[f"{outcome}_low", f"{outcome}_high"]].to_numpy().T - part[outcome].to_numpy())
            label = f"{style.label(str(method))}: {outcome}"
            axes.errorbar(part["size"], part[outcome], bars, color=color, linestyle=dash, marker="o", ms=3, label=label)
    _sizes(axes, data)
    axes.set(ylim=(-0.04, 1.04))


def _entropy(axes: Axes, data: pd.DataFrame) -> None:
    for method, part in data.groupby("method", sort=False):
        color = style.color(str(method))
        axes.plot(part["size"], part.entropy_50, color=color, marker="o", markersize=3)
        axes.fill_between(part["size"], part.entropy_10, part.entropy_90, color=color, alpha=0.2, linewidth=0)
    axes.axhline(np.log(4), color="0.3", linewidth=0.8, linestyle=":")
    _sizes(axes, data)
    axes.set(ylim=(-0.04, 1.5), xlabel="group size N")


def draw(data: pd.DataFrame) -> Figure:
    """Above: fractions of runs, 95% intervals. Below: final entropy of pi_K, median and 10% to 90% of runs."""
    starts = {"tied": "four equal answers", "skewed": "shares .4, .3, .2, .1"}
    fig, grid = plt.subplots(2, 2, figsize=(style.COLUMN, 1.3 * style.COLUMN), sharey="row", layout="constrained")
    for column, (start, title) in enumerate(starts.items()):
        part = data[data.start == start]
        _fractions(grid[0, column], part)
        _entropy(grid[1, column], part)
        grid[0, column].set_title(title)
    grid[0, 0].set_ylabel("fraction of runs")
    grid[1, 0].set_ylabel(r"final entropy of $\pi_K$ (nats)")
    fig.legend(
        *grid[0, 0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        columnspacing=0.8,
        handlelength=1.2,
    )
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_group_size", READS, draw))
