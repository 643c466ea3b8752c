"""T12: Pass@1 against Pass@64 in the limit, per method, along gamma_p of DS on top; and which prompts are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import strategies, utility, weights

CONFIG: dict[str, Any] = {"size": 8, "k": 64, "gammas": [0.0, 0.03, 0.1, 0.3, 0.6, 1.0, 2.0], "time": 1e10}


def methods() -> dict[str, weights.Advantages]:
    """By the names of the registry."""
    size = CONFIG["size"]
    return {
        "dr-grpo": weights.dr_grpo(size),
        "grpo": weights.grpo(size),
        "f-grpo": weights.f_grpo(size),
        "passk-training": weights.passk_training(size, 2),
        "maxrl": weights.maxrl(size),
    }


def table() -> dict[str, Any]:
    """Rows of panel `utility` (F' = w against p is T11's; here F, scaled to F(1) = 1) and `limit`.

    utility: x = p, y = F(p)/F(1). limit: x = Pass@1, y = Pass@k, in T9's uneven model, for each gamma_p.
    """
    rows: list[tuple[str, str, float, float, float]] = []
    model, p = strategies.UNEVEN, np.linspace(0, 1, 101)
    for name, advantages in methods().items():
        scaled = utility.utility(advantages, p) / utility.utility(advantages, 1.0)
        rows += [("utility", name, float("nan"), float(a), float(b)) for a, b in zip(p, scaled)]
        for gamma_p in CONFIG["gammas"]:
            end = utility.flow(model.log_p0, model.table, advantages, [CONFIG["time"]], gamma_p)[-1]
            reached = strategies.success(end, model.table)
            one, many = (float(strategies.pass_at_k(reached, k)) for k in (1, CONFIG["k"]))
            rows.append(("limit", name, gamma_p, one, many))
    return dict(zip(("panel", "method", "gamma_p", "x", "y"), map(list, zip(*rows))))
