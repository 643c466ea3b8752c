"""Countdown trained to saturation: Pass@k at the endpoint, and each method's difference to GRPO."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.comparisons import common, over_seeds, seed_means
from rl.analysis.endpoint import at_endpoint
from rl.analysis.protocol import REFERENCE
from rl.analysis.reads import Reads, Saturated
from rl.analysis.results import Results

READS: Reads = (Saturated(),)
KS = tuple(2**i for i in range(11))
SHOWN = ("base", "grpo", "ds-grpo", "entropy-bonus", "entropy-penalty", "maxrl", "ds-grpo@maxrl")


def frame(results: Results) -> pd.DataFrame:
    """Rows (panel, method, k) with mean, low, high and seeds; panel `pass@k`, or `difference` to GRPO by seed."""
    there = set(results.methods(variants=True))
    rows = []
    for method in (name for name in SHOWN if name in there):
        seeds = common(results, method, REFERENCE)
        for k in KS:
            ours, theirs = (seed_means(results, name, seeds, at_endpoint(k)) for name in (method, REFERENCE))
            rows.append({"panel": "pass@k", "method": method, "k": k, **over_seeds(ours), "seeds": len(seeds)})
            if method not in ("base", REFERENCE):
                apart = over_seeds([a - b for a, b in zip(ours, theirs)])
                rows.append({"panel": "difference", "method": method, "k": k, **apart, "seeds": len(seeds)})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """Two panels over a common, logarithmic k axis; bands are 95% intervals over seeds."""
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(1.3 * style.COLUMN, 1.7 * style.COLUMN), sharex=True, layout="constrained"
    )
    for axes, panel in ((top, "pass@k"), (bottom, "difference")):
        for name, rows in data[data["panel"] == panel].groupby("method", sort=False):
            method = str(name)
            look = "--" if "@" in method else "-"
            axes.plot(rows["k"], rows["mean"], look, color=style.color(method), label=style.label(method))
            axes.fill_between(rows["k"], rows["low"], rows["high"], color=style.color(method), alpha=0.15, linewidth=0)
    bottom.axhline(0, color="0.4", linewidth=0.8)
    top.set(title=f"{data['seeds'].min()} seeds and more; 95% over seeds", ylabel="Pass@k, held-out problems")
    bottom.set(xlabel="samples k", ylabel="difference to GRPO")
    bottom.set_xscale("log", base=2)
    top.legend(loc="lower right")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_saturated_passk", READS, draw, frame))
