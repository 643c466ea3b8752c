"""What gamma was on each task, how much of the advantage the DS term made up there, and what it did to Pass@k."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import estimate
from figures.command import table
from rl.analysis.comparisons import common, difference, pass_at
from rl.analysis.reads import Experiments
from rl.analysis.results import Results

READS = (Experiments({**EXPERIMENTS, "linear": "cpu", "countdown-gpu": "gpu"}),)
LARGE_K = 1024
STRENGTHS = ("ds-grpo", "ds-grpo@matched")  # the second: gamma by the rule of docs/protocols/maze.md
LOGGED = {
    "accuracy of rollouts": "reward",
    "tokens a rollout": "completion_length",
    "distinct correct answers a group": "distinct_correct",
    "log π of a correct answer (nats)": "val/logp_correct",
    "the term's share of the advantage": "ds_share",
}


def _row(results: Results, method: str) -> dict[str, Any]:
    runs = results.of(method)
    options = next(iter(runs.values())).config["method"]
    row: dict[str, Any] = {
        "task": results.experiment,
        "method": method,
        "gamma_p": options["gamma_p"],
        "gamma_n": options["gamma_n"],
    }
    for name, column in LOGGED.items():
        row[name] = float(np.mean([run.metrics[column].dropna().mean() for run in runs.values()]))
    row["seeds"] = len(common(results, method, "grpo"))
    large = max(k for k in results.runs[0].ks if k <= LARGE_K)
    for name, k in (("ΔPass@1 to grpo", 1), ("ΔPass@k to grpo", large)):
        row[name] = estimate(difference(results, method, "grpo", pass_at(k)), "+")
    return row | {"k": large}


def frame(compared: Compared) -> pd.DataFrame:
    """Rows task by task where DS-GRPO was run: gammas, means over its training, and its differences to GRPO."""
    rows = []
    for results in compared.values():
        there = results.methods(variants=True)
        rows += [_row(results, method) for method in STRENGTHS if method in there]
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(
        table(
            "tab_gamma",
            READS,
            frame,
            "DS-GRPO's strengths and what they did; means over training and seeds, 95% intervals over seeds.",
        )
    )
