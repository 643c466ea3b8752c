"""Correctness against diversity at equal closeness (T5, T6), and the two regimes of T6."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_frontier"),)
REGIMES = ("only self-centered DS", "another literal DS policy", "π* is a literal DS policy")
SHADES = ("#f4b183", "#cfe2f3", "#7fb2e5")


def draw(data: pd.DataFrame) -> Figure:
    """Above: what each method reaches at KL = 0.5 nats. Below: where literal DS does as well as a bonus."""
    fig, (upper, lower) = plt.subplots(2, 1, figsize=(style.COLUMN, 1.65 * style.COLUMN), layout="constrained")
    _frontier(upper, data[data["panel"] == "frontier"])
    _regimes(lower, data[data["panel"] == "regimes"])
    return fig


def _frontier(axes: Axes, rows: pd.DataFrame) -> None:
    for method in ("ds-centered", "ds", "entropy-bonus", "entropy-penalty"):  # literal DS over the part it reaches
        curve = rows[rows["method"] == method]
        axes.plot(curve["x"], curve["y"], color=style.color(method), label=style.label(method))
    vanilla = rows[(rows["method"] == "ds") & (rows["s"] == 1.0)]
    axes.plot(vanilla["x"], vanilla["y"], "o", color=style.color("vanilla"), label="vanilla", zorder=3)
    axes.set_xlabel("diversity of correct answers (Gini–Simpson)")
    axes.set_ylabel("correctness C")
    axes.set_title("at KL(π‖π₀) = 0.5 nats")
    axes.legend(loc="lower left")


def _regimes(axes: Axes, rows: pd.DataFrame) -> None:
    grid = rows.pivot_table(index="s", columns="x", values="y")
    axes.pcolormesh(
        grid.columns, grid.index, grid.to_numpy(), cmap=ListedColormap(SHADES), vmin=-0.5, vmax=2.5, rasterized=True
    )
    axes.set_xscale("log")
    axes.plot(10, 1, "k*", markersize=8)
    axes.annotate("by hand:\nβ = γ = 10", (10, 1), xytext=(-12, -24), textcoords="offset points")
    for shade, name in zip(SHADES, REGIMES):
        axes.plot([], [], "s", color=shade, label=name)
    axes.set_xlabel("β of the entropy bonus")
    axes.set_ylabel("γ / β")
    axes.set_ylim(float(np.min(grid.index)), 2)
    axes.grid(visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), handletextpad=0.2, labelspacing=0.2)


if __name__ == "__main__":
    sys.exit(figure("fig_frontier", READS, draw))
