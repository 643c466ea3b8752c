"""T2, reinforcement bias: `python -m figures.fig_reinforcement_bias --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_reinforcement_bias"),)


def draw(data: pd.DataFrame) -> Figure:
    """Above: expected gain of the likelier over the less likely correct trajectory. Below: factor on the gradient."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(style.COLUMN, 1.5 * style.COLUMN), layout="constrained")
    sizes = sorted(data["size"].unique())
    for color, size in zip(plt.get_cmap("viridis")([i / len(sizes) for i in range(len(sizes))]), sizes):
        part = data[data["size"] == size]
        gap, drawn, factor = (part[part.panel == panel] for panel in ("gap", "drawn", "factor"))
        above.plot(gap.C, gap.value, color=color)
        above.errorbar(drawn.C, drawn.value, 2 * drawn.error, color=color, fmt="o", markersize=3)
        below.plot(factor.C, factor.value, color=color, label=f"N = {size}")
        below.plot([0, 1], [(size - 1) ** 0.5] * 2, "o", color=color, markersize=4, clip_on=False, zorder=3)
    above.axhline(0, color="0.3", linewidth=0.8)
    above.set(
        xlabel="correctness C",
        ylabel="log-odds gained, per η",
        title="(a) gain of the likelier (70 : 30); dots: drawn",
    )
    below.set(xlabel="correctness C", ylabel="factor $g_N$", title="(b) mean step / gradient; dots: √(N − 1)")
    below.legend(loc="upper center")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_reinforcement_bias", READS, draw))
