"""T11 put to the test: how diverse a problem's correct answers are beside GRPO's, at equal success on that problem."""

from __future__ import annotations

import sys

import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import estimate, number
from figures.command import table
from rl.analysis.comparisons import compared_methods
from rl.analysis.reads import Experiments
from rl.analysis.results import NotRun, ResultError
from rl.analysis.theory_vs_measured import covered, off_orbit

READS = (Experiments(EXPERIMENTS),)


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (task, method): what T11 predicts for a tabular policy, and the difference in Gini–Simpson at equal C.

    Tasks where problems have one answer are left out. Raises NotRun if there is no other.
    """
    rows = []
    for task, results in compared.items():
        for method in (one for one in compared_methods(results) if one not in ("base", "grpo")):
            try:
                found = off_orbit(results, method)
            except ResultError:
                continue
            zero = method in covered(results) and method != "ds-grpo"
            rows.append(
                {
                    "task": task,
                    "method": method,
                    "predicted by T11": "0" if zero else "not 0",
                    "seeds": found["seeds"],
                    "problems": number(found["problems"], ".0f"),
                    "ΔGini–Simpson to grpo at equal C": estimate(found, "+"),
                }
            )
    if not rows:
        raise NotRun(f"{', '.join(compared)}: no problems with several answers")
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(
        table(
            "tab_equal_success",
            READS,
            frame,
            "T11 on trained models: diversity of correct answers minus GRPO's at equal C; 95% over seeds.",
        )
    )
