"""T7: bonus, penalty and DS on either side of the multiplicity threshold, and how often a finite step flips.

Panel `gain`: even classes, M correct trajectories; x = log(M/M*) in nats, y = logit C − logit C(vanilla) of `method`.
Of any base, x is `E_{pi0|I} log pi0 − E_{pi0|K} log pi0`: measured log-probabilities put a trained model on the same
axes. Panel `flips`: x = s, y = share of random bases on which the step to s moves C against the slope's promise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import heuristics, policies

CONFIG: dict[str, Any] = {
    "seed": 0,
    "C0": 0.2,
    "L": 32,
    "M": [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64],
    "beta": 1.0,
    "gamma": 0.5,
    "flips": {"base": "Dirichlet(1); |K| uniform in 1..m-1", "m": [3, 5, 8], "instances": 10_000, "s": [0.0, 2.0, 21]},
}


def table() -> dict[str, list[Any]]:
    """Columns panel, method (of `flips`: the number of trajectories, `m=5`), x, y."""
    rows = [*_gains(), *_flips()]
    return {name: [row[i] for row in rows] for i, name in enumerate(("panel", "method", "x", "y"))}


def _gains() -> list[tuple[str, str, float, float]]:
    beta, gamma, C0, L = (CONFIG[name] for name in ("beta", "gamma", "C0", "L"))
    rows = []
    for M in CONFIG["M"]:
        log_p0, correct = heuristics.even_base(M, L, C0)
        start = policies.log_odds(policies.vanilla(log_p0, correct, beta), correct)
        trained = {
            "entropy-bonus": policies.entropy_ce(log_p0, correct, beta, gamma),
            "entropy-penalty": policies.entropy_ce(log_p0, correct, beta, -gamma),
            "ds": policies.ds(log_p0, correct, beta, gamma),
        }
        x = float(np.log(M / heuristics.multiplicity_threshold(C0, L)))
        for method, log_p in trained.items():
            rows.append(("gain", method, x, float(policies.log_odds(log_p, correct) - start)))
    return rows


def _flips() -> list[tuple[str, str, float, float]]:
    rng = np.random.default_rng(CONFIG["seed"])
    settings = CONFIG["flips"]
    first, last, count = settings["s"]
    s = np.linspace(first, last, count)
    s = s[np.abs(s - 1) > 1e-9]  # no step, no flip
    rows = []
    for m in settings["m"]:
        log_p0 = np.log(rng.dirichlet(np.ones(m), settings["instances"]))
        place = np.argsort(rng.random(log_p0.shape), axis=1)
        correct = place < rng.integers(1, m, (settings["instances"], 1))
        share = heuristics.flip_share(log_p0, correct, s)
        rows += [("flips", f"m={m}", float(at), float(value)) for at, value in zip(s, share)]
    return rows
