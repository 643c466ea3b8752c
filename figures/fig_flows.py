"""T3, three flows and their ends: `python -m figures.fig_flows --out build`."""

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

READS = (Theory("fig_flows"),)
METHODS = ("vanilla", "entropy-bonus", "ds")
HEIGHT = 3**0.5 / 2


def _simplex(axes: Axes, data: pd.DataFrame, method: str) -> None:
    axes.plot([0, 1, 0.5, 0], [0, 0, HEIGHT, 0], color="0.4", linewidth=0.8)
    for _, run in data.groupby("start"):
        x, y = run.q2 + run.q3 / 2, HEIGHT * run.q3
        axes.plot(x, y, color=style.color(method), linewidth=0.9)
        axes.plot(x.iloc[0], y.iloc[0], "o", color="white", markeredgecolor="0.3", markersize=2.5)
        axes.plot(x.iloc[-1], y.iloc[-1], "o", color=style.color(method), markersize=3)
    ends = data.groupby("start").C.last()
    axes.set_title(f"{style.label(method)}\nC → {'1' if ends.min() > 0.999 else format(ends.mean(), '.2f')}")
    axes.title.set_color(style.color(method))
    axes.set(aspect="equal", xlim=(-0.06, 1.06), ylim=(-0.08, HEIGHT + 0.06))
    axes.axis("off")


def draw(data: pd.DataFrame) -> Figure:
    """Above: pi_K over three correct answers, from the open to the filled dots. Below: C and entropy of one start."""
    fig = plt.figure(figsize=(style.COLUMN, 1.0 * style.COLUMN), layout="constrained")
    above, below = np.ravel(np.array(fig.subfigures(2, 1, height_ratios=(0.85, 1))))
    for axes, method in zip(above.subplots(1, 3), METHODS):
        _simplex(axes, data[data.method == method], method)
    left, right = below.subplots(1, 2)
    for method in METHODS:
        run = data[(data.method == method) & (data.start == 0) & (data.t > 0)]
        left.semilogx(run.t, run.C, color=style.color(method))
        right.semilogx(run.t, run.entropy, color=style.color(method))
    left.set(xlabel="time of the flow", ylabel="correctness C", ylim=(0, 1.03))
    right.set(xlabel="time of the flow", ylabel=r"entropy of $\pi_K$ (nats)", ylim=(0, 1.15))
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_flows", READS, draw))
