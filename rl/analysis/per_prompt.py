"""Success prompt by prompt: what a mean of Pass@k hides.

The Pass@k of a prompt is a function of its own C alone, so diversity inside one prompt cannot move it. What moves the
mean is which prompts become or stay solvable; these tables show that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rl.analysis.comparisons import Quantity, common, over_seeds
from rl.analysis.endpoint import at_endpoint
from rl.analysis.results import Results

EDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Ends of the bins of C: dense where a prompt is rarely solved."""
TAUS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 0.03, *np.linspace(0.05, 1, 20).round(2).tolist())
SUCCESS = at_endpoint(1)


def bins(c: np.ndarray, edges: Sequence[float] = EDGES) -> np.ndarray:
    """The bin of each C, (problems,): 0 for [edges[0], edges[1]), …; the last bin holds its upper end too."""
    return np.clip(np.searchsorted(edges, c, side="right") - 1, 0, len(edges) - 2)


def histogram(
    results: Results, methods: Sequence[str], edges: Sequence[float] = EDGES, success: Quantity = SUCCESS
) -> pd.DataFrame:
    """The share of prompts in each bin of C: columns method, from, to, seeds and those of `over_seeds`."""

    def shares(c: np.ndarray) -> np.ndarray:
        return np.bincount(bins(c, edges), minlength=len(edges) - 1) / len(c)

    ends = [{"from": low, "to": high} for low, high in pairwise(edges)]
    return _by_method(results, methods, ends, shares, success)


def profile(
    results: Results, methods: Sequence[str], taus: Sequence[float] = TAUS, success: Quantity = SUCCESS
) -> pd.DataFrame:
    """Performance profile, the share of prompts with C ≥ tau: columns method, tau, seeds and those of `over_seeds`."""

    def shares(c: np.ndarray) -> np.ndarray:
        return (c[:, None] >= np.asarray(taus)).mean(axis=0)

    return _by_method(results, methods, [{"tau": tau} for tau in taus], shares, success)


def _by_method(
    results: Results,
    methods: Sequence[str],
    places: Sequence[dict[str, float]],
    shares: Callable[[np.ndarray], np.ndarray],
    success: Quantity,
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for method in methods:
        runs = results.of(method)
        found = np.stack([shares(success(run)) for run in runs.values()])
        rows += [
            {"method": method, **place, **over_seeds(column), "seeds": len(runs)}
            for place, column in zip(places, found.T)
        ]
    return pd.DataFrame(rows)


def by_base(
    results: Results, methods: Sequence[str], edges: Sequence[float] = EDGES, success: Quantity = SUCCESS
) -> pd.DataFrame:
    """The mean C of the prompts in each bin of their base's C: columns method, from, to, prompts (mean over seeds),
    seeds (those with a prompt in the bin) and those of `over_seeds`; a bin without any prompt has no row."""
    rows = []
    for method in methods:
        pairs = [
            (bins(success(results.of("base")[seed]), edges), success(results.of(method)[seed]))
            for seed in common(results, "base", method)
        ]
        for number, (low, high) in enumerate(pairwise(edges)):
            inside = [c[place == number] for place, c in pairs]
            means = [float(part.mean()) for part in inside if len(part)]
            if means:
                prompts = float(np.mean([len(part) for part in inside]))
                place = {"method": method, "from": low, "to": high, "prompts": prompts}
                rows.append({**place, **over_seeds(means), "seeds": len(means)})
    return pd.DataFrame(rows)
