"""What is measured of a policy: correctness, the diversity of its correct answers, its closeness to the base.

Arguments are natural-log probabilities (..., n), −inf where a trajectory is absent (as `policies.conditional` returns
them); results have the leading shape. Entropies and divergences are in nats. Every diversity here is Schur-concave:
it does not fall when probability moves from a likelier to a less likely answer (see `majorizes`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from theory.policies import Array, Mask, expected, log_mass, log_sum

Diversity = Callable[[Array, Mask], Array]
Divergence = Callable[[Array, Array], Array]


def correctness(log_p: Array, correct: Mask) -> Array:
    """C = pi(K). It rounds to 1 within 1e-16 of it: compare `policies.log_odds` instead."""
    return np.asarray(np.exp(log_mass(log_p, correct)))


def gini_simpson(log_q: Array, support: Mask | None = None) -> Array:
    """1 − Σ q²: the chance that two draws differ; the trace of the covariance of the one-hot answer."""
    q = np.exp(log_q)
    return np.asarray((q * (1 - q)).sum(axis=-1))


def normalized_variance_complement(log_q: Array, support: Mask) -> Array:
    """1 − Σ (q − 1/n)²/(1 − 1/n) over the n entries of `support`: 1 for the uniform, 0 for a point mass.

    With n = 1 there is nothing to vary, and the value is 0.
    """
    n = np.broadcast_to(support, log_q.shape).sum(axis=-1)
    uniform = 1 / np.maximum(n, 1)
    spread = np.where(support, (np.exp(log_q) - uniform[..., None]) ** 2, 0.0).sum(axis=-1)
    return np.asarray(np.where(n > 1, 1 - spread / np.where(n > 1, 1 - uniform, 1.0), 0.0))


def shannon_entropy(log_q: Array, support: Mask | None = None) -> Array:
    """−Σ q log q, in nats."""
    return -expected(log_q, log_q)


def hill(log_q: Array, support: Mask | None = None, *, order: float) -> Array:
    """Hill number of `order` ≥ 0, the effective number of answers (Σ q^order)^{1/(1 − order)}; its limits at 1 and ∞.

    Raises ValueError for a negative order or NaN.
    """
    if not order >= 0:
        raise ValueError(f"order={order}: a Hill number is Schur-concave for orders of at least zero only")
    if order == 1:
        return np.asarray(np.exp(shannon_entropy(log_q)))
    if np.isinf(order):
        return np.asarray(np.exp(min_entropy(log_q)))
    powers = np.where(np.isneginf(log_q), -np.inf, order * np.where(np.isneginf(log_q), 0.0, log_q))
    return np.asarray(np.exp(log_sum(powers) / (1 - order)))


def min_entropy(log_q: Array, support: Mask | None = None) -> Array:
    """−log max q, in nats."""
    return np.asarray(-log_q.max(axis=-1))


# The family over which the theorems speak of "diversity"; the arguments are log pi_K and the mask of K.
DIVERSITIES: dict[str, Diversity] = {
    "Gini-Simpson": gini_simpson,
    "normalized-variance complement": normalized_variance_complement,
    "Shannon entropy": shannon_entropy,
    "Hill 0": partial(hill, order=0),
    "Hill 1/2": partial(hill, order=0.5),
    "Hill 2": partial(hill, order=2),
    "Hill 5": partial(hill, order=5),
    "min-entropy": min_entropy,
}


def majorization_gap(log_p: Array, log_q: Array) -> Array:
    """min over k of (sum of the k largest of p) − (sum of the k largest of q); ≥ 0 iff p majorises q (equal sums)."""
    sums = [np.cumsum(np.sort(np.exp(log), axis=-1)[..., ::-1], axis=-1) for log in (log_p, log_q)]
    return np.asarray((sums[0] - sums[1]).min(axis=-1))


def majorizes(log_p: Array, log_q: Array, tolerance: float = 1e-12) -> Mask:
    """True where p majorises q (p is the more unequal), up to rounding; then every diversity of q is at least p's."""
    return np.asarray(majorization_gap(log_p, log_q) >= -tolerance)


def kl(log_p: Array, log_q: Array) -> Array:
    """KL(p‖q), in nats; with q = pi0 the reverse KL of the objective. Needs q > 0 where p > 0."""
    return expected(log_p, log_p - np.where(np.isneginf(log_p), 0.0, log_q))


def forward_kl(log_p: Array, log_q: Array) -> Array:
    """KL(q‖p), in nats."""
    return kl(log_q, log_p)


def renyi(log_p: Array, log_q: Array, alpha: float) -> Array:
    """Rényi divergence log(Σ p^alpha q^{1 − alpha})/(alpha − 1), in nats; KL(p‖q) at alpha = 1.

    Raises ValueError unless alpha is finite and above zero.
    """
    if not (np.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha={alpha}: must be finite and above zero")
    if alpha == 1:
        return kl(log_p, log_q)
    present = ~np.isneginf(log_p)
    terms = alpha * np.where(present, log_p, 0.0) + (1 - alpha) * np.where(present, log_q, 0.0)
    return np.asarray(log_sum(np.where(present, terms, -np.inf)) / (alpha - 1))


def chi_squared(log_p: Array, log_q: Array) -> Array:
    """Σ (p − q)²/q = exp(Rényi of order 2) − 1; finite up to log-ratios of 709, also where q underflows."""
    absent = np.isneginf(log_p) & np.isneginf(log_q)
    ratio = np.where(absent, 0.0, log_p - np.where(absent, 0.0, log_q))
    with np.errstate(over="ignore"):
        rise = np.expm1(np.maximum(ratio, 0.0))  # (p − q)²/q = (p/q − 1) · p · (1 − q/p) where p > q
        above = rise * np.exp(log_p) * -np.expm1(-np.maximum(ratio, 0.0))
        below = np.expm1(np.minimum(ratio, 0.0)) ** 2 * np.exp(log_q)
    return np.asarray(np.where(ratio > 0, above, below).sum(axis=-1))


def total_variation(log_p: Array, log_q: Array) -> Array:
    """½ Σ |p − q|."""
    return np.asarray(np.abs(np.exp(log_p) - np.exp(log_q)).sum(axis=-1) / 2)


# Closeness of a policy (first argument) to the base (second).
DIVERGENCES: dict[str, Divergence] = {
    "reverse KL": kl,
    "forward KL": forward_kl,
    "total variation": total_variation,
    "Rényi 1/2": partial(renyi, alpha=0.5),
    "Rényi 2": partial(renyi, alpha=2),
    "Rényi 5": partial(renyi, alpha=5),
    "chi-squared": chi_squared,
}
