"""T13. What the DS term does to success p to first order: how much p changes by the term's own mean step.

With q and r the conditionals on K and I, `S_K = Σ q²`, `S_I = Σ r²`, ℓ = −log pi on K (mean ℓ̄ under q, ℓ̃ under
q²/S_K), m = −log pi on I likewise, the uncentered term changes p, per unit of eta, by

    gamma_p p²(1−p) [S_K (ℓ̃ − p ℓ̄) + (1−p) S_I ℓ̄] + gamma_n p(1−p)² [S_I (m̃ − (1−p) m̄) + p S_K m̄].

Arrays as in `theory.policies`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory import policies
from theory.groups import check_size
from theory.policies import Array, Mask, Strength, check_strength


@dataclass(frozen=True)
class Moments:
    """Of one class, each (...,): log of its mass; S = Σ q²; mean of −log q under q, and under q²/S."""

    log_mass: Array
    squares: Array
    mean: Array
    tilted: Array


def moments(log_p: Array, mask: Mask) -> Moments:
    """The moments of pi on `mask`, (..., m) → (...,)."""
    log_q = policies.conditional(log_p, mask)
    log_squares = policies.log_sum(2 * log_q)
    tilted = 2 * log_q - log_squares[..., None]
    return Moments(
        policies.log_mass(log_p, mask),
        np.asarray(np.exp(log_squares)),
        -policies.expected(log_q, log_q),
        -policies.expected(tilted, log_q),
    )


def effect(log_p: Array, correct: Mask, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """T13: change of p per unit of eta by the uncentered DS term (advantage form), (...,). ValueError for gamma < 0."""
    on_correct, on_incorrect = check_strength("gamma_p", gamma_p), check_strength("gamma_n", gamma_n)
    k, i = moments(log_p, correct), moments(log_p, ~correct)
    p, miss = np.exp(k.log_mass), np.exp(i.log_mass)
    l_mean, l_tilted = k.mean - k.log_mass, k.tilted - k.log_mass
    m_mean, m_tilted = i.mean - i.log_mass, i.tilted - i.log_mass
    smooth = p**2 * miss * (k.squares * (l_tilted - p * l_mean) + miss * i.squares * l_mean)
    sharpen = p * miss**2 * (i.squares * (m_tilted - miss * m_mean) + p * k.squares * m_mean)
    return np.asarray(on_correct * smooth + on_incorrect * sharpen)


def centered_effect(log_p: Array, correct: Mask, size: int, gamma_p: Strength) -> Array:
    """T13: the same for the self-centered term in groups of N = size, (...,); never above 0.

    `−gamma_p κ p(1−p) Cov_q(q, log q)`, with `κ = (N p − 1 + (1−p)^N)/N`, T10's share of pairs.
    """
    n = check_size(size)
    k, miss = moments(log_p, correct), np.exp(policies.log_mass(log_p, ~correct))
    p = np.exp(k.log_mass)
    pairs = (n * p - 1 + miss**n) / n
    covariance = k.squares * (k.mean - k.tilted)  # Cov_q(q, log q) ≥ 0
    return np.asarray(-check_strength("gamma_p", gamma_p) * pairs * p * miss * covariance)


def threshold(log_q: Array, log_r: Array) -> Array:
    """T13: p* in (0, 1], below which and only there the gamma_p term speeds success up, for these conditionals, (...,).

    log_q (..., a) on K, log_r (..., b) on I. It is 1 iff q is uniform. The bracket falls strictly with p from +∞, so
    there is one root; bisected on log(p/(1−p)).
    """
    k = moments(log_q, np.ones(log_q.shape[-1], dtype=bool))
    squares_i = np.exp(policies.log_sum(2 * log_r))

    def bracket(odds: Array) -> Array:
        log_p, p = -np.logaddexp(0.0, -odds), 1 / (1 + np.exp(-odds))
        miss = 1 / (1 + np.exp(odds))
        mean, tilted = k.mean - log_p, k.tilted - log_p
        return np.asarray(k.squares * (tilted - p * mean) + miss * squares_i * mean)

    low, high = np.full_like(k.mean, -30.0), np.full_like(k.mean, 30.0)
    flat = k.mean - k.tilted < 1e-13
    for _ in range(100):
        middle = (low + high) / 2
        rises = bracket(middle) > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return np.asarray(np.where(flat, 1.0, 1 / (1 + np.exp(-low))))
