"""T1: how often a correct trajectory is reinforced, against its probability; and how the bias fades with N."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import groups

CONFIG: dict[str, Any] = {
    "C": 0.5,
    "sizes": [2, 4, 8, 16, 64],
    "pairs": [[0.3, 0.1], [0.3, 0.03], [0.3, 0.003]],
    "largest_size": 1024,
    "seed": 0,
    "draws": 20_000,
    "drawn_p": [0.003, 0.01, 0.03, 0.1, 0.3],
}


def table() -> dict[str, Any]:
    """Rows of panel `probability` (closed), `drawn` (Monte Carlo with its standard error) and `ratio`.

    size: N. p: probability of the trajectory (its partner's is in `other`, empty but in `ratio`). value: what is drawn.
    """
    rows: list[tuple[str, int, float, float, float, float]] = []
    C, nan = CONFIG["C"], float("nan")
    rng = np.random.default_rng(CONFIG["seed"])
    for size in CONFIG["sizes"]:
        p = np.geomspace(1e-3, 0.45, 60)
        found = groups.reinforcement_probability(p, C, size)
        rows += [("probability", size, a, nan, b, nan) for a, b in zip(p, found)]
        for a in CONFIG["drawn_p"]:
            counts = rng.multinomial(size, [a, C - a, 1 - C], CONFIG["draws"])
            share = float(np.mean((counts[:, 0] > 0) & (counts[:, 2] > 0)))
            rows.append(("drawn", size, a, nan, share, float(np.sqrt(share * (1 - share) / CONFIG["draws"]))))
    sizes = np.unique(np.geomspace(2, CONFIG["largest_size"], 40).astype(int))
    for a, b in CONFIG["pairs"]:
        rows += [("ratio", int(N), a, b, float(groups.selection_ratio(a, b, C, int(N))), nan) for N in sizes]
    return dict(zip(("panel", "size", "p", "other", "value", "error"), map(list, zip(*rows))))
