"""The primary differences seed by seed, with their intervals and the band of what counts as equal."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.comparisons import common, over_seeds, seed_means
from rl.analysis.endpoint import KS, MARGIN, PRIMARY, at_endpoint
from rl.analysis.reads import Reads, Saturated
from rl.analysis.results import Results

READS: Reads = (Saturated(),)


def frame(results: Results) -> pd.DataFrame:
    """Rows (k, method, reference, seed) with the seed's difference at the endpoint, and mean, low, high over seeds."""
    rows = []
    for k in KS:
        for method, reference in PRIMARY:
            seeds = common(results, method, reference)
            ours, theirs = (seed_means(results, name, seeds, at_endpoint(k)) for name in (method, reference))
            apart = [a - b for a, b in zip(ours, theirs)]
            shared = {"k": k, "method": method, "reference": reference, **over_seeds(apart)}
            rows += [{**shared, "seed": seed, "difference": one} for seed, one in zip(seeds, apart)]
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """One panel a k: a point for each seed, its mean and 95% interval beside; gray: equal within the margin."""
    ks = list(dict.fromkeys(data["k"]))
    fig, panels = plt.subplots(
        1, len(ks), figsize=(2 * style.COLUMN, 0.85 * style.COLUMN), squeeze=False, layout="constrained"
    )
    for axes, k in zip(panels.flat, ks):
        part = data[data["k"] == k]
        labels = []
        axes.axvspan(-MARGIN, MARGIN, color="0.88", zorder=0)
        for number, ((_, reference), rows) in enumerate(part.groupby(["method", "reference"], sort=False)):
            color, one = style.color(str(reference)), rows.iloc[0]
            spread = np.linspace(-0.12, 0.12, len(rows)) if len(rows) > 1 else [0.0]
            axes.plot(rows["difference"], -number + 0.18 + np.asarray(spread), ".", color=color, ms=4, alpha=0.8)
            axes.plot([one.low, one.high], [-number - 0.15] * 2, color=color)
            axes.plot(one["mean"], -number - 0.15, style.marker(str(reference)), color=color)
            labels.append(f"− {style.label(str(reference))}")
        axes.axvline(0, color="0.4", linewidth=0.8)
        axes.set_yticks(-np.arange(len(labels)), labels)
        axes.set(title=f"Pass@{k}, DS-GRPO", xlabel="difference")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_saturated_pairs", READS, draw, frame))
