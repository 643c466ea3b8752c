"""Samples DS-GRPO needs for the Pass@k that GRPO reaches with k: the paper's "4× fewer", measured."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from figures.fig_countdown_passk import KS
from rl.analysis.comparisons import common, correctness, over_seeds, pass_at, samples_to_reach
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import Results

READS = (Experiment(MAIN),)


def frame(results: Results) -> pd.DataFrame:
    """For each DS method and k: the factor k / (samples for GRPO's Pass@k), geometric mean over seeds."""
    rows = []
    for method in (name for name in results.methods() if name in ("ds-grpo", "ds-grpo-centered")):
        seeds = common(results, method, "grpo")
        for k in KS:
            logs = []
            for seed in seeds:
                target = float(np.mean(pass_at(k)(results.of("grpo")[seed])))
                needed = samples_to_reach(correctness(results.of(method)[seed]), target)
                logs.append(np.log(k / needed) if np.isfinite(needed) else np.nan)
            factor = {name: np.exp(value) for name, value in over_seeds(logs).items()}
            rows.append({"method": method, "k": k, **factor, "seeds": len(seeds)})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """The factor against GRPO's k, both logarithmic; 1 is no saving, the dashed line the paper's claim."""
    fig, axes = plt.subplots(figsize=(style.COLUMN, 0.8 * style.COLUMN), layout="constrained")
    for method, rows in data.groupby("method", sort=False):
        color = style.color(str(method))
        axes.plot(rows["k"], rows["mean"], color=color, label=style.label(str(method)))
        axes.fill_between(rows["k"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
    axes.axhline(1, color="0.4", linewidth=0.8)
    axes.axhline(4, color="0.4", linewidth=0.8, linestyle="--")
    axes.annotate("paper: 4× (second-hand)", (1, 4), xytext=(2, -3), textcoords="offset points", va="top", color="0.3")
    axes.set(xscale="log", yscale="log", xlabel="GRPO's samples k", ylabel="k / samples for the same Pass@k")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.85))
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_inference_cost", READS, draw, frame))
