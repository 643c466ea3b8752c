"""T3: three flows, three ends, from the same bases: pi_K on the simplex of three correct answers, C along the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import flows, policies, shaping, simulation
from theory.shaping import Shaping

CONFIG: dict[str, Any] = {
    "C0": 0.3,
    "incorrect": [0.6, 0.4],  # pi_I of the base
    "starts": [
        [0.6, 0.3, 0.1],
        [0.3, 0.1, 0.6],
        [0.1, 0.6, 0.3],
        [0.5, 0.1, 0.4],
        [0.1, 0.4, 0.5],
        [0.4, 0.5, 0.1],
        [0.36, 0.34, 0.3],
        [0.8, 0.15, 0.05],
    ],
    "gamma_bonus": 0.5,
    "gamma_p": 0.5,
    "gamma_n": 0.1,
    "times": 90,
    "latest": 1e5,
}


def table() -> dict[str, Any]:
    """Rows by method, start and time: q1, q2, q3 (pi_K), C, entropy of pi_K in nats."""
    kinds: dict[str, Shaping] = {
        "vanilla": shaping.vanilla(),
        "entropy-bonus": shaping.entropy(CONFIG["gamma_bonus"]),
        "ds": shaping.ds(CONFIG["gamma_p"], CONFIG["gamma_n"]),
    }
    correct = np.arange(5) < 3
    times = np.r_[0.0, np.geomspace(1e-2, CONFIG["latest"], CONFIG["times"] - 1)]
    rows: list[tuple[str, int, float, float, float, float, float, float]] = []
    for method, kind in kinds.items():
        for number, q in enumerate(CONFIG["starts"]):
            p0 = np.r_[CONFIG["C0"] * np.array(q), (1 - CONFIG["C0"]) * np.array(CONFIG["incorrect"])]
            log_p = policies.log_normalize(flows.integrate(policies.log_base(p0), correct, kind, times))
            inside = np.exp(policies.conditional(log_p, correct))[:, :3]
            mass = np.exp(policies.log_mass(log_p, correct))
            spread = simulation.entropy_on(log_p, correct)
            rows += [(method, number, t, *x, c, h) for t, x, c, h in zip(times, inside, mass, spread)]
    return dict(zip(("method", "start", "t", "q1", "q2", "q3", "C", "entropy"), map(list, zip(*rows))))
