"""T11: the weight w_N(p) of each method whose advantages depend on rewards alone, and the orbit that all share."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import flows, measures, policies, shaping, weights
from theory.policies import Array

CONFIG: dict[str, Any] = {
    "size": 8,
    "k": 2,
    "pi0": [0.2, 0.1, 0.05, 0.35, 0.3],
    "correct": 3,
    "gamma_p": 0.3,
    "targets": [0.36, 0.999, 60],
}


def methods() -> dict[str, weights.Advantages]:
    """By the names of the registry."""
    size, k = CONFIG["size"], CONFIG["k"]
    return {
        "grpo": weights.grpo(size),
        "dr-grpo": weights.dr_grpo(size),
        "maxrl": weights.maxrl(size),
        "f-grpo": weights.f_grpo(size),
        "passk-training": weights.passk_training(size, k),
        "pkpo": weights.pkpo(size, k),
    }


def table() -> dict[str, Any]:
    """Rows of panel `weight` (w_N against p) and `orbit` (Gini–Simpson of pi_K against p along the flow)."""
    rows: list[tuple[str, str, float, float]] = []
    p = np.linspace(0.01, 0.99, 99)
    log_p0 = policies.log_base(CONFIG["pi0"])
    correct = np.arange(len(CONFIG["pi0"])) < CONFIG["correct"]
    low, high, number = CONFIG["targets"]
    targets = 1 - np.geomspace(1 - low, 1 - high, number)
    for name, advantages in methods().items():
        rows += [("weight", name, float(a), float(b)) for a, b in zip(p, weights.weight(advantages, p))]
        rows += _orbit(name, weights.orbit(advantages, log_p0, correct, targets), correct)
    times = np.geomspace(0.01, 1e5, 400)
    ds = policies.log_normalize(flows.integrate(log_p0, correct, shaping.ds(CONFIG["gamma_p"]), times))
    rows += _orbit("ds", ds, correct)
    return dict(zip(("panel", "method", "p", "value"), map(list, zip(*rows))))


def _orbit(name: str, log_p: Array, correct: policies.Mask) -> list[tuple[str, str, float, float]]:
    share = measures.correctness(log_p, correct)
    spread = measures.gini_simpson(policies.conditional(log_p, correct))
    return [("orbit", name, float(a), float(b)) for a, b in zip(share, spread)]
