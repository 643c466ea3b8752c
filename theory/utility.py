"""T12. The implicit utility: which shared strategies a method keeps is decided by whether its weight w_N falls with p.

Strategies are shared by prompts as in `theory.strategies`: `p_x = Σ_y pi(y) A[x, y]`. The mean flow of a method of
T11 is the policy-gradient flow of `Φ(pi) = mean_x F(p_x)`, `F' = w_N`: it pays strategy y the reward
`R(y) = mean_x w_N(p_x) A[x, y]`. Where w_N falls, Φ is concave.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory import strategies
from theory.policies import Array, Mask, Strength, log_normalize
from theory.weights import Advantages, coefficients, polynomial

STEPS = 5_000


def weight(advantages: Advantages, p: npt.ArrayLike) -> Array:
    """w_N(p), also at p = 0 and 1, where prompts are forgotten or solved; shape of p in [0, 1]."""
    return polynomial(coefficients(advantages), p)


def utility(advantages: Advantages, p: npt.ArrayLike) -> Array:
    """F(p), the integral of w_N from 0: Bernstein coefficients `(1/N) Σ_{i<j} d_i`; shape of p."""
    return polynomial(np.concatenate([[0.0], np.cumsum(coefficients(advantages))]) / advantages.size, p)


def is_decreasing(advantages: Advantages, elevations: int = 64) -> bool:
    """Whether w_N falls strictly on (0, 1), by a certificate: Bernstein coefficients that never rise and differ.

    The degree is raised up to `elevations` times, which changes the coefficients and not the polynomial. False where
    no certificate was found.
    """
    d = coefficients(advantages)
    for _ in range(elevations + 1):
        if (np.diff(d) <= 1e-12 * np.abs(d).max()).all():
            return bool(np.ptp(d) > 1e-9 * np.abs(d).max())
        share = np.arange(len(d) + 1) / len(d)
        d = share * np.r_[0.0, d] + (1 - share) * np.r_[d, 0.0]
    return False


def potential(log_p: Array, solves: npt.ArrayLike, advantages: Advantages, gamma_p: Strength = 0.0) -> Array:
    """Φ(pi) + Σ_y gamma_p a (pi − pi log pi), (...,): what the flow with DS on correct rollouts climbs."""
    table = strategies.check_solves(solves)
    return _potential(log_p, table, advantages, np.asarray(gamma_p)[..., None] * strategies.accuracy(table))


def _potential(log_p: Array, table: Mask, advantages: Advantages, smooth: Array) -> Array:
    """`potential` of a checked table, smooth (..., m) the weights of DS."""
    found, p = utility(advantages, strategies.success(log_p, table)).mean(axis=-1), np.exp(log_p)
    return np.asarray(found + (smooth * (p - p * np.maximum(log_p, -800.0))).sum(axis=-1))


def reward(
    log_p: Array, solves: npt.ArrayLike, advantages: Advantages, gamma_p: Strength = 0.0, gamma_n: Strength = 0.0
) -> Array:
    """R(y), (..., m): the method's mean_x w_N(p_x) A[x, y], and DS's own-policy term of T9 on top."""
    table = strategies.check_solves(solves)
    return _reward(log_p, table, advantages, strategies.weights(strategies.accuracy(table), gamma_p, gamma_n))


def _reward(log_p: Array, table: Mask, advantages: Advantages, smooth: Array) -> Array:
    """`reward` of a checked table, smooth (..., m) the weights of DS."""
    w = weight(advantages, strategies.success(log_p, table))
    paid = np.einsum("...x,...xy->...y", w, table) / table.shape[-2]
    return np.asarray(paid - smooth * np.maximum(log_p, -800.0))


def flow(
    log_p0: Array,
    solves: npt.ArrayLike,
    advantages: Advantages,
    times: npt.ArrayLike,
    gamma_p: float = 0.0,
    gamma_n: float = 0.0,
) -> Array:
    """The mean flow from log_p0 (m,) at times (t,): log-policies (t, m), `strategies.climb` with this `reward`."""
    table = strategies.check_solves(solves)
    smooth = strategies.weights(strategies.accuracy(table), gamma_p, gamma_n)
    return strategies.climb(log_p0, lambda log_p: _reward(log_p, table, advantages, smooth), times)


def limit(solves: npt.ArrayLike, advantages: Advantages, gamma_p: Strength = 0.0, tolerance: float = 1e-6) -> Array:
    """Where the flow of a method with falling w_N (and DS with gamma_n = 0) ends from any base: log-policy (..., m).

    The maximizer of the concave `potential` on the simplex, by exponentiated gradient with a step that halves where the
    potential would fall; `optimality_gap` bounds what is missing. Its p_x are unique; with gamma_p > 0 so is the policy
    wherever a > 0. ValueError where w_N is not known to fall; RuntimeError if the gap stays above `tolerance`.
    """
    if not is_decreasing(advantages):
        raise ValueError("w_N is not known to fall: the flow's end depends on the base; integrate it")
    table = strategies.check_solves(solves)
    smooth = strategies.weights(strategies.accuracy(table), gamma_p)
    log_p = np.full((*table.shape[:-2], table.shape[-1]), -np.log(table.shape[-1]))
    step, value = np.ones(table.shape[:-2]), _potential(log_p, table, advantages, smooth)
    for _ in range(STEPS):
        r = _reward(log_p, table, advantages, smooth)
        missing = optimality_gap(log_p, r)
        if (missing <= tolerance).all():
            return log_p
        tried = log_normalize(log_p + step[..., None] * (r - r.max(axis=-1, keepdims=True)))
        reached = _potential(tried, table, advantages, smooth)
        better = reached >= value
        log_p = np.where(better[..., None], tried, log_p)
        value = np.where(better, reached, value)
        step = np.where(better, np.minimum(step * 1.5, 1e6), step / 2)
        if ((step < 1e-15) & (missing > 10 * tolerance)).any():  # nothing near is better: R is no gradient
            break
    raise RuntimeError(f"the limit was not reached: {float(optimality_gap(log_p, r).max()):.1e} is missing")


def optimality_gap(log_p: Array, r: Array) -> Array:
    """max_y R − E_pi R, (...,): for a concave potential with gradient R no policy is better by more than this."""
    return np.asarray(r.max(axis=-1) - (np.exp(log_p) * r).sum(axis=-1))
