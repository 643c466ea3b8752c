"""Every method on every task of the baseline comparison: its level, its difference to GRPO, and DS-GRPO's to it."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import Cell, estimate
from figures.command import table
from figures.describe import options
from rl.analysis.comparisons import difference, interval, pass_at
from rl.analysis.reads import Experiments
from rl.analysis.results import Results

READS = (Experiments(EXPERIMENTS),)
KS = (1, 128, 1024)


def _against(results: Results, method: str, reference: str, k: int) -> Cell:
    return estimate(difference(results, method, reference, pass_at(k)), "+")


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (task, method): options, seeds, Pass@k, its difference to GRPO, and DS-GRPO's difference to it."""
    rows = []
    for name, results in compared.items():
        for method in results.methods():
            runs = results.of(method)
            chosen = options(next(iter(runs.values())))
            row: dict[str, Any] = {"task": name, "method": method, "options": chosen, "seeds": len(runs)}
            for k in KS:
                row[f"Pass@{k}"] = estimate(interval([pass_at(k)(run) for run in runs.values()]))
            for k in KS:
                row[f"Δ@{k} to grpo"] = "" if method == "grpo" else _against(results, method, "grpo", k)
            if "ds-grpo" in results.methods():
                for k in KS:
                    same = method == "ds-grpo"
                    row[f"ds-grpo − it, @{k}"] = "" if same else _against(results, "ds-grpo", method, k)
            rows.append(row)
    return pd.DataFrame(rows).fillna("")


if __name__ == "__main__":
    caption = (
        "The baseline comparison; held-out problems, 95% intervals over seeds (where there is one: over problems)."
    )
    sys.exit(table("tab_heuristics", READS, frame, caption))
