"""T9: what differential smoothing does to Pass@k when prompts share strategies.

One policy over m strategies serves X prompts; `solves` (X, m) says which strategy solves which prompt, and `a(y)`, its
mean over prompts, is the strategy's accuracy. Averaged over prompts, own-policy DS rewards strategy y with
`R(y) = a − w log pi(y)`, `w = gamma_p a − gamma_n (1 − a)` its weight: DS smooths strategies of positive weight and
sharpens those of negative weight. Policies are log-policies (..., m).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp

from theory.policies import Array, Mask, Strength, check_strength, log_base, log_normalize, log_sum

NEWTON_STEPS = 200


@dataclass(frozen=True)
class Model:
    """A model of T9's table: base probabilities (m,), which strategy solves which prompt (X, m), and its gamma_p."""

    pi0: tuple[float, ...]
    solves: tuple[tuple[int, ...], ...]
    gamma_p: float

    @property
    def log_p0(self) -> Array:
        """The base policy, (m,)."""
        return log_base(self.pi0)

    @property
    def table(self) -> Mask:
        """Which strategy solves which prompt, (X, m)."""
        return check_solves(self.solves)


# S0 solves nothing; S1 and S2 solve two prompts each, or three and one.
EVEN = Model((0.8, 0.15, 0.05), ((0, 1, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1)), 0.5)
UNEVEN = Model((0.8, 0.15, 0.05), ((0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 0, 1)), 1.0)


def check_solves(solves: npt.ArrayLike) -> Mask:
    """The table (..., X, m) as booleans; ValueError if it is not zeros and ones with at least two strategies."""
    found = np.asarray(solves)
    if found.ndim < 2 or found.shape[-1] < 2 or found.shape[-2] < 1:
        raise ValueError(f"solves has shape {found.shape}: needs prompts as rows, at least two strategies as columns")
    if found.dtype != bool and not np.isin(found, (0, 1)).all():
        raise ValueError(f"solves={found.tolist()}: every entry must be 0 or 1")
    return np.asarray(found, dtype=bool)


def accuracy(solves: npt.ArrayLike) -> Array:
    """a(y), the share of prompts that strategy y solves, (..., m)."""
    return np.asarray(check_solves(solves).mean(axis=-2))


def success(log_p: Array, solves: npt.ArrayLike) -> Array:
    """C(x), the probability that one sample solves prompt x, (..., X)."""
    return np.asarray(np.minimum(np.einsum("...xy,...y->...x", check_solves(solves), np.exp(log_p)), 1.0))


def pass_at_k(C: npt.ArrayLike, k: npt.ArrayLike) -> Array:
    """Mean over prompts of 1 − (1 − C)^k: of shape (...,) for C (..., X) and one k, (..., n) for n of them.

    Raises ValueError for C outside [0, 1] or k that is not a whole number from 1.
    """
    found, draws = np.asarray(C, dtype=float), np.asarray(k)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"C={C!r}: must lie in [0, 1]")
    if draws.dtype.kind not in "iu" or (draws < 1).any():
        raise ValueError(f"k={k!r}: must be whole numbers from 1")
    with np.errstate(divide="ignore"):
        missed = np.log1p(-found)  # −inf where a prompt is always solved: 1 − e^{−inf} = 1
    return np.asarray(-np.expm1(np.multiply.outer(missed, draws)).mean(axis=found.ndim - 1))


def weights(a: Array, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """gamma_p a − gamma_n (1 − a), (..., m): positive where DS smooths a strategy, negative where it sharpens it.

    What differs from zero by rounding alone is zero.
    """
    p, n = (check_strength(name, g)[..., None] for name, g in (("gamma_p", gamma_p), ("gamma_n", gamma_n)))
    found = p * a - n * (1 - a)
    return np.asarray(np.where(np.abs(found) <= 1e-12 * (p + n), 0.0, found))


def reward(log_p: Array, a: Array, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """R(y) = a − weight · log pi(y), the own-policy DS reward averaged over prompts, (..., m)."""
    return np.asarray(a - weights(a, gamma_p, gamma_n) * log_p)


def limit(a: Array, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """Log-policy (..., m) in which the plain DS flow ends from any base, if it smooths at least one strategy.

    Smoothed strategies share all mass so that their rewards are equal: pi(y) = exp((a − c)/w), c such that they sum to
    one. The others vanish: at every time R ≥ a on the former, R ≤ a on the latter, and w increases with a, so every
    smoothed strategy is worth more than every other. Raises ValueError where none is smoothed (the base then decides).
    """
    w = weights(a, gamma_p, gamma_n)
    smoothed = w > 0
    if not smoothed.any(axis=-1).all():
        raise ValueError(f"gamma_p={gamma_p}, gamma_n={gamma_n}: no strategy is smoothed, so the base decides the end")
    scale = np.where(smoothed, w, 1.0)
    c = np.where(smoothed, a, -np.inf).max(axis=-1, keepdims=True)
    for _ in range(NEWTON_STEPS):  # the log of the sum is convex and falls with c: from the left Newton never oversteps
        terms = np.where(smoothed, (a - c) / scale, -np.inf)
        total = log_sum(terms, keepdims=True)
        step = total / (np.exp(terms - total) / scale).sum(axis=-1, keepdims=True)
        c = c + step
        if (np.abs(step) <= 1e-15 * np.maximum(1.0, np.abs(c))).all():
            break
    return log_normalize(np.where(smoothed, (a - c) / scale, -np.inf))


def vanilla_limit(log_p0: Array, a: Array) -> Array:
    """Log-policy (..., m) in which the plain flow of R = a ends: the likeliest of the most accurate strategies.

    Exact ties in both share equally. Where all strategies are equally accurate nothing moves.
    """
    winners, equal = _winners(log_p0, a)
    with np.errstate(divide="ignore"):
        end = np.log(winners / winners.sum(axis=-1, keepdims=True))
    return np.asarray(np.where(equal[..., None], log_p0, end))


def one_winner(log_p0: Array, a: Array) -> Mask:
    """Where vanilla ends on one strategy alone, (...,): one likeliest of the most accurate, and not all as accurate."""
    winners, equal = _winners(log_p0, a)
    return np.asarray((winners.sum(axis=-1) == 1) & ~equal)


def _winners(log_p0: Array, a: Array) -> tuple[Mask, Mask]:
    """The likeliest of the most accurate strategies, (..., m), and where all are as accurate, (...,)."""
    best = a == a.max(axis=-1, keepdims=True)
    likely = np.where(best, log_p0, -np.inf)
    return np.asarray(likely == likely.max(axis=-1, keepdims=True)), np.asarray(best.all(axis=-1))


def flow(log_p0: Array, a: Array, gamma_p: float, gamma_n: float, times: npt.ArrayLike) -> Array:
    """The DS flow from log pi0 (m,), `climb` with `reward`; gamma_p = gamma_n = 0 is vanilla."""
    w = weights(a, gamma_p, gamma_n)
    return climb(log_p0, lambda log_p: np.asarray(a - w * log_p), times)


def climb(log_p0: Array, rewards: Callable[[Array], Array], times: npt.ArrayLike) -> Array:
    """The plain policy-gradient flow theta' = pi (R − E_pi R) from theta(0) = log pi0 (m,): log-policies (t, m).

    rewards: R of a log-policy, (m,) → (m,). times (t,): increasing, above zero. RuntimeError if the integrator fails.
    """
    clock = np.log1p(np.asarray(times, dtype=float))
    if clock.ndim != 1 or not (np.diff(clock, prepend=0.0) > 0).all():
        raise ValueError(f"times={times!r}: must be increasing and above zero")

    def velocity(s: float, theta: Array) -> Array:
        log_p = log_normalize(theta)
        p, r = np.exp(log_p), rewards(log_p)
        return np.asarray(np.exp(s) * p * (r - p @ r))

    # the clock log(1 + t) makes slow tails and fast beginnings alike
    done = solve_ivp(velocity, (0.0, clock[-1]), log_p0, method="LSODA", t_eval=clock, rtol=1e-8, atol=1e-10)
    if not done.success:
        raise RuntimeError(f"the integrator stopped: {done.message}")
    return log_normalize(done.y.T)


def order_at_large_k(first: npt.ArrayLike, second: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Which of two success vectors (..., X) has the larger Pass@k for all large k: 1, −1, or 0 where they are equal.

    The mean of (1 − C)^k is ruled by the hardest prompts: sorted from the hardest, the first difference
    beyond rounding decides.
    """
    one, two = (np.sort(np.asarray(C, dtype=float), axis=-1) for C in (first, second))
    differs = ~np.isclose(one, two, rtol=1e-9, atol=0)
    place = differs.argmax(axis=-1)[..., None]
    sign = np.sign(np.take_along_axis(one, place, -1) - np.take_along_axis(two, place, -1))[..., 0]
    return np.asarray(np.where(differs.any(axis=-1), sign, 0), dtype=np.int64)


def first_k_ahead(first: Array, second: Array, most: int = 1024) -> int | None:
    """The least k ≤ `most` at which the success vector `first` (X,) has the larger Pass@k; None if there is none."""
    k = np.arange(1, most + 1)
    ahead = pass_at_k(first, k) > pass_at_k(second, k)
    return int(k[ahead.argmax()]) if ahead.any() else None
