"""The methods' rewards as data: `R = r - on_correct * log b` on K and `R = r - on_incorrect * log b` on I.

One pair of coefficients tells vanilla, the global entropy heuristics and differential smoothing apart (the table of
methods); T3's flows and T10's sampled steps take it as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shaping:
    """on_correct, on_incorrect: coefficients of `-log b`, scalars or arrays that broadcast over batches.

    centred: subtract from log b its mean over the policy's (or the group's) own correct trajectories; incorrect alike.
    """

    on_correct: npt.ArrayLike = 0.0
    on_incorrect: npt.ArrayLike = 0.0
    centred: bool = False

    def term(self, log_b: Array, correct: npt.NDArray[np.bool_]) -> Array:
        """What is added to the reward, (..., m); log_b (..., m) is already centred if it is to be."""
        correct_part = np.asarray(self.on_correct, dtype=np.float64)[..., np.newaxis]
        incorrect_part = np.asarray(self.on_incorrect, dtype=np.float64)[..., np.newaxis]
        return -np.where(correct, correct_part, incorrect_part) * log_b


def _strength(name: str, value: npt.ArrayLike, least: float) -> Array:
    values = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(values) & (values >= least)):
        raise ValueError(f"{name}={value!r} must be finite" + (" and >= 0" if least == 0 else ""))
    return values


def vanilla() -> Shaping:
    """`R = r`."""
    return Shaping()


def entropy(gamma: npt.ArrayLike) -> Shaping:
    """`R = r - gamma log b` on every trajectory: a bonus for gamma > 0, a penalty for gamma < 0."""
    value = _strength("gamma", gamma, -np.inf)
    return Shaping(value, value)


def ds(gamma_p: npt.ArrayLike, gamma_n: npt.ArrayLike = 0.0) -> Shaping:
    """Differential smoothing: `r - gamma_p log b` on K, `r + gamma_n log b` on I."""
    return Shaping(_strength("gamma_p", gamma_p, 0.0), -_strength("gamma_n", gamma_n, 0.0))


def ds_centred(gamma_p: npt.ArrayLike, gamma_n: npt.ArrayLike = 0.0) -> Shaping:
    """Self-centred DS: log b minus its mean over K (over I for the incorrect), the mean held constant."""
    return Shaping(_strength("gamma_p", gamma_p, 0.0), -_strength("gamma_n", gamma_n, 0.0), centred=True)
