"""By the problems' own number of solutions: what the methods do where there is one answer, and where many."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from figures.cells import estimate
from figures.command import table
from rl.analysis.comparisons import column, common, interval, pass_at
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import Results, Run

READS = (Experiment(MAIN),)
BINS = {"1": (1, 1), "2–3": (2, 3), "4–7": (4, 7), "8 and more": (8, 10**9)}


def _within(run: Run, k: int, low: int, high: int) -> np.ndarray:
    solutions = column("solutions")(run)
    return pass_at(k)(run)[(low <= solutions) & (solutions <= high)]


def frame(results: Results) -> pd.DataFrame:
    """Rows (solutions, method): Pass@1, Pass@1024 and their differences to GRPO within the bin."""
    rows = []
    for label, bounds in BINS.items():
        for method in results.methods():
            seeds = common(results, method, "grpo")
            count = len(_within(results.of("grpo")[seeds[0]], 1, *bounds))
            if not count:
                continue
            row = {"solutions": label, "problems": count, "method": method, "seeds": len(seeds)}
            for k in (1, 1024):
                ours, theirs = (
                    [_within(results.of(which)[seed], k, *bounds) for seed in seeds] for which in (method, "grpo")
                )
                row[f"Pass@{k}"] = estimate(interval(ours))
                row[f"ΔPass@{k} to grpo"] = "" if method == "grpo" else estimate(interval(ours, theirs), "+")
            rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(
        table("tab_multiplicity", READS, frame, "By the number of distinct solutions of the problem; 95% intervals.")
    )
