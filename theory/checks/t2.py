"""T2, reinforcement bias: the exact factors of the mean GRPO step against enumeration, size-biasing and Monte Carlo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import binom

from theory import groups, policies, sampled, shaping
from theory.checks import brute
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.brute import Array

SIZES = (1, 2, 3, 5, 8, 16)
# (ddof, eps, divide by the std)
SCALES = ((0, 0.0, True), (1, 0.0, True), (0, 1e-4, True), (1, 1e-4, True), (0, 0.0, False))


def by_size_biasing(C: Array, size: int, ddof: int, eps: float, std: bool) -> Array:
    """`C a_N = (1-C) b_N = E[(k/N)(1 - k/N) / std(k)]`, k ~ Bin(N, C): both sum the same pull over the whole group."""
    k = np.arange(1, size)
    rewards = np.arange(size) < k[:, None]
    scale = rewards.std(1, ddof=ddof) + eps if std and len(k) else np.ones(len(k))
    return np.asarray((binom.pmf(k, size, C[:, None]) * (k / size) * (1 - k / size) / scale).sum(1))


def correctness(theta: npt.NDArray[np.complex128], correct: npt.NDArray[np.bool_]) -> Array:
    """C as an analytic function of the logits."""
    weights = np.exp(theta)
    return np.asarray((weights * correct).sum(-1) / weights.sum(-1))


def policies_of(rng: np.random.Generator, n: int, m: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """n policies (n, m), Dirichlet with weights log-uniform in [.03, 30], and masks with 1 to m-1 correct."""
    weights = np.exp(rng.uniform(np.log(0.03), np.log(30), (n, 1)))
    raw = rng.standard_gamma(np.broadcast_to(weights, (n, m))) + 1e-12
    order = np.argsort(rng.random((n, m)), axis=1)
    return raw / raw.sum(1, keepdims=True), order < rng.integers(1, m, (n, 1))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    return [_factors(rng, n), *_policies(rng, n), *_limits(), _enumeration(rng, min(n, 200)), _monte_carlo(rng)]


def _factors(rng: np.random.Generator, n: int) -> Outcome:
    C = expit(rng.uniform(-27, 27, n))
    error, cases = 0.0, [(size, scale) for size in SIZES for scale in SCALES]
    for which, (size, scale) in enumerate(cases):
        part = C[which :: len(cases)]
        if not len(part):
            continue
        wanted = by_size_biasing(part, size, *scale)
        for found in (
            part * groups.correct_factor(part, size, *scale),
            (1 - part) * groups.incorrect_factor(part, size, *scale),
            part * (1 - part) * groups.gradient_factor(part, size, *scale),
        ):
            error = max(error, float(np.max(np.abs(found - wanted) / np.where(wanted > 0, wanted, 1.0))))
    return Outcome("C a_N = (1-C) b_N = C(1-C) g_N = size-biased mean", n, error, 1e-9, "relative; all std conventions")


def _policies(rng: np.random.Generator, n: int) -> list[Outcome]:
    error, order, flat, count = 0.0, 0, 0, 0
    for which, m in enumerate((2, 3, 5, 8)):
        p, correct = policies_of(rng, len(range(which, n, 4)), m)
        if not len(p):
            continue
        size, scale = SIZES[1 + which], SCALES[which]
        C = np.where(correct, p, 0.0).sum(1)
        ordinary = (C > 1e-9) & (C < 1 - 1e-9)  # 1 - C is a difference of probabilities here
        p, correct, C = p[ordinary], correct[ordinary], C[ordinary]
        step = groups.mean_step(p, correct, size, *scale)
        exact = brute.gradient(correctness, np.log(p), correct)
        error = max(error, brute.relative(step, groups.gradient_factor(C, size, *scale)[:, None] * exact))
        gaps = p[:, :, None] - p[:, None, :]
        moves = step[:, :, None] - step[:, None, :]
        clear = np.abs(gaps) > 1e-9 * (p[:, :, None] + p[:, None, :])
        for mask, sign in ((correct, 1), (~correct, -1)):
            pairs = mask[:, :, None] & mask[:, None, :] & clear
            order += int(np.sum(pairs & (np.sign(moves) != sign * np.sign(gaps))))
        eta = 1 / groups.incorrect_factor(C, size, *scale)
        before, after = np.log(p), np.log(p) + eta[:, None] * step
        ratio, moved = (x[:, :, None] - x[:, None, :] for x in (before, after))
        pairs = ~correct[:, :, None] & ~correct[:, None, :] & (ratio > 0)
        flat += int(np.sum(pairs & ((moved > ratio + 1e-12) | (moved < -1e-12))))
        count += len(p)
    return [
        Outcome("mean step = g_N x exact policy gradient", count, error, 1e-6, "relative; complex-step gradient of C"),
        Outcome("likelier correct gain more, likelier mistakes lose more", count, order, 0, "violations"),
        Outcome("pi_I flattens without overshoot at eta b_N = 1", count, flat, 0, "violations"),
    ]


def _limits() -> list[Outcome]:
    sizes = np.arange(2, 40)
    ends = np.array([[groups.gradient_factor(C, int(N)) for C in (1e-10, 1 - 1e-10)] for N in sizes])
    plain = np.array([groups.gradient_factor(np.array([0.03, 0.5, 0.9]), int(N), std=False) for N in sizes])
    return [
        Outcome("g_N -> sqrt(N-1) as C -> 0, 1", ends.size, brute.relative(ends, np.sqrt(sizes - 1)[:, None]), 1e-7),
        Outcome("g_N = 1 - 1/N without std", plain.size, brute.relative(plain, 1 - 1 / sizes[:, None]), 1e-12),
    ]


def _enumeration(rng: np.random.Generator, n: int) -> Outcome:
    error = 0.0
    for i in range(n):
        m, size = int(rng.integers(2, 6)), int(rng.integers(1, 6))
        p, correct = policies_of(rng, 1, m)
        error = max(error, _against_all_groups(p[0] * 0.99 + 0.01 / m, correct[0], size, *SCALES[i % len(SCALES)]))
    return Outcome("mean step = all m^N ordered groups", n, error, 1e-12, "m, N <= 5; all std conventions")


def _against_all_groups(p: Array, correct: npt.NDArray[np.bool_], size: int, ddof: int, eps: float, std: bool) -> float:
    def advantages(log_p: Array, good: npt.NDArray[np.bool_]) -> Array:
        return brute.normalize(good.astype(np.float64), ddof, eps, std)

    wanted = brute.expected_step(p, correct, size, advantages)
    return float(np.abs(groups.mean_step(p, correct, size, ddof, eps, std) - wanted).max())


def _monte_carlo(rng: np.random.Generator) -> Outcome:
    p, correct, size = np.array([0.2, 0.1, 0.05, 0.4, 0.25]), np.arange(5) < 3, 6
    counts = rng.multinomial(size, p, brute.DRAWS)
    steps = sampled.group_step(policies.log_base(p), correct, counts, shaping.vanilla())
    z = (steps.mean(0) - groups.mean_step(p, correct, size)) / (steps.std(0) / np.sqrt(brute.DRAWS))
    return Outcome("Monte Carlo", brute.DRAWS, float(np.abs(z).max()), brute.SIGMA, "standard errors")


THEOREM = Theorem(
    id="T2",
    title="Reinforcement bias",
    statement=(
        "E[dtheta_y] = eta p_y a_N(C) on K, -eta p_w b_N(C) on I, C a_N = (1-C) b_N: the mean GRPO step is the exact "
        "policy gradient times g_N = a_N/(1-C); g = 1-1/N without std, g -> sqrt(N-1) as C -> 0, 1 with population "
        "std. The likelier correct trajectory gains more, the likelier mistake loses more, and pi_I flattens if "
        "eta b_N <= 1."
    ),
    tag="paper; exact factor derived; scalar multiple of the policy gradient new",
    oracle="all m^N ordered groups with NumPy's std; size-biased binomial sum; complex-step gradient of C; Monte Carlo",
    instances=(
        "logit C uniform in [-27, 27]; policies Dirichlet(a), a log-uniform in [.03, 30], 1e-9 < C < 1 - 1e-9, m in "
        "{2, 3, 5, 8}, 1 to m-1 correct; N in {1, 2, 3, 5, 8, 16}; std: population, sample, with +1e-4, none"
    ),
    check=check,
    controls=(
        Control(
            "incorrect trajectories pushed up",
            "theory.groups:incorrect_factor",
            lambda real: lambda *a, **k: -real(*a, **k),
        ),
        Control(
            "k drawn from N others instead of N - 1",
            "theory.groups:correct_factor",
            lambda real: lambda C, size, *a, **k: real(C, size + 1, *a, **k),
        ),
        Control(
            "the other std",
            "theory.groups:group_std",
            lambda real: lambda size, ddof=0, eps=0.0, std=True: real(size, 1 - ddof if size > 1 else 0, eps, std),
        ),
    ),
    module="theory/groups.py",
    notebook="notebooks/T2_reinforcement_bias.ipynb",
    test="tests/theory/test_t2_reinforcement_bias.py",
    figure="fig_reinforcement_bias",
)
