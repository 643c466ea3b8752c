"""Pass@k of the base model, GRPO and DS-GRPO on mathematics, a panel for each benchmark."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures import style
from figures.command import figure
from figures.describe import model_name
from rl.analysis.comparisons import benchmarks, curves, within
from rl.analysis.reads import Experiment
from rl.analysis.results import Results

READS = (Experiment({"cpu": "linear"}),)
METHODS = ("base", "grpo", "ds-grpo")
DOMAINS = {"linear": "linear equations", "math": "mathematics"}  # by the name of the task


def frame(results: Results) -> pd.DataFrame:
    """Rows (benchmark, method, k): Pass@k with its interval over seeds, or over problems for one seed."""
    run = results.runs[0]
    parts = []
    for benchmark in benchmarks(results):
        part = within(results, benchmark)
        rows = curves(part, METHODS, run.ks)
        parts.append(rows.assign(benchmark=benchmark, problems=len(part.runs[0].problems)))
    return pd.concat(parts, ignore_index=True).assign(
        domain=DOMAINS[run.config["task"]["name"]], model=model_name(results)
    )


def draw(data: pd.DataFrame) -> Figure:
    """A panel for each benchmark over logarithmic k, three in a row; what was measured stands above them."""
    panels = list(data.groupby("benchmark", sort=False))
    across = min(len(panels), 3)
    down = -(-len(panels) // across)
    fig, grid = plt.subplots(
        down,
        across,
        figsize=(2 * style.COLUMN, (0.35 + 0.62 * down) * style.COLUMN),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, (benchmark, part) in zip(grid.flat, panels):
        for method, rows in part.groupby("method", sort=False):
            color = style.color(str(method))
            axes.plot(rows["k"], rows["mean"], color=color, label=style.label(str(method)))
            axes.fill_between(rows["k"], rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0)
        axes.set_title(f"{benchmark} ({part['problems'].iloc[0]} problems)")
        axes.set_xscale("log", base=2)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -0.02), min(high, 1.02))  # a t-interval may go past what a probability can be
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    for axes in list(grid.flat)[max(0, len(panels) - across) : len(panels)]:  # the last of each column
        axes.set_xlabel("samples k")
        axes.tick_params(labelbottom=True)
    for row in grid:
        row[0].set_ylabel("Pass@k")
    first = data.iloc[0]
    seeds = f"{first['seeds']} seed{'s' if first['seeds'] > 1 else ''}; 95% intervals over {first['over']}"
    fig.suptitle(f"{first['domain']}, {first['model']}; {seeds}", fontsize=plt.rcParams["axes.titlesize"])
    fig.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS))
    return fig


if __name__ == "__main__":
    sys.exit(figure("fig_math_passk", READS, draw, frame))
