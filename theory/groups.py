"""T1 and T2: what one GRPO step on a finite group of N rollouts does, in closed form.

The N rollouts are drawn independently from the policy; k of them are correct; a mixed group has 0 < k < N. Advantages
are `(r_i - k/N) / (std(k) + eps)`, and 0 in a group without spread.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

Array = npt.NDArray[np.float64]


def check_size(size: int, least: int = 1) -> int:
    """Return the group size N; ValueError unless it is an integer >= least."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
        raise ValueError(f"size={size!r} must be an integer >= {least}")
    return int(size)


def check_correctness(C: npt.ArrayLike) -> Array:
    """Return the correctness C as an array; ValueError unless every value lies strictly between 0 and 1."""
    values = np.asarray(C, dtype=np.float64)
    if not ((values > 0) & (values < 1)).all():
        raise ValueError(f"C={C!r} must lie strictly between 0 and 1")
    return values


def check_std(ddof: int, eps: float) -> None:
    """ValueError unless ddof is 0 (population) or 1 (sample) and eps is finite and >= 0."""
    if ddof not in (0, 1):
        raise ValueError(f"ddof={ddof!r} must be 0 (population std) or 1 (sample std)")
    if not (math.isfinite(eps) and eps >= 0):
        raise ValueError(f"eps={eps!r} must be a finite number >= 0")


def reinforcement_probability(p: npt.ArrayLike, C: npt.ArrayLike, size: int) -> Array:
    """T1: probability that a correct trajectory of probability p is drawn and the group is mixed.

    Equals `[1 - (1-p)^N] - [C^N - (C-p)^N]`, summed here as `(1-C) sum_j [C^j - (1-p)^(N-1-j) (C-p)^j]` with j from 0
    to N-1: all terms are positive, so nothing cancels at p = 1e-12 or C near 1. p, C: any shapes that broadcast,
    0 < p <= C < 1; p above C by rounding alone counts as C (.1 + .2 of .3).
    """
    size = check_size(size)
    mass = check_correctness(C)
    share = np.asarray(p, dtype=np.float64)
    if not np.all((share > 0) & (share <= mass * (1 + 1e-12))):
        raise ValueError(f"p={p!r} must lie in (0, C] with C={C!r}")
    share = np.minimum(share, mass)
    with np.errstate(divide="ignore"):
        lost, lost_correct = np.log1p(-share), np.log1p(-share / mass)  # -inf where p = C: no other correct one
    total = np.zeros(np.broadcast_shapes(share.shape, mass.shape))
    for j in range(size):
        exponent = (size - 1 - j) * lost + (j * lost_correct if j else 0.0)
        total += mass**j * -np.expm1(exponent)
    return (1 - mass) * total


def selection_ratio(p1: npt.ArrayLike, p2: npt.ArrayLike, C: npt.ArrayLike, size: int) -> Array:
    """T1: how many times more often p1 is reinforced than p2 in a group of N >= 2: p1/p2 at N = 2, 1 as N grows."""
    check_size(size, least=2)
    return reinforcement_probability(p1, C, size) / reinforcement_probability(p2, C, size)


def group_std(size: int, ddof: int = 0, eps: float = 0.0, std: bool = True) -> Array:
    """The divisor of the advantages by the number k of correct rollouts, shape (N + 1,).

    `sqrt(k (N-k) / (N (N - ddof))) + eps`, or 1 without std; infinite for k = 0 and k = N, where advantages are 0.
    """
    size = check_size(size)
    check_std(ddof, eps)
    divisor = np.full(size + 1, np.inf)
    k = np.arange(1, size)
    divisor[1:size] = np.sqrt(k * (size - k) / (size * (size - ddof))) + eps if std else 1.0
    return divisor


@cache
def _ways(draws: int) -> tuple[Array, Array, Array]:
    """j = 0, …, draws; draws − j; log binom(draws, j); each (draws + 1,)."""
    j = np.arange(draws + 1.0)
    return j, draws - j, gammaln(draws + 1) - gammaln(j + 1) - gammaln(draws - j + 1)


def log_binomial(p: npt.ArrayLike, draws: int) -> Array:
    """log P(B = j) for B ~ Bin(draws, p), j = 0, …, draws: (..., draws + 1) for p (...,) in [0, 1]."""
    chance, (j, others, log_ways) = np.asarray(p, dtype=np.float64).T, _ways(draws)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 · −inf at p = 0 and 1: p^0 is 1
        right, wrong = np.multiply.outer(j, np.log(chance)), np.multiply.outer(others, np.log1p(-chance))
    right[0], wrong[-1] = 0.0, 0.0
    return np.asarray((right + wrong).T + log_ways)


def _over_the_others(C: npt.ArrayLike, size: int, value: Array) -> Array:
    """E[value(j)] for j ~ Bin(N - 1, C), value (N,) not negative; summed in log space."""
    log_pmf = log_binomial(check_correctness(C), size - 1)
    return np.exp(logsumexp(log_pmf, b=np.broadcast_to(value, log_pmf.shape), axis=-1))


def correct_factor(C: npt.ArrayLike, size: int, ddof: int = 0, eps: float = 0.0, std: bool = True) -> Array:
    """T2: `a_N(C) = E[(1 - k/N) / std(k)]`, k - 1 ~ Bin(N-1, C); `E[dtheta_y] = eta p_y a_N` on K. Shape of C."""
    divisor = group_std(size, ddof, eps, std)
    k = np.arange(1, size + 1)
    return _over_the_others(C, size, (1 - k / size) / divisor[1:])


def incorrect_factor(C: npt.ArrayLike, size: int, ddof: int = 0, eps: float = 0.0, std: bool = True) -> Array:
    """T2: `b_N(C) = E[(k/N) / std(k)]`, k ~ Bin(N-1, C), so that `E[dtheta_w] = -eta p_w b_N` on I. Shape of C."""
    divisor = group_std(size, ddof, eps, std)
    k = np.arange(size)
    return _over_the_others(C, size, (k / size) / divisor[:-1])


def gradient_factor(C: npt.ArrayLike, size: int, ddof: int = 0, eps: float = 0.0, std: bool = True) -> Array:
    """T2: `g_N = a_N / (1 - C)`; the mean GRPO step is `eta g_N` times the exact policy gradient. Shape of C."""
    return correct_factor(C, size, ddof, eps, std) / (1 - check_correctness(C))


def mean_step(
    p: npt.ArrayLike, correct: npt.ArrayLike, size: int, ddof: int = 0, eps: float = 0.0, std: bool = True
) -> Array:
    """T2: expected step of the logits per unit of eta, (..., m): `p a_N(C)` on K and `-p b_N(C)` on I.

    p: probabilities (..., m); correct: bool, (..., m) or (m,).
    """
    p = np.asarray(p, dtype=np.float64)
    mask = np.broadcast_to(np.asarray(correct, dtype=bool), p.shape)
    C = np.where(mask, p, 0.0).sum(-1)
    a = correct_factor(C, size, ddof, eps, std)[..., np.newaxis]
    b = incorrect_factor(C, size, ddof, eps, std)[..., np.newaxis]
    return np.where(mask, p * a, -p * b)
