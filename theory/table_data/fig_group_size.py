"""T10: what became of long sampled runs, against the group size: collapsed, frozen, or spread over correct answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import policies, shaping, simulation

CONFIG: dict[str, Any] = {
    "C0": 0.5,
    "incorrect": 2,
    "starts": {"tied": [0.25, 0.25, 0.25, 0.25], "skewed": [0.4, 0.3, 0.2, 0.1]},
    "sizes": [2, 4, 8, 16, 32, 64],
    "gamma_p": 0.1,
    "eta": 1.0,
    "steps": 3000,
    "runs": 300,
    "collapsed": simulation.COLLAPSED,
    "frozen": simulation.FROZEN,
    "seed": 0,
}


def base(start: str) -> tuple[policies.Array, policies.Mask]:
    """The log-base (m,) and correct set of a start: four correct answers, the incorrect ones even."""
    q, L, C0 = CONFIG["starts"][start], CONFIG["incorrect"], CONFIG["C0"]
    p0 = np.r_[C0 * np.array(q), np.full(L, (1 - C0) / L)]
    return policies.log_base(p0), np.arange(len(p0)) < len(q)


def outcome(start: str, method: str, size: int, runs: int, seed: int) -> dict[str, float]:
    """What became of `runs` runs.

    Fractions, with 95% intervals, of runs that end collapsed, that end frozen but not collapsed, that were ever
    collapsed; quantiles of the final entropy of pi_K in nats; median step of the first collapse over all runs (NaN if
    half of them never collapse).
    """
    log_p0, correct = base(start)
    gamma = CONFIG["gamma_p"]
    kind = {"vanilla": shaping.vanilla(), "ds": shaping.ds(gamma), "ds-centered": shaping.ds_centered(gamma)}[method]
    rng = np.random.default_rng([seed, size, list(CONFIG["starts"]).index(start), len(method)])
    start_p = np.tile(log_p0, (runs, 1))
    done = simulation.simulate(start_p, correct, size, kind, rng, CONFIG["steps"], CONFIG["eta"])
    log_p = policies.log_normalize(done.logits)
    ended = simulation.collapsed(log_p, correct)
    found: dict[str, float] = {}
    for name, hits in (
        ("collapsed", ended),
        ("frozen", simulation.frozen(log_p, correct, size) & ~ended),
        ("ever", done.collapsed_at >= 0),
    ):
        low, high = simulation.fraction_interval(int(hits.sum()), runs)
        found |= {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}
    quantiles = np.quantile(simulation.entropy_on(log_p, correct), [0.0, 0.1, 0.5, 0.9])
    found |= dict(zip(("entropy_min", "entropy_10", "entropy_50", "entropy_90"), quantiles.tolist()))
    first = np.where(done.collapsed_at >= 0, done.collapsed_at, np.inf)
    half = float(np.median(first))
    return found | {"median_step": half if np.isfinite(half) else float("nan")}


def table() -> dict[str, Any]:
    """A row for every start, method and group size; see `outcome`."""
    rows = [
        {"start": start, "method": method, "size": size, **outcome(start, method, size, CONFIG["runs"], CONFIG["seed"])}
        for start in CONFIG["starts"]
        for method in ("vanilla", "ds", "ds-centered")
        if (start, method) != ("skewed", "ds-centered")
        for size in CONFIG["sizes"]
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}
