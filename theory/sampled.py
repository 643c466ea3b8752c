"""T10: one sampled GRPO step, exactly, by summing over the count vectors of a group.

A group of N rollouts is a vector of counts n (m,), `sum n = N`; there are binom(N+m-1, m-1) of them. The step of the
logits is `(eta/N) sum_i A_i (e_{y_i} - pi)`; the advantages A_i depend on the group through n alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from theory.groups import check_size, check_std
from theory.shaping import Shaping

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_STATES = 3_000_000
CHUNK = 65_536  # count vectors held in memory at once
# Rewards that are equal in exact arithmetic may differ by rounding; a std made of rounding errors must not divide.
SAME = 1e-12


@dataclass(frozen=True)
class Grpo:
    """How advantages come from rewards.

    place: the shaping is added to the reward before centering and std (Eq. 4), or to the advantage (Eq. 6). std: divide
    by the group's std, with this ddof (0 population, 1 sample) and `+ eps`; a group without spread gives 0.
    drop_uniform: groups that are all correct or all incorrect make no step at all (else their shaping stays).
    """

    place: Literal["advantage", "reward"] = "advantage"
    std: bool = True
    ddof: int = 0
    eps: float = 0.0
    drop_uniform: bool = False

    def __post_init__(self) -> None:
        if self.place not in ("advantage", "reward"):
            raise ValueError(f"place={self.place!r} must be 'advantage' or 'reward'")
        check_std(self.ddof, self.eps)


PLAIN = Grpo()


def number_of_groups(m: int, size: int) -> int:
    """binom(N + m - 1, m - 1)."""
    return math.comb(size + m - 1, m - 1)


@lru_cache(maxsize=16)
def count_vectors(m: int, size: int) -> npt.NDArray[np.int64]:
    """All count vectors of m trajectories in a group of N, (states, m), in lexicographic order; read-only."""
    check_size(size)
    if number_of_groups(m, size) > MOST_STATES:
        raise ValueError(f"m={m}, size={size}: {number_of_groups(m, size)} groups are more than {MOST_STATES}")
    rows = np.zeros((1, 0), dtype=np.int64)
    for _ in range(m - 1):
        left = size - rows.sum(1)
        parent = np.repeat(np.arange(len(rows)), left + 1)
        first = np.cumsum(left + 1) - (left + 1)
        rows = np.column_stack([rows[parent], np.arange(len(parent)) - first[parent]])
    rows = np.column_stack([rows, size - rows.sum(1)])
    rows.setflags(write=False)
    return rows


def log_multinomial(counts: npt.NDArray[np.int64], log_p: Array) -> Array:
    """Log-probability of each count vector (..., m) under the policy log_p (..., m)."""
    ways = gammaln(counts.sum(-1) + 1) - gammaln(counts + 1).sum(-1)
    # a trajectory that was not drawn counts for nothing, even where its log-probability is -inf
    terms = np.multiply(counts, log_p, where=counts > 0, out=np.zeros(np.broadcast_shapes(counts.shape, log_p.shape)))
    return ways + terms.sum(-1)


def _reduce(function: np.ufunc, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`function` over the last axis, which is kept with length one; along the first of the transpose, for speed."""
    return np.asarray(function.reduce(np.ascontiguousarray(values.T))).T[..., None]


def _mean(counts: npt.NDArray[np.int64], values: Array, where: Mask) -> Array:
    """Mean of values (..., m) over the rollouts of the group that lie in `where`, (..., 1); 0 if there is none."""
    weights = np.where(where, counts, 0)
    total = _reduce(np.add, weights)
    return _reduce(np.add, weights * np.where(where, values, 0.0)) / np.maximum(total, 1)


def normalized(counts: npt.NDArray[np.int64], reward: Array, options: Grpo) -> Array:
    """GRPO's advantages by trajectory, (..., m), for rewards (..., m); only entries with counts > 0 mean anything."""
    everywhere = np.ones(reward.shape[-1], dtype=bool)
    drawn = counts > 0
    centered = reward - _mean(counts, reward, everywhere)
    high = _reduce(np.maximum, np.where(drawn, centered, -np.inf))
    low = _reduce(np.minimum, np.where(drawn, centered, np.inf))
    scale = np.maximum(1.0, _reduce(np.maximum, np.abs(np.where(drawn, reward, 0.0))))
    spread = high - low > SAME * scale
    if not options.std:
        return np.where(spread, centered, 0.0)
    size = _reduce(np.add, counts)
    variance = _reduce(np.add, counts * centered**2) / np.maximum(size - options.ddof, 1)
    return np.where(spread, centered, 0.0) / np.where(spread, np.sqrt(variance) + options.eps, 1.0)


def advantages(
    log_b: Array, correct: Mask, counts: npt.NDArray[np.int64], shaping: Shaping, options: Grpo = PLAIN
) -> Array:
    """The advantage of each trajectory in each group, (..., m); only entries with counts > 0 mean anything.

    log_b: log-probabilities (..., m) that the shaping uses (previous policy or base). counts: (..., m).
    """
    if shaping.centered:
        means = [_mean(counts, log_b, where) for where in (correct, ~correct)]
        log_b = log_b - np.where(correct, means[0], means[1])
    term = shaping.term(log_b, correct)
    reward = correct.astype(np.float64)
    if options.place == "reward":
        result = normalized(counts, reward + term, options)
    else:
        result = normalized(counts, np.broadcast_to(reward, term.shape), options) + term
    if options.drop_uniform:
        k = np.where(correct, counts, 0).sum(-1, keepdims=True)
        result = np.where((k > 0) & (k < counts.sum(-1, keepdims=True)), result, 0.0)
    return result


def group_step(
    log_p: Array,
    correct: Mask,
    counts: npt.NDArray[np.int64],
    shaping: Shaping,
    options: Grpo = PLAIN,
    log_b: Array | None = None,
) -> Array:
    """The step of the logits per unit of eta that one group makes: `(1/N) sum_i A_i (e_{y_i} - pi)`, (..., m)."""
    advantage = advantages(log_p if log_b is None else log_b, correct, counts, shaping, options)
    pull = counts * np.where(counts > 0, advantage, 0.0)
    return (pull - np.exp(log_p) * _reduce(np.add, pull)) / _reduce(np.add, counts)


def _all_steps(
    log_p: Array, correct: Mask, size: int, shaping: Shaping, options: Grpo, log_b: Array | None
) -> Iterator[tuple[Array, Array]]:
    if log_p.ndim != 1 or correct.shape != log_p.shape:
        raise ValueError(f"log_p and correct must both have shape (m,), not {log_p.shape} and {correct.shape}")
    counts = count_vectors(len(log_p), size)
    for start in range(0, len(counts), CHUNK):
        part = counts[start : start + CHUNK]
        yield np.exp(log_multinomial(part, log_p)), group_step(log_p, correct, part, shaping, options, log_b)


def expected_step(
    log_p: Array,
    correct: Mask,
    size: int,
    shaping: Shaping,
    options: Grpo = PLAIN,
    log_b: Array | None = None,
) -> Array:
    """T10: the exact expected step of the logits per unit of eta, (m,).

    log_p: current log-policy (m,), from which the N = size rollouts are drawn. log_b: log-probabilities of the shaping;
    the current policy's unless given (the base's, for Eq. 4 as first written). ValueError if there are too many groups.
    """
    mean = np.zeros(len(log_p))
    for weights, step in _all_steps(log_p, correct, size, shaping, options, log_b):
        mean += weights @ step
    return mean


def step_moments(
    log_p: Array,
    correct: Mask,
    size: int,
    shaping: Shaping,
    options: Grpo = PLAIN,
    log_b: Array | None = None,
) -> tuple[Array, Array]:
    """T10: exact mean (m,) and covariance (m, m) of one sampled step of the logits, per unit of eta and eta^2."""
    mean, square = np.zeros(len(log_p)), np.zeros((len(log_p), len(log_p)))
    for weights, step in _all_steps(log_p, correct, size, shaping, options, log_b):
        mean += weights @ step
        square += (weights[:, np.newaxis] * step).T @ step
    return mean, square - np.outer(mean, mean)


def centered_ds_part(log_p: Array, correct: Mask, size: int, gamma_p: float) -> Array:
    """T10: expected DS part of the self-centered step per unit of eta (gamma_n = 0, advantage form), (m,), closed form.

    `-gamma_p (N C - 1 + (1-C)^N) / N * q_y (log q_y - E_q log q)` on K, with q = pi_K; 0 on I. Raises ValueError where
    C = 0, and with it q, has no meaning.
    """
    check_size(size)
    p = np.exp(log_p)
    C, miss = p[correct].sum(), p[~correct].sum()
    if not C > 0:
        raise ValueError(f"log_p gives the correct trajectories probability {C:g}: it must be above zero")
    q = np.where(correct, p / C, 0.0)
    deviation = np.where(correct, log_p - q @ np.where(correct, log_p, 0.0), 0.0)
    # N C - 1 + (1-C)^N = C sum_{j<N} (1 - (1-C)^j): no cancellation at small C
    pairs = C * sum(-math.expm1(j * math.log(miss)) if miss > 0 else float(j > 0) for j in range(size))
    return -gamma_p * pairs / size * q * deviation
