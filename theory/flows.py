"""T3: the exact policy-gradient flow `theta'_y = pi(y) (R(y) - E_pi R)` and the natural one `theta'_y = R(y) - E_pi R`.

R may contain log pi itself (the shaping with b = the current policy). All in log space; time is that of the flow
(learning rate times steps).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp
from scipy.special import softmax

from theory import policies
from theory.shaping import Shaping

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def reward(log_p: Array, correct: Mask, shaping: Shaping) -> Array:
    """The reward R of each trajectory, (..., m), with b = the current policy log_p (..., m)."""
    log_b = log_p
    if shaping.centered:
        means = [policies.expected(policies.conditional(log_p, part), log_p)[..., None] for part in (correct, ~correct)]
        log_b = log_p - np.where(correct, means[0], means[1])
    return correct + shaping.term(log_b, correct)


def field(theta: Array, correct: Mask, shaping: Shaping, natural: bool = False) -> Array:
    """Velocity of the logits (..., m) under the exact policy gradient, or under the natural one."""
    log_p = policies.log_normalize(theta)
    p = np.exp(log_p)
    r = reward(log_p, correct, shaping)
    velocity = r - (p * r).sum(-1, keepdims=True)
    return velocity if natural else p * velocity


def potential(theta: Array, correct: Mask, shaping: Shaping) -> Array:
    """T3.4: the function of the logits whose gradient is the (uncentered, plain) flow; shape of the batch.

    `sum_K [pi - c_K (pi log pi - pi)] - c_I sum_I (pi log pi - pi)`; DS has c_K = gamma_p, c_I = -gamma_n. Complex
    logits are allowed (for differentiation by a complex step). ValueError for a centered shaping, which is no gradient.
    """
    if shaping.centered:
        raise ValueError("centered=True: the self-centered flow is no gradient, it has no potential")
    shifted = theta - theta.real.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    p = np.exp(log_p)
    return (np.where(correct, p, 0.0) + shaping.term(p * log_p - p, correct)).sum(-1)


def conserved(theta: Array, correct: Mask) -> tuple[Array, Array]:
    """T3.1: what the vanilla flow conserves: `e^-theta_y` less its class's least, (..., m), and `sum theta`, (...)."""
    inverse = np.exp(-theta)
    least = [np.where(where, inverse, np.inf).min(-1, keepdims=True) for where in (correct, ~correct)]
    return inverse - np.where(correct, least[0], least[1]), theta.sum(-1)


def integrate(
    log_p0: Array,
    correct: Mask,
    shaping: Shaping,
    times: npt.ArrayLike,
    natural: bool = False,
    rtol: float = 1e-9,
    atol: float = 1e-11,
) -> Array:
    """The flow from `theta(0) = log_p0` (..., m) at increasing times (t,) >= 0: the logits, (t, ..., m).

    Runs in the clock `log(1 + t)`, in which slow tails (1/t) and fast beginnings are alike; LSODA, for ends are stiff.
    A batch is one system with one step size: good for tens of instances, not thousands. RuntimeError if it fails.
    """
    wanted = np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not np.all(wanted >= 0) or np.any(np.diff(wanted) <= 0):
        raise ValueError(f"times={times!r} must be increasing and >= 0")
    clock = np.log1p(wanted)
    shape = log_p0.shape

    def velocity(s: float, theta: Array) -> Array:
        return np.exp(s) * field(theta.reshape(shape), correct, shaping, natural).ravel()

    done = solve_ivp(velocity, (0.0, clock[-1]), log_p0.ravel(), method="LSODA", t_eval=clock, rtol=rtol, atol=atol)
    if not done.success:
        raise RuntimeError(f"the integrator stopped: {done.message}")
    return done.y.T.reshape(len(clock), *shape)


def limit(log_p0: Array, correct: Mask, shaping: Shaping) -> Array:
    """T3.2-4: where the plain flow ends, as probabilities (..., m), for vanilla, an entropy bonus and DS.

    ValueError for what the theorem does not settle (penalty: see `penalty_threshold`; centered or other shapings).
    """
    on_correct, on_incorrect = (np.asarray(c, dtype=np.float64) for c in (shaping.on_correct, shaping.on_incorrect))
    if shaping.centered:
        raise ValueError("centered=True: T3 states the limit of the plain flow without centering")
    if np.all(on_correct == 0) and np.all(on_incorrect == 0):
        best = np.where(correct, log_p0, -np.inf)
        winners = best == best.max(-1, keepdims=True)
        return winners / winners.sum(-1, keepdims=True)
    if np.all(on_correct > 0) and np.array_equal(on_correct, on_incorrect):
        return softmax(np.broadcast_to(correct, log_p0.shape) / on_correct[..., np.newaxis], axis=-1)
    if np.all(on_correct > 0) and np.all(on_incorrect <= 0):
        return np.broadcast_to(correct / correct.sum(-1, keepdims=True), log_p0.shape)
    raise ValueError(f"shaping={shaping!r}: T3 states no limit for it")


def vanilla_tail(log_p0: Array, correct: Mask, t: npt.ArrayLike) -> tuple[Array, Array]:
    """T3.2: leading terms of the vanilla flow at large t, n correct trajectories tied as likeliest: `1 - C`, pi on K.

    log_p0: (m,); t: (times,). Returns (times,) and (times, m): `n L / ((n+L) t)`; for every other correct y, with
    `c = exp((sum theta + sum log Delta) / L)`, `(n^2 / ((n+L) c t))^(L/(n+L)) / (n Delta_y)`, NaN elsewhere. n = 1 is
    the theorem's own case.
    """
    t = np.asarray(t, dtype=np.float64)[:, np.newaxis]
    L = int((~correct).sum())
    gaps, total = conserved(log_p0, correct)
    losers = correct & (gaps > 0)
    n = int(correct.sum() - losers.sum())
    log_gap = np.log(np.where(losers, gaps, 1.0))
    log_c = (total + log_gap.sum()) / L
    log_share = L / (n + L) * (2 * np.log(n) - np.log((n + L) * t) - log_c) - np.log(n) - log_gap
    return (n * L / ((n + L) * t))[:, 0], np.where(losers, np.exp(log_share), np.nan)


def penalty_threshold(log_p0: Array, correct: Mask) -> Array:
    """T3.5: `gamma* = 1 / log(max_I pi0 / max_K pi0)`, infinite if the ratio is at most 1; shape of the batch.

    The natural flow with the penalty gamma ends on an incorrect trajectory iff gamma > gamma*.
    """
    log_ratio = np.where(correct, -np.inf, log_p0).max(-1) - np.where(correct, log_p0, -np.inf).max(-1)
    with np.errstate(divide="ignore"):
        return np.where(log_ratio > 0, 1 / np.maximum(log_ratio, 0.0), np.inf)


def natural_conditionals(log_p0: Array, correct: Mask, shaping: Shaping, t: npt.ArrayLike) -> Array:
    """T3.6: the natural flow's conditionals at time t (scalar): log pi_K(y) on K and log pi_I(w) on I, (..., m).

    Log-ratios within a class are multiplied by `exp(-c t)`, c the class's coefficient: DS shrinks them on K, spreads
    them on I; vanilla keeps them. Centering changes nothing within a class.
    """
    coefficient = np.where(
        correct, *(np.asarray(c, dtype=np.float64)[..., np.newaxis] for c in (shaping.on_correct, shaping.on_incorrect))
    )
    scaled = log_p0 * np.exp(-coefficient * np.asarray(t, dtype=np.float64))
    return np.where(correct, policies.conditional(scaled, correct), policies.conditional(scaled, ~correct))
