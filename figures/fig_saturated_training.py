"""The claim as a function of training time: DS-GRPO minus GRPO at every evaluation, for small and large k."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.comparisons import common, over_seeds
from rl.analysis.protocol import REFERENCE
from rl.analysis.reads import Reads, Saturated
from rl.analysis.results import ResultError, Results

READS: Reads = (Saturated(),)
METHOD = "ds-grpo"
KS = (1, 8, 128, 1024)


def frame(results: Results) -> pd.DataFrame:
    """Rows (k, step): mean over seeds of the paired difference of held-out Pass@k, low, high, seeds."""
    seeds = common(results, METHOD, REFERENCE)
    rows = []
    for k in KS:
        name = f"heldout/pass@{k}"
        curves = []
        for seed in seeds:
            runs = [results.of(method)[seed] for method in (METHOD, REFERENCE)]
            for run in runs:
                if name not in run.metrics:
                    raise ResultError(f"{run.evaluation}: its metrics have no {name}; set train.heldout_every")
            ours, theirs = (run.metrics.set_index("step")[name].dropna() for run in runs)
            curves.append((ours - theirs).dropna())
        table = pd.concat(curves, axis=1).dropna()
        rows += [
            {"k": k, "step": step, **over_seeds(values.tolist()), "seeds": len(seeds)}
            for step, values in table.iterrows()
        ]
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """One panel a k, over the same axis of steps."""
    ks = list(dict.fromkeys(data["k"]))
    fig, panels = plt.subplots(
        2, 2, figsize=(2 * style.COLUMN, 1.4 * style.COLUMN), sharex=True, squeeze=False, layout="constrained"
    )
    color = style.color(METHOD)
    for axes, k in zip(panels.flat, ks):
        rows = data[data["k"] == k]
        axes.plot(rows["step"], rows["mean"], color=color)
        axes.fill_between(rows["step"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.set_title(f"Pass@{k}")
    for axes in panels[:, 0]:
        axes.set_ylabel("DS-GRPO − GRPO")
    for axes in panels[-1]:
        axes.set_xlabel("training step")
    fig.suptitle(f"{data['seeds'].iloc[0]} seeds, 95% over seeds", fontsize=8.5)
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_saturated_training", READS, draw, frame))
