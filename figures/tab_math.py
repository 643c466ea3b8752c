"""Mathematics in numbers: model × benchmark × method; the runs of the paper's models that were not made say so."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from figures.cells import Cell, estimate, number
from figures.command import table
from figures.describe import model_name
from rl.analysis.comparisons import Quantity, benchmarks, column, common, interval, pass_at, within
from rl.analysis.reads import Experiment, Experiments, Files
from rl.analysis.results import ResultError, Results, Run
from rl.experiments.config import read

PAPER = ("ministral-8b", "qwen25-math-15b", "qwen25-math-7b", "qwen3-17b")
READS = (
    Experiment({"cpu": "linear"}),
    Experiments(dict.fromkeys(PAPER, "paper"), optional=True),
    Files("rl/experiments/paper/*.yaml"),
)
REFERENCE = "grpo"
ALL = "all problems"
FAILED = {
    "timeouts": ("timeout", "died"),
    "no readable answer": ("no answer", "unparsed", "gold unparsed", "too long"),
}


def frame(results: Results, paper: Mapping[str, Results], plans: Sequence[Path]) -> pd.DataFrame:
    """The rows of `results`, then those of the paper's models: what is recorded, a row for all that is not.

    paper: what was run of them; plans: their YAMLs.
    """
    rows = recorded(results)
    for planned in (one for one in map(read, plans) if one["name"] in PAPER):
        found = results if planned["name"] == results.experiment else paper.get(planned["name"])
        if found is not None and found is not results:
            rows += recorded(found)
        rows += _left(planned, found.methods() if found is not None else [])
    return pd.DataFrame(rows).fillna("")


def recorded(results: Results) -> list[dict[str, Any]]:
    """Rows (benchmark, method) of one experiment, before them those of all problems if there are several benchmarks."""
    names = benchmarks(results)
    parts = {ALL: results} if len(names) > 1 else {}
    parts |= {name: within(results, name) for name in names}
    return [_row(part, name, method) for name, part in parts.items() for method in part.methods()]


def _row(part: Results, benchmark: str, method: str) -> dict[str, Any]:
    runs = part.of(method)
    k = next(iter(runs.values())).ks[-1]
    routes = next(iter(runs.values())).config["task"]["name"] != "math"  # there one answer is not told from another
    row = {
        "model": model_name(part),
        "benchmark": benchmark,
        "problems": number(len(next(iter(runs.values())).problems), "d"),
        "method": method,
        "seeds": number(len(runs), "d"),
        "Pass@1": _mean(runs, pass_at(1)),
        "k": number(k, "d"),
        "Pass@k": _mean(runs, pass_at(k)),
    }
    for name, size in (("ΔPass@1", 1), ("ΔPass@k", k)):
        row[f"{name} to {REFERENCE}"] = "" if method == REFERENCE else _difference(part, method, size)
    row["distinct correct routes in k"] = _mean(runs, column(f"distinct_{k}")) if routes else "not told apart"
    for name, reasons in FAILED.items():
        row[f"{name} (%)"] = number(
            100 * float(np.mean([_share(run, benchmark, reasons) for run in runs.values()])), ".2g"
        )
    return row


def _mean(runs: dict[int, Run], quantity: Quantity) -> Cell:
    return estimate(interval([quantity(run) for run in runs.values()]))


def _difference(part: Results, method: str, k: int) -> Cell:
    seeds = common(part, method, REFERENCE)
    ours, theirs = ([pass_at(k)(part.of(which)[seed]) for seed in seeds] for which in (method, REFERENCE))
    return estimate(interval(ours, theirs), "+")


def _share(run: Run, benchmark: str, reasons: tuple[str, ...]) -> float:
    """The share of all samples whose verdict was given for one of `reasons`."""
    counts = (run.summary if benchmark == ALL else run.summary["benchmarks"][benchmark]).get("reasons")
    if not counts:
        raise ResultError(f"{run.evaluation}: does not count the reasons of verdicts on {benchmark}; evaluate it again")
    return sum(counts.get(reason, 0) for reason in reasons) / sum(counts.values())


def _left(planned: dict[str, Any], done: Sequence[str]) -> list[dict[str, Any]]:
    """A row for the methods of an experiment at the scale paper that are not `done`."""
    left = [method for method in ("base", *planned["methods"]) if method not in done]
    row = {
        "model": Path(planned["base"]["checkpoint"]["model"]).name,
        "benchmark": ", ".join(planned["task"]["benchmarks"]),
        "method": ", ".join(left),
        "Pass@1": Cell("not run", {" n": 0}),
    }
    return [row] if left else []


if __name__ == "__main__":
    caption = (
        "Held-out problems; 95% intervals over seeds (over problems where one seed ran). "
        "Right answers without a valid route count as one route."
    )
    sys.exit(table("tab_math", READS, frame, caption))
