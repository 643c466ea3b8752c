"""T11, two knobs: `python -m figures.fig_weights --out build`."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.reads import Theory

READS = (Theory("fig_weights"),)
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))  # all lie on one line in the lower panel


def draw(data: pd.DataFrame) -> Figure:
    """Above: w_8(p). Below: diversity of correct answers against success, the same for all of them, not for DS."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(style.COLUMN, 1.7 * style.COLUMN), layout="constrained")
    groups = data.groupby(["panel", "method"], sort=False)
    names = data.loc[data.panel == "weight", "method"].drop_duplicates()
    for number, (name, dash) in enumerate(zip(names, DASHES)):
        color, label = style.color(name), style.label(name)
        part = groups.get_group(("weight", name))
        above.semilogy(part.p, part.value, color=color, label=label)
        part = groups.get_group(("orbit", name))
        below.plot(part.p, part.value, color=color, linestyle=dash, linewidth=2.4 - 0.3 * number)
    part = groups.get_group(("orbit", "ds"))
    below.plot(part.p, part.value, color=style.color("ds"), label=style.label("ds"))
    below.plot([], [], color="0.3", label="all methods of (a)")
    above.set(xlabel="probability p of a correct answer", ylabel=r"weight $w_8(p)$", title="(a) how fast, at each p")
    above.set_ylim(0.015, 20)
    above.legend(ncols=2, loc="lower left")
    below.set(
        xlabel="probability p of a correct answer", ylabel=r"Gini–Simpson of $\pi_K$", title="(b) where: one orbit"
    )
    below.set_ylim(bottom=0)
    below.legend(loc="lower left")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_weights", READS, draw))
