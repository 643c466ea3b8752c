"""Diversity of correct answers: from samples without bias, from probabilities exactly."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differential_smoothing.passk import distinct_at_k, pass_at_k_exact


def coverage(n: int, counts: Mapping[Hashable, int] | Sequence[int], k: int, solutions: int) -> float:
    """Unbiased expected share of a problem's `solutions` canonical answers among k of n samples."""
    if solutions < max(1, sum(1 for count in (counts.values() if isinstance(counts, Mapping) else counts) if count)):
        raise ValueError(f"solutions={solutions}: fewer than the distinct answers seen, or none")
    return distinct_at_k(n, counts, k) / solutions


def coverage_exact(probabilities: ArrayLike, k: int) -> float:
    """Expected share of the answers found in k samples; `probabilities` (answers,) is the chance of each per sample."""
    return float(np.mean(pass_at_k_exact(probabilities, k)))


def _distribution(q: ArrayLike) -> NDArray[np.float64]:
    q = np.asarray(q, dtype=float)
    if q.ndim != 1 or not np.all(q >= 0) or not abs(q.sum() - 1) < 1e-6:
        raise ValueError(f"q={q}: must be a distribution")
    return q


def gini_simpson(q: ArrayLike) -> float:
    """1 − Σ q²: the chance that two correct samples give different answers. q: (answers,), sums to one."""
    return float(1 - np.sum(_distribution(q) ** 2))


def gini_simpson_sampled(counts: Mapping[Hashable, int] | Sequence[int]) -> float:
    """Unbiased 1 − Σ q² from the counts of correct answers; NaN with fewer than two correct samples."""
    values = list(counts.values()) if isinstance(counts, Mapping) else list(counts)
    c = sum(values)
    if c < 2:
        return float("nan")
    return float(1 - Fraction(sum(count * (count - 1) for count in values), c * (c - 1)))


def shannon_entropy(q: ArrayLike) -> float:
    """−Σ q log q in nats. q: (answers,), sums to one."""
    q = _distribution(q)
    q = q[q > 0]
    return float(max(0.0, -np.sum(q * np.log(q))))
