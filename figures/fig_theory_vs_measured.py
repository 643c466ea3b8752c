"""What T11 and T12 predict, and what networks did: `python -m figures.fig_theory_vs_measured --out build`."""

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
from rl.analysis import theory_vs_measured
from rl.analysis.reads import Experiments
from rl.analysis.results import NotRun, ResultError

READS = (Experiments(EXPERIMENTS),)


def ordered(compared: Compared) -> list[str]:
    """The tasks where three methods or more were run that T12 speaks of. Raises NotRun if there are none."""
    found = [task for task, results in compared.items() if len(theory_vs_measured.covered(results)) >= 3]
    if not found:
        raise NotRun(f"none of {', '.join(compared)} has three methods that T12 speaks of; run more with rl.sweep")
    return found


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (panel, task, method): x and y with the ends of their intervals (NaN where the number is no estimate).

    predicted: Pass@1 and Pass@8 in T12's limit; measured: Pass@1 and Pass@128; equal C: x = Gini–Simpson minus GRPO's.
    """
    rows = []
    for task in ordered(compared):
        results = compared[task]
        for method, one in theory_vs_measured.predicted(results).iterrows():
            rows.append({"panel": "predicted", "task": task, "method": method, "x": one.pass_1, "y": one.pass_k})
        for method, part in theory_vs_measured.measured(results).groupby("method", sort=False):
            first, large = (row for _, row in part.iterrows())
            ends = {f"{axis}_{end}": row[end] for axis, row in (("x", first), ("y", large)) for end in ("low", "high")}
            at = {"x": first["mean"], "y": large["mean"], **ends}
            rows.append({"panel": "measured", "task": task, "method": method, **at})
        for method in (one for one in theory_vs_measured.covered(results) if one != "grpo"):
            try:
                found = theory_vs_measured.off_orbit(results, method)
            except ResultError:  # one answer a problem: nothing to be diverse in
                continue
            ends = {"x": found["mean"], "x_low": found["low"], "x_high": found["high"]}
            rows.append({"panel": "equal C", "task": task, "method": method, **ends})
    return pd.DataFrame(rows)


def draw(data: pd.DataFrame) -> Figure:
    """Above: where T12 puts the methods. Middle: where they came out. Below: what T11 puts at zero."""
    tasks = list(dict.fromkeys(data.task))
    fig = plt.figure(figsize=(2 * style.COLUMN, 2.2 * style.COLUMN), layout="constrained")
    planes, zero = fig.subfigures(2, 1, squeeze=False, height_ratios=[2, 1.1])[:, 0]
    axes = planes.subplots(2, len(tasks), squeeze=False)
    for (above, middle), task in zip(axes.T, tasks):
        part = data[data.task == task]
        _plane(above, part[part.panel == "predicted"])
        _plane(middle, part[part.panel == "measured"])
        above.set(title=LABELS[task], xlabel="Pass@1, predicted")
        middle.set(xlabel="Pass@1, measured")
    axes[0, 0].set_ylabel(f"Pass@{theory_vs_measured.MODEL_K}, predicted (T12)")
    axes[1, 0].set_ylabel(f"Pass@{theory_vs_measured.K}, measured")
    _equal(zero.subplots(), data[data.panel == "equal C"])
    names = list(dict.fromkeys(data.method))
    handles = [
        plt.Line2D([], [], color=style.color(name), marker=style.marker(name), linestyle="", label=style.label(name))
        for name in names
    ]
    planes.legend(handles=handles, loc="outside lower center", ncols=len(names))
    return fig


def _plane(axes: Axes, part: pd.DataFrame) -> None:
    for _, one in part.iterrows():
        name = str(one.method)
        color = style.color(name)
        axes.plot(one.x, one.y, color=color, marker=style.marker(name), linestyle="", markersize=5)
        if np.isfinite(one.get("x_low", np.nan)):
            axes.plot([one.x_low, one.x_high], [one.y, one.y], color=color, linewidth=0.8)
            axes.plot([one.x, one.x], [one.y_low, one.y_high], color=color, linewidth=0.8)


def _equal(axes: Axes, part: pd.DataFrame) -> None:
    """One line a method, tasks below each other in it."""
    methods, tasks = list(dict.fromkeys(part.method)), list(dict.fromkeys(part.task))
    places: list[float] = []
    labels: list[str] = []
    for task in tasks:
        for method in methods:
            one = part[(part.task == task) & (part.method == method)]
            if one.empty:
                continue
            y = -float(len(places)) - 0.8 * tasks.index(task)
            row = one.iloc[0]
            axes.plot([row.x_low, row.x_high], [y, y], color=style.color(method), linewidth=1.2)
            axes.plot(row.x, y, color=style.color(method), marker=style.marker(method), markersize=5)
            places.append(y)
            labels.append(f"{style.label(method)}, {LABELS[task]}")
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(places, labels)
    axes.set(
        xlabel="Gini–Simpson minus GRPO's, at equal C of the same problem",
        title="Predicted for tabular policies (T11): 0 for all but DS-GRPO",
    )


if __name__ == "__main__":
    sys.exit(figure("fig_theory_vs_measured", READS, draw, frame))
