"""One number a method over all tasks: interquartile mean, and the probability that a run is better than GRPO's."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.baselines import EXPERIMENTS, LABELS, Compared
from figures.command import figure
from rl.analysis import across_tasks
from rl.analysis.comparisons import pass_at
from rl.analysis.reads import Experiments
from rl.analysis.results import NotRun

READS = (Experiments({name: scale for name, scale in EXPERIMENTS.items() if name != "maze-misled"}),)
KS = (1, 1024)
MEASURES = {"iqm": "interquartile mean", "improvement": "P(better than GRPO)"}


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (method, k, measure): mean, low, high, and over what tasks and seeds. NotRun for fewer than two tasks."""
    found = across_tasks.record(compared, {f"{k}": pass_at(k) for k in KS})
    if found is None:
        raise NotRun("two tasks with GRPO and a seed in common are needed; run more with rl.sweep")
    over = {"tasks": "; ".join(LABELS[name] for name in found["tasks"]), "seeds": len(found["seeds"])}
    return pd.DataFrame(
        [
            {"method": row["method"], "k": int(row["quantity"]), "measure": measure, **row[measure], **over}
            for row in found["rows"]
            for measure in MEASURES
        ]
    )


def draw(data: pd.DataFrame) -> Figure:
    """A row of panels for each k; methods from top to bottom by their interquartile mean."""
    ks = list(dict.fromkeys(data["k"]))
    size = (2 * style.COLUMN, 0.95 * style.COLUMN * len(ks))
    fig, panels = plt.subplots(len(ks), 2, figsize=size, squeeze=False, layout="constrained")
    for (left, right), k in zip(panels, ks):
        part = data[data["k"] == k]
        order = part[part["measure"] == "iqm"].sort_values("mean")["method"].tolist()
        for axes, (measure, name) in zip((left, right), MEASURES.items()):
            rows = part[part["measure"] == measure].set_index("method")
            shown = [one for one in order if measure == "iqm" or one not in ("base", "grpo")]
            for number, method in enumerate(shown):
                color, one = style.color(method), rows.loc[method]
                axes.plot([one["low"], one["high"]], [number, number], color=color)
                axes.plot(one["mean"], number, style.marker(method), color=color)
            axes.set_yticks(np.arange(len(shown)), [style.label(one) for one in shown])
            axes.set_xlabel(f"{name}, Pass@{k}")
        right.axvline(0.5, color="0.4", linewidth=0.8)
        right.set_xlim(-0.03, 1.03)
    fig.suptitle(f"{data['tasks'].iloc[0]}; {data['seeds'].iloc[0]} seeds each; 95% bootstrap", fontsize=8.5)
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_across_tasks", READS, draw, frame))
