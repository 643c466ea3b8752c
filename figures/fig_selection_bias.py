"""T1, selection bias: `python -m figures.fig_selection_bias --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_selection_bias"),)


def draw(data: pd.DataFrame) -> Figure:
    """Above: probability of being reinforced against p, lines closed form, dots drawn. Below: the ratio against N."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(style.COLUMN, 1.5 * style.COLUMN), layout="constrained")
    sizes = sorted(data.loc[data.panel == "probability", "size"].unique())
    for color, size in zip(plt.get_cmap("viridis")([i / len(sizes) for i in range(len(sizes))]), sizes):
        part = data[data["size"] == size]
        line, dots = part[part.panel == "probability"], part[part.panel == "drawn"]
        above.loglog(line.p, line.value, color=color, label=f"N = {size}")
        above.errorbar(dots.p, dots.value, 2 * dots.error, color=color, fmt="o", markersize=3)
    above.set(xlabel="probability p of a correct trajectory", ylabel="P(reinforced)", title="(a) C = 0.5; dots: drawn")
    above.legend(loc="lower right")
    ratios = data[data.panel == "ratio"]
    for number, (first, second) in enumerate(ratios[["p", "other"]].drop_duplicates().to_numpy().tolist()):
        part = ratios[(ratios.p == first) & (ratios.other == second)]
        below.loglog(part["size"], part.value, color=f"C{number}", label=f"{first:g} and {second:g}")
        below.axhline(first / second, color=f"C{number}", linewidth=0.8, linestyle=":")
    below.axhline(1, color="0.3", linewidth=0.8)
    below.set(xlabel="group size N", ylabel="ratio of P(reinforced)", title="(b) p₁/p₂ at N = 2, then down to 1")
    below.legend(title="p₁ and p₂", title_fontsize=8)
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_selection_bias", READS, draw))
