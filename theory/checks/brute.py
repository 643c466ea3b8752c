"""Oracles that know no formula: every ordered group enumerated, and derivatives by a complex step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DRAWS = 400_000  # of a Monte Carlo check
SIGMA = 5.0  # its standard errors allowed

# (log-probabilities, correct) of the rollouts of all groups, each (groups, N) -> advantages (groups, N)
Advantages = Callable[[Array, npt.NDArray[np.bool_]], Array]


def sequences(m: int, size: int) -> npt.NDArray[np.int64]:
    """Every ordered group of `size` out of m trajectories, (m^size, size)."""
    return np.array(list(itertools.product(range(m), repeat=size)))


def normalize(reward: Array, ddof: int, eps: float, std: bool = True) -> Array:
    """GRPO's advantages of all groups, (groups, N), from NumPy's mean and std; 0 where a group has no spread."""
    centered = reward - reward.mean(1, keepdims=True)
    spread = np.ptp(reward, axis=1, keepdims=True) > 1e-12
    if not std or reward.shape[1] == ddof:
        return np.where(spread, centered, 0.0)
    return np.where(spread, centered / (np.where(spread, reward.std(1, ddof=ddof, keepdims=True), 1.0) + eps), 0.0)


def expected_step(p: Array, correct: npt.NDArray[np.bool_], size: int, advantages: Advantages) -> Array:
    """Mean of `(1/N) sum_i A_i (e_{y_i} - p)` over all m^size ordered groups, (m,)."""
    m = len(p)
    drawn = sequences(m, size)
    A = advantages(np.log(p)[drawn], correct[drawn])
    pull = (A[:, :, None] * (np.eye(m)[drawn] - p)).sum(1) / size
    return p[drawn].prod(1) @ pull


def gradient(f: Callable[..., Array], theta: Array, *others: Any) -> Array:
    """Gradient (..., m) of an analytic f(theta, *others) at the logits theta (..., m) by a complex step."""
    result = np.empty(theta.shape)
    for y in range(theta.shape[-1]):
        shifted = theta.astype(np.complex128)
        shifted[..., y] += 1e-30j
        result[..., y] = np.imag(f(shifted, *others)) / 1e-30
    return result


def relative(found: Array, wanted: Array, floor: float = 0.0) -> float:
    """Largest |found - wanted| relative to the largest |wanted| of the instance (last axis), or to `floor`."""
    scale = np.maximum(np.abs(wanted).max(-1, keepdims=True), floor)
    return float(np.max(np.abs(found - wanted) / np.where(scale > 0, scale, 1.0)))
