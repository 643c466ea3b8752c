"""One number per method over several tasks: interquartile mean and probability of improvement (Agarwal et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.analysis.comparisons import Quantity
from rl.analysis.results import Results
from rl.analysis.statistics import Interval, interquartile_mean, probability_of_improvement


def record(
    tasks: Mapping[str, Results], quantities: Mapping[str, Quantity], reference: str = "grpo"
) -> dict[str, Any] | None:
    """For every method that all tasks have, over the seeds that all of them share, so that each task counts alike.

    Keys: tasks, seeds, reference, rows (method, quantity, iqm and improvement, each with mean, low, high). None where
    fewer than two tasks share `reference` and a seed.
    """
    shared = set.intersection(*(set(one.methods()) for one in tasks.values())) if len(tasks) > 1 else set()
    runs = [results.of(method) for results in tasks.values() for method in shared]
    seeds = sorted(set.intersection(*map(set, runs))) if runs else []
    if reference not in shared or not seeds:
        return None
    rows = []
    for name, quantity in quantities.items():
        scores = {
            method: [
                np.array([float(np.nanmean(quantity(results.of(method)[seed]))) for seed in seeds])
                for results in tasks.values()
            ]
            for method in next(iter(tasks.values())).methods()
            if method in shared
        }
        rows += [
            {
                "method": method,
                "quantity": name,
                "iqm": _ends(interquartile_mean(found)),
                "improvement": _ends(probability_of_improvement(found, scores[reference])),
            }
            for method, found in scores.items()
        ]
    return {"tasks": list(tasks), "seeds": seeds, "reference": reference, "rows": rows}


def _ends(found: Interval) -> dict[str, float]:
    return {"mean": found.estimate, "low": found.low, "high": found.high}
