"""The theory's picture on a real model: reward, entropy, correctness and diversity along training."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from rl.analysis.comparisons import over_seeds
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import ResultError, Results

READS = (Experiment(MAIN),)
PANELS = {
    "reward": "mean reward (train)",
    "entropy": "token entropy (nats)",
    "val/pass@1": "correctness C (validation)",
    "val/gini_simpson": "diversity of $\\pi_K$ (Gini–Simpson)",
}
WINDOW = 10  # steps over which what is measured on 32 prompts a step is averaged, so that curves can be told apart


def frame(results: Results) -> pd.DataFrame:
    """Rows (quantity, method, step): mean and 95% t-interval over seeds; training quantities averaged over 10 steps."""
    rows = []
    for method in (name for name in results.methods() if name in ("grpo", "ds-grpo", "ds-grpo-centered")):
        runs = results.of(method)
        for quantity in PANELS:
            curves = []
            for run in runs.values():
                if quantity not in run.metrics:
                    raise ResultError(f"{run.folder}: metrics.jsonl has no {quantity!r}; run it again")
                values = run.metrics.set_index("step")[quantity].dropna()
                if not quantity.startswith("val/"):
                    values = values.groupby((values.index - 1) // WINDOW * WINDOW + WINDOW).mean()
                curves.append(values)
            for step, values in pd.concat(curves, axis=1).dropna().iterrows():
                rows.append({"quantity": quantity, "method": method, "step": step, **over_seeds(list(values))})
    return pd.DataFrame(rows).assign(seeds=len(results.of("grpo")))


def draw(data: pd.DataFrame) -> Figure:
    """Four small panels over the training step."""
    fig, grid = plt.subplots(2, 2, figsize=(2 * style.COLUMN, 1.35 * style.COLUMN), sharex=True, layout="constrained")
    for axes, (quantity, label) in zip(grid.flat, PANELS.items()):
        for method, rows in data[data["quantity"] == quantity].groupby("method", sort=False):
            color = style.color(str(method))
            axes.plot(rows["step"], rows["mean"], color=color, label=style.label(str(method)))
            axes.fill_between(rows["step"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
        axes.set_ylabel(label)
    for axes in grid[-1]:
        axes.set_xlabel("training step")
    grid.flat[0].legend(loc="lower right")
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_training", READS, draw, frame))
