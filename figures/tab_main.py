"""The headline table: base, GRPO, DS-GRPO and all that was run beside them, on held-out problems."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd

from figures.cells import estimate
from figures.command import table
from rl.analysis.comparisons import Quantity, column, difference, interval, pass_at
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import Results

READS = (Experiment(MAIN),)

QUANTITIES: dict[str, Quantity] = {
    "Pass@1": pass_at(1),
    "Pass@8": pass_at(8),
    "Pass@64": pass_at(64),
    "Pass@1024": pass_at(1024),
    "share of solutions in 128": column("coverage_128"),
    "Gini–Simpson of π_K": column("gini_simpson"),
    "entropy of π_K (nats)": column("entropy"),
}


def rows_for(results: Results, methods: list[str], references: tuple[str, ...] = ("grpo",)) -> pd.DataFrame:
    """One row a method: each quantity with its interval; to each reference, the differences of Pass@1 and Pass@1024."""
    rows = []
    for method in methods:
        runs = results.of(method)
        row: dict[str, Any] = {"method": method, "seeds": len(runs)}
        for name, quantity in QUANTITIES.items():
            row[name] = estimate(interval([quantity(run) for run in runs.values()]))
        for reference in references:
            for name in ("Pass@1", "Pass@1024"):
                same = method == reference
                found = None if same else difference(results, method, reference, QUANTITIES[name])
                row[f"Δ{name} to {reference}"] = estimate(found, "+") if found else ""
        rows.append(row)
    return pd.DataFrame(rows)


def frame(results: Results) -> pd.DataFrame:
    """All methods of the experiment."""
    return rows_for(results, results.methods())


if __name__ == "__main__":
    sys.exit(
        table(
            "tab_main", READS, frame, "Held-out problems; 95% intervals over seeds (over problems where one seed ran)."
        )
    )
