"""T7: where entropy bonus and penalty change places, DS on both sides, and how often a finite step flips."""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.sources import figure

METHODS = ("ds", "entropy-bonus", "entropy-penalty")


def draw(data: pd.DataFrame, measured: pd.DataFrame | None = None) -> Figure:
    """Gains over vanilla against multiplicity, above; the share of bases where a finite step flips, below.

    measured: trained models to lay on the upper panel, columns `method` (a key of `style.COLORS`), `x`
    (E_{pi0|I} log pi0 − E_{pi0|K} log pi0 of the base model, nats), `y` (logit C − logit C of GRPO), `low`, `high`.
    """
    fig, (upper, lower) = plt.subplots(
        2, 1, figsize=(style.COLUMN, 1.45 * style.COLUMN), height_ratios=(3, 2), layout="constrained"
    )
    _gains(upper, data[data["panel"] == "gain"])
    if measured is not None:
        for method, rows in measured.groupby("method", sort=False):
            error = np.array([rows["y"] - rows["low"], rows["high"] - rows["y"]])
            upper.errorbar(np.exp(rows["x"]), rows["y"], yerr=error, fmt="o", color=style.COLORS[str(method)])
    _flips(lower, data[data["panel"] == "flips"])
    return fig


def _gains(axes: Axes, data: pd.DataFrame) -> None:
    for method in METHODS:
        rows = data[data["method"] == method]
        axes.plot(
            np.exp(rows["x"]), rows["y"], color=style.COLORS[method], marker=".", ms=4, label=style.LABELS[method]
        )
    axes.axhline(0, color="0.4", linewidth=0.8)
    axes.axvline(1, color="0.4", linewidth=0.8, linestyle="--")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.1 * (high - low))
    for place, align, text in ((0.92, "right", "penalty helps"), (1.08, "left", "bonus helps")):
        axes.text(place, low + 0.03 * (high - low), text, ha=align, va="bottom", color="0.3")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if x >= 1 else f"1/{1 / x:g}")
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
    sys.exit(figure("fig_multiplicity", draw))
