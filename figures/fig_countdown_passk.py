"""Pass@k of the base model, GRPO and DS-GRPO on held-out Countdown, and DS-GRPO's difference to GRPO."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.comparisons import curves
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import Results

READS = (Experiment(MAIN),)
METHODS = ("base", "grpo", "ds-grpo")
KS = tuple(2**i for i in range(13))  # Pass@k is exact, so k may exceed any number of samples that one would draw


def frame(results: Results) -> pd.DataFrame:
    """Rows of both panels (`panel`: pass@k, difference); intervals over seeds, or over problems for one seed."""
    levels = curves(results, METHODS, KS).assign(panel="pass@k")
    differences = curves(results, ("ds-grpo",), KS, reference="grpo").assign(panel="difference")
    return pd.concat([levels, differences], ignore_index=True)


def draw(data: pd.DataFrame) -> Figure:
    """Two panels over a common, logarithmic k axis."""
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(style.COLUMN, 1.25 * style.COLUMN), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    for axes, panel in ((top, "pass@k"), (bottom, "difference")):
        for method, rows in data[data["panel"] == panel].groupby("method", sort=False):
            color = style.color(str(method))
            axes.plot(rows["k"], rows["mean"], color=color, label=style.label(str(method)))
            axes.fill_between(rows["k"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    bottom.axhline(0, color="0.4", linewidth=0.8)
    top.set_ylabel("Pass@k, held-out problems")
    bottom.set_ylabel("DS-GRPO − GRPO")
    bottom.set_xlabel("samples k")
    bottom.set_xscale("log", base=2)
    seeds, over = int(data["seeds"].min()), data["over"].iloc[0]
    top.set_title(f"{seeds} seed{'s' if seeds > 1 else ''}; 95% intervals over {over}")
    top.legend(loc="lower right")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_countdown_passk", READS, draw, frame))
