"""Countdown trained to saturation: the estimates of docs/protocols/countdown-saturated.md, from any of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rl.analysis import per_prompt
from rl.analysis.comparisons import Quantity, common, over_seeds
from rl.analysis.early_stopping import at_equal_pass1, end_against_stopped, path
from rl.analysis.endpoint import PRIMARY, area_at_endpoint, at_endpoint
from rl.analysis.results import NotRun, ResultError, Results, load
from rl.analysis.statistics import holm, pooled_interval, t_interval, t_test, tost, two_way_bootstrap

EXPERIMENT = "countdown-saturated"
CONTROLS = {"countdown-saturated-lr3": "lr3", "countdown-saturated-16x32": "16x32"}
"""Experiments that differ in one setting, and the mark that their methods get beside those of the first."""
REFERENCE = "grpo"
FIRST_LOOK = 4
"""Seeds with every method of the primary comparisons before anything is compared: spread alone fixes their number."""
QUANTITIES: dict[str, Quantity] = {f"pass@{k}": at_endpoint(k) for k in (1, 8, 128, 1024)}
QUANTITIES["area@1024"] = area_at_endpoint(1024)
PAIRS = {"ds-grpo@maxrl": ("ds-grpo", "maxrl"), "ds-grpo@f-grpo": ("ds-grpo", "f-grpo")}
EQUAL_PASS1_KS = (8, 128, 1024)

Values = Mapping[str, Mapping[int, np.ndarray]]
"""One quantity: by method and seed, that of each held-out problem."""


def load_all(out: Path | None) -> Results:
    """The runs of the experiment and, as methods of their own, those of its controls.

    Raises NotRun before `FIRST_LOOK` seeds are whole.
    """
    results = load(EXPERIMENT, out)
    primary = {method for pair in PRIMARY for method in pair}
    seeds = [{run.seed for run in results.runs if run.method == method} for method in primary]
    whole = len(set.intersection(*seeds))
    if whole < FIRST_LOOK:
        raise NotRun(f"{EXPERIMENT}: {whole} seeds are whole; the protocol's first look is after {FIRST_LOOK}")
    for name, mark in CONTROLS.items():
        try:
            others = load(name, out).runs
        except NotRun:
            continue
        more = (replace(run, method=f"{run.method}@{mark}") for run in others if run.method != "base")
        results = replace(results, runs=(*results.runs, *more))
    return results


def measured(results: Results, methods: Iterable[str], quantity: Quantity) -> dict[str, dict[int, np.ndarray]]:
    """The quantity of every run of `methods`."""
    return {method: {seed: quantity(run) for seed, run in results.of(method).items()} for method in methods}


def tests(differences: Sequence[float], margin: float | None) -> dict[str, Any]:
    """One difference per seed: mean, 95% t-interval, p of none; with a margin, the 90% interval and TOST's p."""
    found = {**over_seeds(differences), "seeds": len(differences), "p": t_test(differences)}
    if margin is None:
        return found
    narrow = t_interval(differences, 0.9)
    return {**found, "low90": narrow.low, "high90": narrow.high, "p_equal": tost(differences, margin)}


def compare(values: Values, method: str, reference: str, margin: float | None) -> dict[str, Any]:
    """`tests` over common seeds, and beside them the two checks of few seeds. NaN problems count in no mean.

    bootstrap_low, bootstrap_high: seeds and problems drawn again, of problems defined throughout. pooled_low,
    pooled_high: a variance pooled over all methods in `values` that have these seeds, pooled_methods of them. Raises
    NotRun without a common seed.
    """
    seeds = sorted(set(values[method]) & set(values[reference]))
    if not seeds:
        raise NotRun(f"{method} and {reference} have no seed in common")
    grid = np.stack([values[method][seed] - values[reference][seed] for seed in seeds])
    block = [method, reference]
    block += [one for one in values if one not in (*block, "base") and set(seeds) <= set(values[one])]
    means = [[float(np.nanmean(values[one][seed])) for seed in seeds] for one in block]
    resampled = two_way_bootstrap(grid[:, ~np.isnan(grid).any(axis=0)], np.random.default_rng(0))
    pooled = pooled_interval(means, 0, 1)
    return {
        **tests(np.nanmean(grid, axis=1).tolist(), margin),
        "bootstrap_low": resampled.low,
        "bootstrap_high": resampled.high,
        "pooled_low": pooled.low,
        "pooled_high": pooled.high,
        "pooled_methods": len(block),
    }


def best_checkpoint(results: Results, method: str, k: int) -> dict[int, float]:
    """Held-out Pass@k of each seed at the step with the highest Pass@1 on validation problems.

    Raises ResultError if a run was not evaluated on both along its training.
    """
    names = ["val/pass@1", f"heldout/pass@{k}"]
    found = {}
    for seed, run in results.of(method).items():
        rows = run.metrics.reindex(columns=names).dropna()
        if rows.empty:
            raise ResultError(f"{run.evaluation}: its metrics have no {' and '.join(names)}")
        chosen, measured_there = rows.to_numpy(dtype=float).T
        found[seed] = float(measured_there[chosen.argmax()])
    return found


def record(out: Path | None, margins: Mapping[str, float | None]) -> dict[str, Any] | None:
    """Everything but the verdicts, as it stands in `claims.json`; None where nothing was run."""
    try:
        results = load_all(out)
    except NotRun:
        return None
    methods = [name for name in results.methods(variants=True) if name != REFERENCE]
    there = set(results.methods(variants=True))
    shown = [name for name in ("base", REFERENCE, "ds-grpo", "maxrl", "ds-grpo@maxrl") if name in there]
    return {
        "experiment": EXPERIMENT,
        "seeds": {name: sorted(results.of(name)) for name in results.methods(variants=True)},
        "differences": _differences(results, methods, margins) if REFERENCE in there else [],
        "equal_pass1": _equal_pass1(results, there),
        "best_checkpoint": _best_checkpoints(results, there),
        "histogram": per_prompt.histogram(results, shown).to_dict("records"),
        "profile": per_prompt.profile(results, shown).to_dict("records"),
        "by_base": per_prompt.by_base(results, shown).to_dict("records") if "base" in there else [],
    }


def _differences(results: Results, methods: Sequence[str], margins: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Every method − GRPO at the endpoint; p adjusted by Holm over the methods, for each quantity. Description."""
    rows = []
    for name, quantity in QUANTITIES.items():
        values = measured(results, [REFERENCE, *methods], quantity)
        paired = [method for method in methods if set(values[method]) & set(values[REFERENCE])]
        found = {method: compare(values, method, REFERENCE, margins.get(name)) for method in paired}
        adjusted = holm({method: one["p"] for method, one in found.items() if one["p"] == one["p"]})
        rows += [
            {"method": method, "quantity": name, **one, "p_holm": adjusted.get(method)} for method, one in found.items()
        ]
    return rows


def _equal_pass1(results: Results, there: set[str]) -> list[dict[str, Any]]:
    """Each method's end against GRPO stopped at its Pass@1, GRPO itself the placebo; each pair against its halves."""
    rows = []
    for k in EQUAL_PASS1_KS:
        for method in sorted(there - {"base"}) if REFERENCE in there else []:
            if set(results.of(method)) & set(results.of(REFERENCE)):
                found = end_against_stopped(results, method, REFERENCE, k)
                rows.append({"kind": "end", "method": method, "reference": REFERENCE, "k": k, **found})
        for pair, halves in PAIRS.items():
            for half in halves:
                if {pair, half} <= there and set(results.of(pair)) & set(results.of(half)):
                    found = at_equal_pass1(results, pair, half, k)
                    rows.append({"kind": "equal", "method": pair, "reference": half, "k": k, **found})
    return rows


def _best_checkpoints(results: Results, there: set[str]) -> list[dict[str, Any]]:
    """DS-GRPO at the endpoint − GRPO's best checkpoint by validation Pass@1."""
    if not {"ds-grpo", REFERENCE} <= there:
        return []
    seeds, rows = common(results, "ds-grpo", REFERENCE), []
    for k in (1, *EQUAL_PASS1_KS):
        best = best_checkpoint(results, REFERENCE, k)
        found = [path(results.of("ds-grpo")[seed], k).endpoint[1] - best[seed] for seed in seeds]
        rows.append({"k": k, **tests(found, None)})
    return rows
