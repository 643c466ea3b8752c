"""T12's order of methods beside the measured one, and T11's zero beside what was measured at equal C."""

from __future__ import annotations

import sys

import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import estimate, number
from figures.command import table
from figures.fig_theory_vs_measured import ordered
from rl.analysis.reads import Experiments
from rl.analysis.theory_vs_measured import agreement

READS = (Experiments(EXPERIMENTS),)


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (task, k): Kendall's tau of predicted and measured order, and p of a random order that agrees as well."""
    rows = []
    for task in ordered(compared):
        for one in agreement(compared[task]):
            rows.append(
                {
                    "task": task,
                    "order by": f"Pass@{one['k']}",
                    "methods": one["methods"],
                    "seeds": one["seeds"],
                    "Kendall's tau": estimate(one, "+"),
                    "p of a random order": number(one["p"], ".3f"),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(
        table(
            "tab_theory_vs_measured",
            READS,
            frame,
            "T12's order of methods in its smallest model against the measured order; 95% over seeds.",
        )
    )
