"""T5, T6: correctness against diversity at one closeness to the base, and where a literal DS policy can do it.

Panel `frontier`: for each method the largest C at KL(pi‖pi0) = budget, along its conditional on K; `ds` is the part of
self-centered DS's curve that literal DS reaches too (gamma_n = 0). Panel `regimes`: over (beta, gamma/beta) of an
entropy bonus, for the base of T6's example by hand: 2 where pi* itself is a DS policy, 1 where another literal DS
policy does as well, 0 where none does and only the self-centered form remains.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq

from theory import dominance, measures, policies
from theory.policies import Array, Mask

CONFIG: dict[str, Any] = {
    "correct": [0.16, 0.05, 0.02, 0.01],
    "incorrect": [0.6, 0.1, 0.05, 0.01],
    "budget": 0.5,
    "example_correct": [0.2, 0.05],
    "example_incorrect": [0.35, 0.4],
}
TILTS = np.linspace(0.0, 1.0, 41)
PENALTY_TILTS = np.linspace(1.0, 1.6, 25)


def _base(which: str) -> tuple[Array, Mask]:
    prefix = "" if which == "frontier" else "example_"
    correct, incorrect = CONFIG[f"{prefix}correct"], CONFIG[f"{prefix}incorrect"]
    return policies.log_base([*correct, *incorrect]), np.arange(len(correct) + len(incorrect)) < len(correct)


def largest_odds(on_correct: Array, on_incorrect: Array, log_p0: Array, correct: Mask, budget: float) -> float:
    """The largest log-odds of a policy with these conditionals whose KL to the base is `budget`; NaN if none has it."""

    def excess(odds: float) -> float:
        return float(measures.kl(dominance.compose(np.asarray(odds), on_correct, on_incorrect), log_p0)) - budget

    costs = [
        measures.kl(part, policies.conditional(log_p0, mask))
        for part, mask in ((on_correct, correct), (on_incorrect, ~correct))
    ]
    least = float(policies.log_odds(log_p0, correct) - costs[0] + costs[1])  # where KL is least
    return float(brentq(excess, least, least + 60)) if excess(least) < 0 < excess(least + 60) else float("nan")


def _frontier() -> list[tuple[str, str, float, float, float]]:
    log_p0, correct = _base("frontier")
    rows = []
    for method, tilts in (("ds-centered", TILTS), ("entropy-bonus", TILTS), ("entropy-penalty", PENALTY_TILTS)):
        for s in tilts:
            on_correct = dominance.tilt(log_p0, correct, s)
            on_incorrect = dominance.tilt(log_p0, ~correct, 1.0 if method == "ds-centered" else s)
            odds = largest_odds(on_correct, on_incorrect, log_p0, correct, CONFIG["budget"])
            point = (float(s), float(measures.gini_simpson(on_correct)), float(1 / (1 + np.exp(-odds))))
            rows.append(("frontier", method, *point))
            # literal DS of this tilt has larger odds than it has at beta = infinity
            floor = dominance.log_z(log_p0, correct, s) - policies.log_mass(log_p0, ~correct)
            if method == "ds-centered" and odds > floor:
                rows.append(("frontier", "ds", *point))
    return rows


def _regimes() -> list[tuple[str, str, float, float, float]]:
    log_p0, correct = _base("regimes")
    betas, ratios = np.geomspace(0.1, 100, 61), np.linspace(0.02, 2, 50)
    beta, ratio = (grid.ravel() for grid in np.meshgrid(betas, ratios))
    log_p0 = np.broadcast_to(log_p0, (len(beta), len(log_p0)))
    mask = np.broadcast_to(correct, log_p0.shape)
    bonus = policies.entropy_ce(log_p0, mask, beta, ratio * beta)
    direct = dominance.direct_log_reward(log_p0, mask, beta, 1 - ratio) > 0
    meets = dominance.boundary(log_p0, mask, bonus, 1 - ratio).meets
    regime = np.where(direct & meets, 2, np.where(meets, 1, 0))
    return [("regimes", "literal", float(r), float(b), float(k)) for r, b, k in zip(ratio, beta, regime)]


def table() -> dict[str, list[Any]]:
    """Columns panel, method, s (frontier: the tilt; regimes: gamma/beta), x (Gini–Simpson; beta), y (C; regime)."""
    rows = _frontier() + _regimes()
    return {name: [row[i] for row in rows] for i, name in enumerate(("panel", "method", "s", "x", "y"))}
