"""T7: where entropy bonus and penalty change places, DS on both sides, and how often a finite step flips."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.baselines import EXPERIMENTS, LABELS, Compared
from figures.command import figure
from rl.analysis.prediction import gain, gaps
from rl.analysis.reads import Experiments, Theory

READS = (Theory("fig_multiplicity"), Experiments(EXPERIMENTS, optional=True))
METHODS = ("ds", "entropy-bonus", "entropy-penalty")
TRAINED = ("ds-grpo", "entropy-bonus", "entropy-penalty")
MARKERS = {"maze-perfect": "s", "maze-looped": "D", "maze-misled": "^", "countdown": "o"}


def frame(table: pd.DataFrame, compared: Compared) -> pd.DataFrame:
    """The theory's table, and below it the measured models."""
    return pd.concat([table, measured(compared)], ignore_index=True)


def measured(compared: Compared) -> pd.DataFrame:
    """The trained models as rows of the panel `measured`, one for each task and method of `TRAINED`.

    x: E_{pi0|I} log pi0 − E_{pi0|K} log pi0 of the base models (nats, mean over seeds); y, low, high: logit C − logit C
    of GRPO with its 95% t-interval. No rows if nothing was run.
    """
    rows = []
    for task, results in compared.items():
        x = sum(gaps(results)) / len(gaps(results))
        for method in (method for method in TRAINED if method in results.methods()):
            gained = gain(results, method)
            values = {"x": x, "y": gained["mean"], "low": gained["low"], "high": gained["high"]}
            rows.append({"panel": "measured", "method": method, "task": task, **values})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """Gains over vanilla against multiplicity; below, trained models likewise if there are any; last, the share of
    bases where a finite step flips."""
    trained = data[data["panel"] == "measured"]
    ratios = (3, 2) if trained.empty else (3, 2, 2)
    fig, panels = plt.subplots(
        len(ratios),
        1,
        figsize=(style.COLUMN, (0.2 + 0.25 * sum(ratios)) * style.COLUMN),
        height_ratios=ratios,
        layout="constrained",
    )
    _gains(panels[0], data[data["panel"] == "gain"])
    if not trained.empty:
        _measured(panels[1], trained)
    _flips(panels[-1], data[data["panel"] == "flips"])
    return fig


def _ratio_axis(axes: Axes) -> None:
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.axvline(1, color="0.4", linewidth=0.8, linestyle="--")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")


def _measured(axes: Axes, data: pd.DataFrame) -> None:
    for (task, method), rows in data.groupby(["task", "method"], sort=False):
        [one] = rows.to_dict("records")
        error = None if one["low"] != one["low"] else [[one["y"] - one["low"]], [one["high"] - one["y"]]]
        place = np.exp(one["x"]) * 1.07 ** (TRAINED.index(method) - 1)  # beside each other
        color, marker = style.color(str(method)), MARKERS[str(task)]
        axes.errorbar(place, one["y"], yerr=error, fmt=marker, color=color, ms=4, capsize=2, zorder=3)
    for task in dict.fromkeys(data["task"]):
        axes.plot([], [], MARKERS[task], color="0.3", ms=4, label=LABELS[task])
    _ratio_axis(axes)
    axes.set_xlabel("base: mistakes over answers, $e^{E_I-E_K}$")
    axes.set_ylabel("trained models:\ngain over GRPO (nats)")
    axes.set_xlim(right=128)  # leaves room for the key where a bonus would help
    axes.legend(loc="lower right", labelspacing=0.3)


def _gains(axes: Axes, data: pd.DataFrame) -> None:
    for method in METHODS:
        rows = data[data["method"] == method]
        axes.plot(np.exp(rows["x"]), rows["y"], color=style.color(method), marker=".", ms=4, label=style.label(method))
    _ratio_axis(axes)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.1 * (high - low))
    for place, align, text in ((0.92, "right", "penalty helps"), (1.08, "left", "bonus helps")):
        axes.text(place, low + 0.03 * (high - low), text, ha=align, va="bottom", color="0.3")
    axes.set_xlabel("correct answers over threshold, $M/M^*$")
    axes.set_ylabel("log-odds of correct,\ngain over vanilla (nats)")
    axes.legend(loc="upper left", labelspacing=0.3)


def _flips(axes: Axes, data: pd.DataFrame) -> None:
    for method, shade in zip(data["method"].unique(), ("0.65", "0.4", "0.1")):
        rows = data[data["method"] == method]
        for side in (rows[rows["x"] < 1], rows[rows["x"] > 1]):
            label = f"{method.removeprefix('m=')} answers" if side["x"].iloc[0] < 1 else None
            axes.plot(side["x"], 100 * side["y"], color=shade, label=label)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("$s$  (0: full bonus, 1: vanilla, above: penalty)")
    axes.set_ylabel("sign flips (% of\nrandom bases)")
    axes.legend(loc="upper right", labelspacing=0.3)


if __name__ == "__main__":
    sys.exit(figure("fig_multiplicity", READS, draw, frame))
