"""T8. The old policy in place of the base: DS steps, each with the policy before it as `b` and in its KL.

With a = 1 − gamma_p/beta and c = 1 + gamma_n/beta, after T steps pi_K ∝ pi0^{a^T} and pi_I ∝ pi0^{c^T}. So pi_K becomes
uniform iff |a| < 1, that is 0 < gamma_p < 2 beta: gamma_p has a ceiling. Arrays as in `theory.policies`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theory import policies
from theory.policies import Array, Mask, Strength, check_strength


def check_steps(steps: int) -> int:
    """The number of steps; ValueError if it is below one or no integer."""
    if not math.isfinite(steps) or int(steps) != steps or steps < 1:
        raise ValueError(f"steps={steps}: must be an integer of at least one")
    return int(steps)


def iterates(
    log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0, *, steps: int
) -> list[Array]:
    """[log pi_0, …, log pi_T], each (..., m): `steps` DS steps, each from the last; ValueError for steps < 1."""
    found = [log_p0]
    for _ in range(check_steps(steps)):
        found.append(policies.ds(found[-1], correct, beta, gamma_p, gamma_n))
    return found


def conditionals(
    log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0, *, steps: int
) -> Array:
    """T8's closed form after `steps` steps: log pi(·|K) on K beside log pi(·|I) on I, (..., m), without the odds."""
    on_correct, on_incorrect = _exponents(beta, gamma_p, gamma_n, check_steps(steps))
    parts = [
        policies.conditional(on_correct[..., None] * log_p0, correct),
        policies.conditional(on_incorrect[..., None] * log_p0, ~correct),
    ]
    return np.asarray(np.where(correct, *parts))


def _exponents(beta: Strength, gamma_p: Strength, gamma_n: Strength, steps: int) -> tuple[Array, Array]:
    b = check_strength("beta", beta, positive=True)
    a = 1 - check_strength("gamma_p", gamma_p) / b
    with np.errstate(over="ignore"):
        powers = np.asarray(a**steps), np.asarray((1 + check_strength("gamma_n", gamma_n) / b) ** steps)
    for name, gamma, power in (("gamma_p", gamma_p, powers[0]), ("gamma_n", gamma_n, powers[1])):
        if not np.isfinite(power).all():
            raise ValueError(f"{name}={gamma} with beta={beta}: after {steps} steps its exponent is beyond 1e308")
    return powers


@dataclass(frozen=True)
class OneStep:
    """The single DS step from pi0 that ends where T steps end, (...,): its gammas over its beta, and the class offset.

    offset: what K's logits gain over I's beside the powers of pi0; it is 1/beta of that step, and so must be positive.
    """

    gamma_p_over_beta: Array
    gamma_n_over_beta: Array
    offset: Array

    @property
    def exists(self) -> Mask:
        """Where it is a DS step with beta > 0 and gamma_p ≥ 0 (a^T ≤ 1)."""
        return np.asarray((self.offset > 0) & (self.gamma_p_over_beta >= 0))


def one_step(
    log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0, *, steps: int
) -> OneStep:
    """T8: `steps` steps as one. The offset is u − v of u ← a u + 1/beta − log Z on K, v ← c v − log Z on I."""
    b = check_strength("beta", beta, positive=True)
    a, c = _exponents(beta, gamma_p, gamma_n, 1)
    on_correct, on_incorrect = np.ones_like(a), np.ones_like(c)
    u = np.zeros(np.broadcast_shapes(log_p0.shape[:-1], b.shape, a.shape, c.shape))
    v = np.zeros_like(u)
    for _ in range(check_steps(steps)):
        on_correct, on_incorrect = a * on_correct, c * on_incorrect
        u, v = a * u + 1 / b, c * v
        powers = np.where(correct, on_correct[..., None], on_incorrect[..., None])
        logits = powers * log_p0 + np.where(correct, u[..., None], v[..., None])
        total = policies.log_mass(logits, np.ones_like(correct))
        u, v = u - total, v - total
    return OneStep(1 - on_correct, on_incorrect - 1, np.asarray(u - v))
