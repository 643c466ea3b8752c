"""T11, two knobs. A method whose advantages depend on the rewards of the group alone chooses only a speed.

With `A_i = f(r_i, c)`, c of N correct, the expected step of a tabular softmax policy is `eta w_N(p) grad p`, p the
probability of a correct answer and

    w_N(p) = E f(1, 1 + B) − E f(0, B),   B ~ Bin(N − 1, p).

So all such methods run along the same orbits: the conditionals are functions of p (and of the start), whatever w is.
Terms in log pi, or in which answer was given, leave the orbits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.integrate import solve_ivp
from scipy.special import betaln, comb

from theory import policies
from theory.groups import check_correctness, check_size, group_std, log_binomial
from theory.policies import Array, Mask


@dataclass(frozen=True)
class Advantages:
    """f(1, c) and f(0, c) for c = 0, …, N, each (N + 1,); f(1, 0) and f(0, N) are never met and stand as 0."""

    correct: Array
    incorrect: Array

    def __post_init__(self) -> None:
        for name in ("correct", "incorrect"):
            values = getattr(self, name)
            if values.ndim != 1 or len(values) != len(self.correct) or len(values) < 2 or not np.isfinite(values).all():
                raise ValueError(f"{name} has shape {values.shape}: needs N + 1 finite numbers, as many as the other")

    @property
    def size(self) -> int:
        """N, the group size."""
        return len(self.correct) - 1


def _tabulate(size: int, f: Callable[[Array, Array], Array]) -> Advantages:
    """From f(r, c) with r a scalar 0 or 1 and c (N + 1,)."""
    c = np.arange(check_size(size, least=2) + 1, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        right, wrong = (np.nan_to_num(f(np.asarray(r), c), nan=0.0, posinf=0.0, neginf=0.0) for r in (1.0, 0.0))
    right[0], wrong[-1] = 0.0, 0.0
    return Advantages(right, wrong)


def grpo(size: int, ddof: int = 1, eps: float = 0.0) -> Advantages:
    """(r − c/N) / (std + eps), 0 without spread; ddof 1 as in TRL."""
    divisor = group_std(size, ddof, eps)
    return _tabulate(size, lambda r, c: (r - c / size) / divisor)


def dr_grpo(size: int) -> Advantages:
    """r − c/N."""
    return _tabulate(size, lambda r, c: r - c / size)


def reinforce(size: int, positive: float = 1.0, negative: float = 1.0) -> Advantages:
    """lambda⁺ for correct, −lambda⁻ for incorrect: W-REINFORCE; PSR (lambda⁻ = 0) and NSR (lambda⁺ = 0)."""
    return _tabulate(size, lambda r, c: np.where(r == 1, positive, -negative) + 0 * c)


def maxrl(size: int, unbiased: bool = False) -> Advantages:
    """(r − c/N) / (c/N); groups without a correct rollout get 0, or −1 where `unbiased`."""
    found = _tabulate(size, lambda r, c: (r - c / size) * size / c)
    found.incorrect[0] = -1.0 if unbiased else 0.0
    return found


def f_grpo(size: int, gamma: float = 0.5, ddof: int = 1, eps: float = 0.0) -> Advantages:
    """(1 − c/N)^gamma times GRPO's."""
    inner = grpo(size, ddof, eps)
    share = (1 - np.arange(size + 1) / size) ** gamma
    return Advantages(share * inner.correct, share * inner.incorrect)


def passk_training(size: int, k: int) -> Advantages:
    """Pass@k training: the mean of (max r − rho) / sqrt(rho (1 − rho)) over the k-subsets that hold the rollout."""
    wrong = size - np.arange(size + 1)
    missed = comb(wrong, k) / comb(size, k)  # 1 − rho
    with_wrong = np.where(wrong >= 1, comb(np.maximum(wrong - 1, 0), k - 1) / comb(size - 1, k - 1), 0.0)
    some = (wrong < size) & (wrong >= k)
    sigma = np.where(some, np.sqrt(missed * (1 - missed)), np.inf)
    return _tabulate(size, lambda r, c: (missed - (r == 0) * with_wrong) / sigma)


def pkpo(size: int, k: int) -> Advantages:
    """PKPO with baseline loo-1: k C(N − c, k − 1) / C(N − 1, k − 1) for correct, 0 for incorrect."""
    wrong = size - np.arange(size + 1)
    return _tabulate(size, lambda r, c: r * k * comb(wrong, k - 1) / comb(size - 1, k - 1))


def bbg(size: int, k: int, tau: float = 0.0, positive: float = 0.1) -> Advantages:
    """BBG on W-REINFORCE: u(c)/u(1) times lambda⁺ for correct, −1 for incorrect; 0 where u(c) < tau (N + 1).

    u(c) is the mean of k (1−p)^(k−1) under Beta(c+1, N−c+1), for any k, above N too. It falls with c, so w_N falls with
    p: w_N(p) = E[lambda⁺ u(1+B) + u(B)] / u(1).
    """
    c = np.arange(size + 1)
    utility = k * np.exp(betaln(c + 1, size - c + k) - betaln(c + 1, size - c + 1))
    share = np.where(utility < tau * (size + 1), 0.0, utility / utility[1])
    return _tabulate(size, lambda r, _: share * np.where(r == 1, positive, -1.0))


def weight(advantages: Advantages, p: npt.ArrayLike) -> Array:
    """w_N(p) by its definition, a sum over B; shape of p, 0 < p < 1."""
    return polynomial(coefficients(advantages), check_correctness(p))


def coefficients(advantages: Advantages) -> Array:
    """d_b = f(1, 1+b) − f(0, b), (N,): w_N in the Bernstein basis of degree N − 1."""
    return np.asarray(advantages.correct[1:] - advantages.incorrect[:-1])


def polynomial(bernstein: Array, p: npt.ArrayLike) -> Array:
    """The polynomial with these Bernstein coefficients (degree + 1,) at p in [0, 1]: E[coefficient B], B binomial."""
    chance = np.exp(log_binomial(p, len(bernstein) - 1)).T
    return np.asarray(bernstein @ chance.reshape(len(bernstein), -1)).reshape(chance.shape[1:]).T


def closed_form(name: str, p: npt.ArrayLike, size: int, **options: float) -> Array:
    """w_N(p) without a sum over groups, for those methods that have one; ValueError for another name.

    dr-grpo `1 − 1/N`; reinforce `lambda⁺ + lambda⁻`; maxrl `(1 − (1−p)^N)/p − (1−p)^(N−1)`, unbiased without the last
    term; pkpo `k (1−p)^(k−1)`, whatever N.
    """
    q = 1 - check_correctness(p)
    match name:
        case "dr-grpo":
            return np.full_like(q, 1 - 1 / size)
        case "reinforce":
            return np.full_like(q, options["positive"] + options["negative"])
        case "maxrl":
            return np.asarray((1 - q**size) / (1 - q) - (0 if options.get("unbiased") else q ** (size - 1)))
        case "pkpo":
            return np.asarray(options["k"] * q ** (options["k"] - 1))
    raise ValueError(f"name={name!r}: there is a closed form for dr-grpo, reinforce, maxrl, pkpo")


def mean_step(advantages: Advantages, log_p: Array, correct: Mask) -> Array:
    """T11: the expected step of the logits per unit of eta, (..., m): w_N(p) grad p, `grad p = pi (1_K − p)`."""
    pi = np.exp(log_p)
    p = np.where(correct, pi, 0.0).sum(axis=-1)
    return np.asarray(weight(advantages, p)[..., None] * pi * (correct - p[..., None]))


def speed(log_p: Array, correct: Mask) -> Array:
    """dp/dt per unit of weight along the mean flow, (...,): `p² (1−p)² (Σ_K q² + Σ_I r²)`, q and r the conditionals.

    A flatter pi_K gains more slowly.
    """
    q, r = (np.exp(policies.conditional(log_p, part)) for part in (correct, ~correct))
    p = np.exp(policies.log_mass(log_p, correct))
    return np.asarray((p * (1 - p)) ** 2 * ((q**2).sum(axis=-1) + (r**2).sum(axis=-1)))


def orbit(advantages: Advantages, log_p0: Array, correct: Mask, targets: npt.ArrayLike) -> Array:
    """Log-policies (targets, m) where the mean flow of a method with w > 0 first has the success `targets`, rising.

    By integrating the flow itself (not the common orbit), in the clock p. ValueError for targets that do not rise from
    the base's p toward 1; RuntimeError if the integrator fails.
    """
    goal = np.asarray(targets, dtype=float)
    start = float(np.exp(policies.log_mass(log_p0, correct)))
    if goal.ndim != 1 or not (np.diff(goal, prepend=start) > 0).all() or goal[-1] >= 1:
        raise ValueError(f"targets={targets!r}: must rise from the base's {start:.6g} toward 1")

    def velocity(p: float, theta: Array) -> Array:
        log_p = policies.log_normalize(theta)
        step = mean_step(advantages, log_p, correct)
        pi = np.exp(log_p)
        gain = (pi * (step - pi @ step)) @ correct  # dp/dt
        return np.asarray(step / gain)

    done = solve_ivp(velocity, (start, goal[-1]), log_p0, method="LSODA", t_eval=goal, rtol=1e-9, atol=1e-11)
    if not done.success:
        raise RuntimeError(f"the integrator stopped: {done.message}")
    return policies.log_normalize(done.y.T)


# Methods of the library that leave the orbit, and by what; test_weights_of_methods.py holds the list against the code.
LEAVES = {
    "ds-grpo": "log pi of each rollout",
    "ds-grpo-positive": "log pi of each rollout",
    "ds-grpo-negative": "log pi of each rollout",
    "ds-grpo-centered": "log pi of each rollout",
    "logprob-bonus": "log pi of each rollout",
    "logprob-penalty": "log pi of each rollout",
    "entropy-bonus": "the entropy of the policy",
    "entropy-penalty": "the entropy of the policy",
    "entropy-advantage": "the entropy of the policy at each token",
    "kl-base": "log pi and log pi of the base",
    "unlikeliness": "the rank of log pi in the group",
    "ucpo": "log pi of each correct rollout",
    "r1-zero-div": "log pi of each token",
    "adrpo": "log pi and log pi of the base",
    "simko": "the likeliest tokens at each position",
    "divpo": "which rollout is the rarest, and log pi of the base",
    "rlep": "which rollouts earlier batches held",
    "xdr-grpo": "the length of each rollout",
    "reco": "log pi of each rollout",
    "uarl": "which rollouts gave the same answer",
    "cue-grpo": "which rollouts gave the same answer",
    "setpo": "which rollouts gave the same answer",
    "darling": "which rollouts gave the same answer",
    "outcome-batch": "which rollouts gave the same answer",
    "outcome-historical": "how often an answer was given before",
}
