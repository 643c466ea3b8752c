"""The methods' rewards as data: `R = r - on_correct * log b` on K and `R = r - on_incorrect * log b` on I.

One pair of coefficients tells vanilla, the global entropy heuristics and differential smoothing apart (the table of
methods); T3's flows and T10's sampled steps take it as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from theory.policies import Strength, check_strength

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shaping:
    """on_correct, on_incorrect: coefficients of `-log b`, scalars or arrays that broadcast over batches.

    centered: subtract from log b its mean over the policy's (or the group's) own correct trajectories; incorrect alike.
    """

    on_correct: Strength = 0.0
    on_incorrect: Strength = 0.0
    centered: bool = False

    def term(self, log_b: Array, correct: npt.NDArray[np.bool_]) -> Array:
        """What is added to the reward, (..., m); log_b (..., m) is already centered if it is to be."""
        correct_part = np.asarray(self.on_correct, dtype=np.float64)[..., np.newaxis]
        incorrect_part = np.asarray(self.on_incorrect, dtype=np.float64)[..., np.newaxis]
        return -np.where(correct, correct_part, incorrect_part) * log_b


def vanilla() -> Shaping:
    """`R = r`."""
    return Shaping()


def entropy(gamma: Strength) -> Shaping:
    """`R = r - gamma log b` on every trajectory: a bonus for gamma > 0, a penalty for gamma < 0."""
    value = check_strength("gamma", gamma, signed=True)
    return Shaping(value, value)


def ds(gamma_p: Strength, gamma_n: Strength = 0.0) -> Shaping:
    """Differential smoothing: `r - gamma_p log b` on K, `r + gamma_n log b` on I."""
    return Shaping(check_strength("gamma_p", gamma_p), -check_strength("gamma_n", gamma_n))


def ds_centered(gamma_p: Strength, gamma_n: Strength = 0.0) -> Shaping:
    """Self-centered DS: log b minus its mean over K (over I for the incorrect), the mean held constant."""
    return Shaping(check_strength("gamma_p", gamma_p), -check_strength("gamma_n", gamma_n), centered=True)
