"""What a mean of Pass@k hides: how many problems are solved with which probability, before and after training."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.per_prompt import histogram, profile
from rl.analysis.reads import Reads, Saturated
from rl.analysis.results import Results

READS: Reads = (Saturated(),)
SHOWN = ("base", "grpo", "ds-grpo", "maxrl", "ds-grpo@maxrl")


def frame(results: Results) -> pd.DataFrame:
    """Rows (panel, method): `profile` has tau, `histogram` the bin's ends from and to; mean, low, high over seeds."""
    there = set(results.methods(variants=True))
    shown = [name for name in SHOWN if name in there]
    parts = [
        profile(results, shown).assign(panel="profile"),
        histogram(results, shown).assign(panel="histogram"),
    ]
    return pd.concat(parts, ignore_index=True)


def draw(data: pd.DataFrame) -> Figure:
    """Above: share of problems solved with probability tau or more. Below: share of problems in each bin of C."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(1.5 * style.COLUMN, 1.8 * style.COLUMN), layout="constrained")
    methods = list(dict.fromkeys(data["method"]))
    for method in methods:
        color, label = style.color(method), style.label(method)
        rows = data[(data["method"] == method) & (data["panel"] == "profile")]
        top.plot(rows["tau"], rows["mean"], "--" if "@" in method else "-", color=color, label=label)
        top.fill_between(rows["tau"], rows["low"], rows["high"], color=color, alpha=0.15, linewidth=0)
    bars = data[data["panel"] == "histogram"]
    bins = bars[bars["method"] == methods[0]]
    places, width = np.arange(len(bins)), 0.8 / len(methods)
    for number, method in enumerate(methods):
        rows = bars[bars["method"] == method]
        at = places + (number - (len(methods) - 1) / 2) * width
        whiskers = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        bottom.bar(at, rows["mean"], width, color=style.color(method), hatch="//" if "@" in method else None)
        bottom.errorbar(at, rows["mean"], whiskers, fmt="none", ecolor="0.2", elinewidth=0.7)
    top.set(xscale="log", xlabel="probability tau of a correct answer", ylabel="problems with C ≥ tau")
    top.legend(loc="lower left")
    bottom.set_xticks(places, [f"{low:g}–\n{high:g}" for low, high in zip(bins["from"], bins["to"])])
    bottom.set(xlabel="C, the probability of a correct answer", ylabel="share of problems")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_saturated_profile", READS, draw, frame))
