"""T7: when a global entropy bonus or penalty helps correctness, exactly, and where it changes sign.

The cross-entropy form is the path `pi_s ∝ pi0^s e^{r/beta}`, `s = 1 − gamma/beta`: vanilla at s = 1, a bonus below, a
penalty above. Its odds are `e^{1/beta} Z_s(K)/Z_s(I)`, so slopes and gains of the log-odds do not depend on beta.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory.policies import (
    Array,
    Mask,
    Strength,
    check_correct,
    check_strength,
    conditional,
    entropy_ce,
    entropy_shannon,
    expected,
    log_base,
    log_mass,
    log_odds,
)


def log_odds_slope(log_p0: Array, correct: Mask, s: Strength) -> Array:
    """d logit C/ds at s, shape (...,), in nats: `E_{pi|K}[log pi0] − E_{pi|I}[log pi0]` under pi_s's own conditionals.

    log_p0 (..., m), s (...,). A bonus lowers s: it raises C iff this is negative; a penalty iff it is positive.
    """
    mask = check_correct(correct, log_p0.shape[-1])
    tilted = check_strength("s", s, signed=True)[..., None] * log_p0
    on_correct, on_incorrect = (expected(conditional(tilted, part), log_p0) for part in (mask, ~mask))
    return np.asarray(on_correct - on_incorrect)


def correctness_slope(log_p0: Array, correct: Mask, beta: Strength, s: Strength) -> Array:
    """dC/ds = C(1 − C) · (d logit C/ds), shape (...,), of the policy pi_s at strength beta."""
    gamma = np.asarray(beta) * (1 - check_strength("s", s, signed=True))
    odds = log_odds(entropy_ce(log_p0, correct, beta, gamma), correct)
    # C(1 − C) = e^{−|x|}/(1 + e^{−|x|})^2: no rounding of C to 1
    small = np.exp(-np.abs(odds))
    return np.asarray(small / (1 + small) ** 2 * log_odds_slope(log_p0, correct, s))


def shannon_slope(log_p0: Array, correct: Mask, beta: Strength, gamma: Strength) -> Array:
    """d logit C/dgamma of the Shannon form: `−(E_{pi|K} log pi − E_{pi|I} log pi)/(beta + gamma)`, shape (...,)."""
    mask = check_correct(correct, log_p0.shape[-1])
    log_p = entropy_shannon(log_p0, mask, beta, gamma)
    on_correct, on_incorrect = (expected(conditional(log_p, part), log_p) for part in (mask, ~mask))
    return np.asarray(-(on_correct - on_incorrect) / (np.asarray(beta) + np.asarray(gamma)))


def gain(log_p0: Array, correct: Mask, s: Strength) -> Array:
    """logit C(pi_s) − logit C(vanilla), shape (...,), at any beta: what a finite bonus (s < 1) or penalty buys."""
    mask = check_correct(correct, log_p0.shape[-1])
    tilted = check_strength("s", s, signed=True)[..., None] * log_p0
    before, after = (log_mass(x, mask) - log_mass(x, ~mask) for x in (log_p0, tilted))
    return np.asarray(after - before)


def flips(log_p0: Array, correct: Mask, s: Strength) -> Mask:
    """Whether the finite step to s (s ≠ 1) moves C the other way than a small step in its direction, shape (...,)."""
    promised = (np.asarray(s) - 1) * log_odds_slope(log_p0, correct, 1.0)
    return np.asarray(promised * gain(log_p0, correct, s) < 0)


def flip_share(log_p0: Array, correct: Mask, s: Array) -> Array:
    """The share of instances (n, m) that flip at each s of a grid (k,), shape (k,)."""
    return np.array([flips(log_p0, correct, float(value)).mean() for value in s])


def multiplicity_threshold(C0: Strength, L: npt.ArrayLike) -> Array:
    """M* = L · C0/(1 − C0): with more correct trajectories than this a bonus raises C, with fewer a penalty does.

    For any bonus or penalty where both classes are even; for the full bonus s = 0 on every base. C0 = pi0(K) in (0, 1),
    L incorrect trajectories. At exactly M* nothing moves.
    """
    found = np.asarray(C0, dtype=float)
    if not ((found > 0) & (found < 1)).all():
        raise ValueError(f"C0={C0}: must lie strictly between 0 and 1")
    return np.asarray(check_strength("L", np.asarray(L, dtype=float), positive=True) * found / (1 - found))


def shannon_threshold(C0: Strength, L: npt.ArrayLike, beta: Strength) -> Array:
    """M* of the Shannon form, e^{1/beta} L C0/(1 − C0): it counts with the odds that vanilla raised."""
    return np.asarray(np.exp(1 / check_strength("beta", beta, positive=True)) * multiplicity_threshold(C0, L))


def even_base(M: int, L: int, C0: float) -> tuple[Array, Mask]:
    """A base with M equally likely correct trajectories (mass C0 together) and L equally likely incorrect ones."""
    if M < 1 or L < 1:
        raise ValueError(f"M={M}, L={L}: at least one trajectory must be correct and one incorrect")
    correct = np.arange(M + L) < M
    return log_base(np.where(correct, C0 / M, (1 - C0) / L)), correct
