"""What the skeptic asks: is a method more than GRPO, or DS-GRPO, stopped earlier? Pass@k at the same Pass@1."""

from __future__ import annotations

import sys

import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import estimate, number
from figures.command import table
from rl.analysis.comparisons import common
from rl.analysis.early_stopping import against_early_stopping
from rl.analysis.reads import Experiments

READS = (Experiments(EXPERIMENTS),)
KS = (128, 1024)
REFERENCES = ("grpo", "ds-grpo")


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (task, method): seeds; for each reference the step at which it has the method's Pass@1, Pass@k minus its."""
    rows = []
    for name, results in compared.items():
        there = results.methods()
        for method in (one for one in there if one not in ("base", "grpo")):
            row = {"task": name, "method": method, "seeds": len(common(results, method, "grpo"))}
            for reference in (one for one in REFERENCES if one in there and one != method):
                found = {k: against_early_stopping(results, method, k, reference) for k in KS}
                row[f"{reference} stopped at step"] = number(found[KS[0]]["step"], ".0f")
                row |= {f"Pass@{k} − {reference}'s": estimate(found[k], "+") for k in KS}
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


if __name__ == "__main__":
    caption = (
        "Each method at its end against GRPO and DS-GRPO stopped when they first had the same Pass@1; validation "
        "problems, 95% intervals over seeds. Not named before the runs."
    )
    sys.exit(table("tab_early_stopping", READS, frame, caption))
