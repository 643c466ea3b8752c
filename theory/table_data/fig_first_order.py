"""T13: what the gamma_p term does to success in the plane of p and the skew of the correct answers; and p*."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory import firstorder, policies

CONFIG: dict[str, Any] = {"correct": 4, "incorrect": 4, "skew": 3.0, "skews": 61, "log_odds": [-4.0, 6.0], "odds": 81}


def table() -> dict[str, Any]:
    """Rows of panel `effect` (relative to vanilla's gain, for gamma_p = 1) and `threshold` (p* in the column p).

    skew: s of q ∝ rank^(−s) on K; incorrect answers are equally likely.
    """
    rows: list[tuple[str, float, float, float]] = []
    ranks, L = np.arange(1, CONFIG["correct"] + 1), CONFIG["incorrect"]
    log_r = np.full(L, -np.log(L))
    correct = np.arange(len(ranks) + L) < len(ranks)
    low, high = CONFIG["log_odds"]
    odds = np.linspace(low, high, CONFIG["odds"])
    for skew in np.linspace(0.0, CONFIG["skew"], CONFIG["skews"]):
        log_q = policies.log_normalize(-skew * np.log(ranks))
        rows.append(("threshold", float(skew), float(firstorder.threshold(log_q, log_r)), float("nan")))
        p = 1 / (1 + np.exp(-odds))
        log_p = np.concatenate([log_q + np.log(p)[:, None], log_r + np.log1p(-p)[:, None]], axis=1)
        pi = np.exp(log_p)
        gain = (pi**2 * (correct - p[:, None]) ** 2).sum(axis=1)  # dp of vanilla's step, w = 1
        ratio = firstorder.effect(log_p, correct, 1.0) / gain
        rows += [("effect", float(skew), float(a), float(b)) for a, b in zip(p, ratio)]
    return dict(zip(("panel", "skew", "p", "value"), map(list, zip(*rows))))
