"""T2: what the mean GRPO step does to two correct trajectories, and its factor g_N on the exact policy gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import groups, policies, sampled, shaping

CONFIG: dict[str, Any] = {
    "share": [0.7, 0.3],  # of the two correct trajectories in C
    "sizes": [2, 4, 8, 16, 64],
    "seed": 0,
    "draws": 20_000,
    "drawn_C": [0.1, 0.3, 0.5, 0.7, 0.9],
}


def table() -> dict[str, Any]:
    """Rows of panel `gap` (closed: a_N(C) (p1 - p2)), `drawn` (Monte Carlo mean, standard error), `factor` (g_N)."""
    rows: list[tuple[str, int, float, float, float]] = []
    share, nan = np.array(CONFIG["share"]), float("nan")
    rng = np.random.default_rng(CONFIG["seed"])
    C = np.linspace(0.01, 0.99, 99)
    correct = np.array([True, True, False])
    for size in CONFIG["sizes"]:
        gap = groups.correct_factor(C, size) * C * (share[0] - share[1])
        rows += [("gap", size, a, b, nan) for a, b in zip(C, gap)]
        rows += [("factor", size, a, b, nan) for a, b in zip(C, groups.gradient_factor(C, size))]
        for a in CONFIG["drawn_C"]:
            p = np.array([*(a * share), 1 - a])
            counts = rng.multinomial(size, p, CONFIG["draws"])
            step = sampled.group_step(policies.log_base(p), correct, counts, shaping.vanilla())
            moved = step[:, 0] - step[:, 1]
            rows.append(("drawn", size, a, float(moved.mean()), float(moved.std() / np.sqrt(CONFIG["draws"]))))
    return dict(zip(("panel", "size", "C", "value", "error"), map(list, zip(*rows))))
