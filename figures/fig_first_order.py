"""T13, what the DS term does to success: `python -m figures.fig_first_order --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_first_order"),)


def draw(data: pd.DataFrame) -> Figure:
    """The term's change of p over vanilla's own, gamma_p = 1; the line is p*, beyond which the term is a drag."""
    fig, axes = plt.subplots(figsize=(style.COLUMN, 0.85 * style.COLUMN), layout="constrained")
    grid = data[data.panel == "effect"].pivot(index="skew", columns="p", values="value")
    p = grid.columns.to_numpy(dtype=float)
    odds = np.log(p / (1 - p))
    picture = axes.pcolormesh(
        odds,
        grid.index,
        grid.to_numpy(),
        cmap="RdBu",
        norm=SymLogNorm(1.0, vmin=-100, vmax=100),
        shading="nearest",
        rasterized=True,
    )
    border = data[data.panel == "threshold"]
    inside = border.p < 1 - 1e-9
    axes.plot(np.log(border.p[inside] / (1 - border.p[inside])), border["skew"][inside], color="0.15")
    ticks = np.array([0.02, 0.1, 0.5, 0.9, 0.99])
    axes.set_xticks(np.log(ticks / (1 - ticks)), [f"{tick:g}" for tick in ticks])
    axes.set_xlim(odds.min(), odds.max())
    axes.set(
        xlabel="probability p of a correct answer",
        ylabel="skew of correct answers",
        title="DS: help (blue) or drag (red)",
    )
    axes.grid(False)
    fig.colorbar(picture, label=r"change of p: term over vanilla", ticks=[-100, -10, -1, 0, 1, 10, 100])
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_first_order", READS, draw))
