"""T12, the implicit utility: `python -m figures.fig_utility --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_utility"),)


def draw(data: pd.DataFrame) -> Figure:
    """Above: the utility of a prompt's success. Below: where each method ends, and how DS on top moves it."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(style.COLUMN, 1.8 * style.COLUMN), layout="constrained")
    for name, part in data.groupby("method", sort=False):
        color, label = style.color(str(name)), style.label(str(name))
        curve, ends = part[part.panel == "utility"], part[part.panel == "limit"]
        above.plot(curve.x, curve.y, color=color, label=label)
        below.plot(ends.x, ends.y, color=color, marker=".", markersize=3, linewidth=1)
        below.plot(
            ends.x.iloc[:1], ends.y.iloc[:1], color=color, marker=style.marker(str(name)), linestyle="", label=label
        )
    above.set(
        xlabel="success p on a prompt",
        ylabel="utility F(p) / F(1)",
        title="(a) what a method maximizes",
    )
    above.legend(loc="upper left")
    below.set(
        xlabel="Pass@1 in the limit",
        ylabel="Pass@64 in the limit",
        title="(b) marker: alone; line: DS added",
    )
    below.legend(loc="lower left")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_utility", READS, draw))
