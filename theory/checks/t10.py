"""T10, finite groups: the exact sampled step against every ordered group, closed forms and Monte Carlo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory import groups, sampled, shaping, simulation
from theory.checks import brute
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.brute import Array
from theory.checks.t2 import policies_of
from theory.sampled import Grpo
from theory.shaping import Shaping

Mask = npt.NDArray[np.bool_]

OPTIONS = tuple(
    Grpo(place, std, ddof, eps, drop)
    for place in ("advantage", "reward")
    for std, ddof, eps in ((True, 0, 0.0), (True, 1, 1e-4), (False, 0, 0.0))
    for drop in (False, True)
)


def literal(log_p: Array, correct: Mask, kind: str, gammas: tuple[float, float], options: Grpo) -> Array:
    """Advantages (groups, N) written out rollout by rollout as the table of methods has them: the oracle.

    log_p, correct: (groups, N), of the rollouts drawn. kind: vanilla, entropy, ds or centered.
    """
    p, n = gammas
    if kind == "vanilla":
        bonus = np.zeros_like(log_p)
    elif kind == "entropy":
        bonus = -p * log_p
    else:
        center = np.zeros_like(log_p)
        if kind == "centered":
            for row in range(len(log_p)):
                for which in (True, False):
                    mask = correct[row] == which
                    if mask.any():
                        center[row, mask] = log_p[row, mask].mean()
        bonus = np.where(correct, -p * (log_p - center), n * (log_p - center))
    reward = correct.astype(np.float64)
    if options.place == "reward":
        found = brute.normalize(reward + bonus, options.ddof, options.eps, options.std)
    else:
        found = brute.normalize(reward, options.ddof, options.eps, options.std) + bonus
    if options.drop_uniform:
        k = correct.sum(1, keepdims=True)
        found = np.where((k > 0) & (k < correct.shape[1]), found, 0.0)
    return found


def shape(kind: str, gammas: tuple[float, float]) -> Shaping:
    """The same method as the code under test has it."""
    p, n = gammas
    if kind == "vanilla":
        return shaping.vanilla()
    if kind == "entropy":
        return shaping.entropy(p)
    return shaping.ds_centered(p, n) if kind == "centered" else shaping.ds(p, n)


def policy(rng: np.random.Generator, m: int) -> tuple[Array, Mask]:
    """One log-policy (m,), Dirichlet as in T2 but with p >= .01/m, and its correct set."""
    p, correct = policies_of(rng, 1, m)
    return np.log(p[0] * 0.99 + 0.01 / m), correct[0]


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    some = int(np.clip(n // 500, 10, 100))
    return [
        *(_enumeration(rng, some, kind) for kind in ("vanilla", "entropy", "ds", "centered")),
        _centered_part(rng, some),
        _mean_step(rng, some),
        *_noise(rng, some),
        _full_size(rng),
        _monte_carlo(rng),
    ]


def _enumeration(rng: np.random.Generator, n: int, kind: str) -> Outcome:
    error = 0.0
    for i in range(n):
        m, size = int(rng.integers(2, 5)), int(rng.integers(1, 5))
        log_p, correct = policy(rng, m)
        options = OPTIONS[i % len(OPTIONS)]
        gammas = (float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1)))
        found = sampled.expected_step(log_p, correct, size, shape(kind, gammas), options)

        def advantages(logs: Array, good: Mask, g: tuple[float, float] = gammas, o: Grpo = options) -> Array:
            return literal(logs, good, kind, g, o)

        wanted = brute.expected_step(np.exp(log_p), correct, size, advantages)
        error = max(error, float(np.abs(found - wanted).max()))
    return Outcome(f"count vectors = all m^N ordered groups: {kind}", n, error, 1e-10, "m, N <= 4; Eq. 4 and Eq. 6")


def _centered_part(rng: np.random.Generator, n: int) -> Outcome:
    error = 0.0
    for _ in range(n):
        m, size = int(rng.integers(2, 7)), int(rng.integers(1, 9))
        log_p, correct = policy(rng, m)
        gamma = float(rng.uniform(0.05, 2))
        steps = [
            sampled.expected_step(log_p, correct, size, s) for s in (shaping.ds_centered(gamma), shaping.vanilla())
        ]
        found = sampled.centered_ds_part(log_p, correct, size, gamma)
        error = max(error, float(np.abs(steps[0] - steps[1] - found).max()))
    return Outcome("DS part of the self-centered step: closed form", n, error, 1e-11, "m <= 6, N <= 8")


def _mean_step(rng: np.random.Generator, n: int) -> Outcome:
    error = 0.0
    for i in range(n):
        m, size = int(rng.integers(2, 7)), int(rng.integers(1, 9))
        log_p, correct = policy(rng, m)
        options = Grpo(std=i % 3 > 0, ddof=i % 2, eps=0.0 if i % 4 < 2 else 1e-4)
        found = sampled.expected_step(log_p, correct, size, shaping.vanilla(), options)
        wanted = groups.mean_step(np.exp(log_p), correct, size, options.ddof, options.eps, options.std)
        error = max(error, float(np.abs(found - wanted).max()))
    return Outcome("vanilla: enumeration = T2's factors", n, error, 1e-11, "m <= 6, N <= 8")


def _noise(rng: np.random.Generator, n: int) -> list[Outcome]:
    none, still = 0.0, 0
    for _ in range(n):
        size = int(rng.integers(2, 9))
        log_p, correct = policy(rng, 5)
        share = np.where(correct, np.exp(log_p), 0.0).sum() / correct.sum()
        log_p = np.where(correct, np.log(share), log_p)
        counts = sampled.count_vectors(5, size)
        weights = np.exp(sampled.log_multinomial(counts, log_p))
        plain, centered, uncentered = (
            sampled.group_step(log_p, correct, counts, s)
            for s in (shaping.vanilla(), shaping.ds_centered(0.5), shaping.ds(0.5))
        )
        none = max(none, float(np.abs(centered - plain).max()))
        part = uncentered - plain
        still += not float(weights @ ((part - weights @ part) ** 2).sum(1)) > 1e-12
    return [
        Outcome("uniform pi_K: self-centered DS adds nothing to any group's step", n, none, 1e-13),
        Outcome("uniform pi_K: the uncentered DS part is random", n, still, 0, "instances where it has no variance"),
    ]


def _full_size(rng: np.random.Generator) -> Outcome:
    m, size = 8, 16
    p, correct = rng.dirichlet(np.ones(m)) * 0.9 + 0.1 / m, np.arange(m) < 3
    found = sampled.expected_step(np.log(p), correct, size, shaping.vanilla())
    states = len(sampled.count_vectors(m, size))
    error = np.abs(found - groups.mean_step(p, correct, size)).max() + abs(states - 245_157)
    return Outcome("m = 8, N = 16: 245,157 count vectors", states, float(error), 1e-11, "against T2's factors")


def _monte_carlo(rng: np.random.Generator) -> Outcome:
    log_p, correct, size, runs = np.log([0.2, 0.1, 0.05, 0.4, 0.25]), np.arange(5) < 3, 4, 100_000
    worst = 0.0
    for kind, options in (("ds", Grpo("reward", ddof=1, eps=1e-4)), ("centered", Grpo())):
        shaped = shape(kind, (0.4, 0.2))
        start = np.broadcast_to(log_p, (runs, 5))
        moved = simulation.simulate(start, correct, size, shaped, rng, 1, 1.0, options).logits - start
        mean, covariance = sampled.step_moments(log_p, correct, size, shaped, options)
        z = (moved.mean(0) - mean) / np.sqrt(np.diag(covariance) / runs)
        worst = max(worst, float(np.abs(z).max()))
    return Outcome(
        "simulated steps have the enumerated mean", runs, worst, brute.SIGMA, "standard errors; exact variance"
    )


THEOREM = Theorem(
    id="T10",
    title="Finite groups",
    statement=(
        "One sampled GRPO step, exactly, by summing over the binom(N+m-1, m-1) count vectors: vanilla, entropy, DS, "
        "self-centered DS, in reward form (Eq. 4) and advantage form (Eq. 6). The DS part of the self-centered step is "
        "-eta gamma_p (NC - 1 + (1-C)^N)/N q_y (log q_y - E_q log q) on K, 0 on I: at uniform pi_K it adds no noise, "
        "uncentered DS does."
    ),
    tag="new",
    oracle="all m^N ordered groups with advantages written out rollout by rollout; T2's factors; Monte Carlo",
    instances=(
        "policies Dirichlet(a), a log-uniform in [.03, 30], p >= .01/m; m, N up to 4 (ordered groups), 6 and 8 (closed "
        "form), 8 and 16 (once); gammas in [.1, 1]; std: population, sample + 1e-4, none; groups without spread kept "
        "and dropped"
    ),
    check=check,
    controls=(
        Control(
            "gamma on the wrong class",
            "theory.shaping:ds",
            lambda real: lambda p, n=0.0: Shaping(-real(p, n).on_incorrect, -real(p, n).on_correct),
        ),
        Control(
            "group centering left out",
            "theory.shaping:ds_centered",
            lambda real: lambda *a: shaping.ds(*a),
        ),
        Control(
            "count vectors all alike likely",
            "theory.sampled:log_multinomial",
            lambda real: lambda counts, log_p: real(counts, np.full_like(log_p, -np.log(log_p.shape[-1]))),
        ),
        Control(
            "advantages not centered",
            "theory.sampled:normalized",
            lambda real: lambda counts, reward, options: real(counts, reward, options) + 0.1,
        ),
    ),
    module="theory/sampled.py",
    notebook="notebooks/T10_finite_groups.ipynb",
    test="tests/theory/test_t10_finite_groups.py",
    figure="fig_group_size",
)
