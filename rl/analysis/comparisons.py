"""From recorded runs to estimates with intervals: curves, paired differences. Pure functions on data frames.

Two sources of variation are kept apart. Seeds: each has its own base model, and a t-interval over the seeds' own
numbers says how sure the ranking is for a new base model. Problems: a paired bootstrap over held-out problems says how
sure it is for these base models on new problems. A verdict rests on the t-interval; the bootstrap stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from differential_smoothing.passk import pass_at_k_exact
from rl.analysis.results import NotRun, ResultError, Results, Run
from rl.analysis.statistics import holm, paired_bootstrap, t_interval, t_test

Quantity = Callable[[Run], np.ndarray]  # one number per held-out problem
COMPARED_SEEDS = 3  # that a method needs to be compared with the others


def pass_at(k: int) -> Quantity:
    """Pass@k of each problem: 1 − (1 − C)^k where C is exact, else the unbiased estimate of the evaluation.

    C of a sampled evaluation is a share c/n, from which that formula would be biased. Raises ResultError, naming the
    file and the ks that there are, if k is none of them.
    """

    def of(run: Run) -> np.ndarray:
        if run.exact:
            return pass_at_k_exact(run.problems["C"].to_numpy(), k)
        if f"passk_{k}" not in run.problems:
            ks = ", ".join(str(known) for known in run.ks)
            raise ResultError(f"{run.evaluation}: sampled, and Pass@{k} was not evaluated; there are k = {ks}")
        return column(f"passk_{k}")(run)

    return of


def correctness(run: Run) -> np.ndarray:
    """C of each problem; raises ResultError if it is not exact, for what rests on C at any k, as no share c/n does."""
    if not run.exact:
        raise ResultError(f"{run.evaluation}: sampled, and this needs the exact C; only Pass@k at its own ks is there")
    return run.problems["C"].to_numpy(dtype=float)


def column(name: str) -> Quantity:
    """A column of the evaluation, one number per problem (NaN where undefined, such as diversity at C = 0).

    Raises ResultError, naming the file, if the evaluation has no such column.
    """

    def of(run: Run) -> np.ndarray:
        if name not in run.problems:
            raise ResultError(f"{run.evaluation}: has no {name!r} of its problems; it was evaluated without")
        return run.problems[name].to_numpy(dtype=float)

    return of


def benchmarks(results: Results) -> list[str]:
    """The benchmarks that the held-out problems belong to, by name; raises ResultError if there are none."""
    run = results.runs[0]
    if "benchmark" not in run.problems:
        raise ResultError(f"{run.evaluation}: its problems belong to no benchmarks")
    return sorted(str(name) for name in run.problems["benchmark"].unique())


def within(results: Results, benchmark: str) -> Results:
    """The same runs on the problems of one benchmark alone."""
    kept = (replace(run, problems=run.problems[run.problems["benchmark"] == benchmark]) for run in results.runs)
    return replace(results, runs=tuple(kept))


def interval(values: Sequence[np.ndarray], reference: Sequence[np.ndarray] | None = None) -> dict[str, Any]:
    """Mean over seeds of the mean over problems, minus the reference's if given, with its 95% interval.

    values, reference: one array (problems,) per seed, in the same order. Two seeds or more: t-interval over seeds.
    One seed: paired bootstrap over problems, which says nothing about other base models; `over` tells which it is.
    """
    pairs = _defined(values, reference if reference is not None else [np.zeros_like(value) for value in values])
    single = len(pairs) == 1
    found = paired_bootstrap(*pairs[0], np.random.default_rng(0)) if single else t_interval(_means(pairs))
    over = "problems" if single else "seeds"
    return {"mean": found.estimate, "low": found.low, "high": found.high, "seeds": len(pairs), "over": over}


def _defined(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each seed the two quantities of the problems for which both are defined."""
    masks = [~(np.isnan(a) | np.isnan(b)) for a, b in zip(first, second)]
    return [(a[mask], b[mask]) for a, b, mask in zip(first, second, masks)]


def _means(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    return [float(np.mean(a) - np.mean(b)) for a, b in pairs]


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95% t-interval of one number per seed; NaN ends for a single seed, NaN all where one is not finite."""
    if not np.isfinite(values).all():
        return {"mean": np.nan, "low": np.nan, "high": np.nan}
    found = t_interval(values)
    low, high = (found.low, found.high) if len(values) > 1 else (np.nan, np.nan)
    return {"mean": found.estimate, "low": low, "high": high}


def common(results: Results, *methods: str) -> list[int]:
    """The seeds that all of `methods` have; raises NotRun if one has none or they share none."""
    seeds = sorted(set.intersection(*(set(results.of(method)) for method in methods)))
    if not seeds:
        raise NotRun(f"{results.experiment}: {' and '.join(methods)} have no seed in common")
    return seeds


def by_seed(results: Results, method: str, seeds: Sequence[int], quantity: Quantity) -> list[np.ndarray]:
    """The quantity of each problem, (problems,) for each seed."""
    runs = results.of(method)
    return [quantity(runs[seed]) for seed in seeds]


def seed_means(results: Results, method: str, seeds: Sequence[int], quantity: Quantity) -> list[float]:
    """The quantity's mean over problems, for each seed."""
    return [float(values.mean()) for values in by_seed(results, method, seeds, quantity)]


def compared_methods(results: Results, reference: str = "grpo") -> list[str]:
    """The methods with `COMPARED_SEEDS` seeds in common with `reference`, or all of its seeds where it has fewer."""
    seeds = set(results.of(reference))
    wanted = min(COMPARED_SEEDS, len(seeds))
    return [name for name in results.methods() if len(seeds & set(results.of(name))) >= wanted]


def curves(results: Results, methods: Sequence[str], ks: Sequence[int], reference: str | None = None) -> pd.DataFrame:
    """Pass@k against k, or its difference to `reference` on common seeds: columns method, k and those of `interval`."""
    rows = []
    for method in methods:
        seeds = common(results, method, reference or method)
        for k in ks:
            ours = by_seed(results, method, seeds, pass_at(k))
            theirs = by_seed(results, reference, seeds, pass_at(k)) if reference else None
            rows.append({"method": method, "k": k, **interval(ours, theirs)})
    return pd.DataFrame(rows)


def paired(results: Results, method: str, reference: str, quantity: Quantity) -> dict[str, float]:
    """`method` − `reference` on their common seeds: mean, 95% t-interval over seeds, p, bootstrap over problems."""
    seeds = common(results, method, reference)
    first, second = (by_seed(results, one, seeds, quantity) for one in (method, reference))
    differences = _means(_defined(first, second))
    seeds_say = t_interval(differences)
    # problems are the same for every seed: average over seeds first, then resample problems
    both = np.nanmean(np.stack(first), axis=0), np.nanmean(np.stack(second), axis=0)
    defined = ~(np.isnan(both[0]) | np.isnan(both[1]))
    problems_say = paired_bootstrap(both[0][defined], both[1][defined], np.random.default_rng(0))
    return {
        "difference": seeds_say.estimate,
        "low": seeds_say.low,
        "high": seeds_say.high,
        "p": t_test(differences),
        "problems_low": problems_say.low,
        "problems_high": problems_say.high,
        "seeds": len(seeds),
        "positive_seeds": sum(value > 0 for value in differences),
    }


def difference(results: Results, method: str, reference: str, quantity: Quantity) -> dict[str, Any]:
    """`method` − `reference` on common seeds, with its interval (see `interval`)."""
    seeds = common(results, method, reference)
    return interval(*(by_seed(results, one, seeds, quantity) for one in (method, reference)))


def comparison(
    results: Results, reference: str, quantities: dict[str, Quantity], primary: Sequence[str] = ()
) -> pd.DataFrame:
    """Every method against `reference` in every quantity, with Holm's correction over all that is not primary.

    primary: the endpoints named before the runs, as `method:quantity`; their p stands as it is.
    """
    rows = []
    for method in results.methods():
        if method != reference:
            for name, quantity in quantities.items():
                rows.append({"method": method, "quantity": name, **paired(results, method, reference, quantity)})
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    frame["primary"] = [f"{row.method}:{row.quantity}" in primary for row in frame.itertuples()]
    frame["p_holm"] = frame["p"]
    others = frame.index[~frame["primary"] & frame["p"].notna()]
    adjusted = holm({str(row): float(frame.loc[row, "p"]) for row in others})
    frame.loc[others, "p_holm"] = [adjusted[str(row)] for row in others]
    return frame


def samples_to_reach(correctness: np.ndarray, target: float) -> float:
    """The (real) number of samples k at which the mean of 1 − (1 − C)^k reaches `target`; inf if it never does.

    correctness: C of each problem, shape (problems,). The mean is increasing in k: bisection on log k.
    """
    log_miss = np.log1p(-np.clip(correctness, 0.0, 1.0 - 1e-15))

    def reached(log_k: float) -> bool:
        return float(np.mean(-np.expm1(np.exp(log_k) * log_miss))) >= target

    low, high = np.log(1e-3), np.log(1e9)
    if not reached(high):
        return float("inf")
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return float(np.exp(high))
