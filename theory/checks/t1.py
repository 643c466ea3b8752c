"""T1, selection bias: the closed form against enumeration, conditioning and Monte Carlo."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from scipy.stats import binom

from theory import groups, sampled, shaping
from theory.checks import brute
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.brute import Array

SIZES = (1, 2, 3, 5, 8, 16, 64)


def instances(rng: np.random.Generator, n: int) -> tuple[Array, Array, Array]:
    """n of (p1, p2, C), p1 >= p2, both <= C: logit C uniform in +-27 (1e-12 to near 1), a third of p/C near 0 or 1."""
    C = expit(rng.uniform(-27, 27, n))
    kind = rng.integers(3, size=(2, n))
    share = np.where(kind == 0, rng.uniform(size=(2, n)), np.exp(-27 * rng.uniform(size=(2, n))))
    share = np.where(kind == 2, 1 - share * 0.5, share)
    share = np.sort(share, axis=0)
    return C * share[1], C * share[0], C


def by_conditioning(p: Array, C: Array, size: int) -> Array:
    """P(drawn and mixed) = sum over k of P(k correct) P(one of the k is it): the law of total probability."""
    k = np.arange(1, size)
    with np.errstate(divide="ignore"):
        missed = np.exp(k * np.log1p(-p / C)[:, None])
        drawn = -np.expm1(k * np.log1p(-p / C)[:, None])
    return np.asarray((binom.pmf(k, size, C[:, None]) * np.where(missed < 1, drawn, 0.0)).sum(1))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    p1, p2, C = instances(rng, n)
    worst, order, trend, single = 0.0, 0, 0, 0.0
    for which, size in enumerate(SIZES):
        part = slice(which, None, len(SIZES))
        first, second, mass = p1[part], p2[part], C[part]
        found = groups.reinforcement_probability(first, mass, size)
        if size == 1:
            single = max(single, float(np.abs(found).max(initial=0.0)))
            continue
        wanted = by_conditioning(first, mass, size)
        worst = max(worst, float(np.max(np.abs(found - wanted) / wanted, initial=0.0)))
        less = groups.reinforcement_probability(second, mass, size)
        # two that are .1% apart round to the same number only within 1e-9 of their common ceiling 1 - C^N
        below = less < -np.expm1(size * np.log(mass)) * (1 - 1e-9)
        order += int(np.sum((found <= less) & (first > second * 1.001) & below))
        ratio = groups.selection_ratio(first, second, mass, size)
        trend += int(np.sum(groups.selection_ratio(first, second, mass, size + 1) > ratio * (1 + 1e-9)))
    two = groups.selection_ratio(p1, p2, C, 2)
    few, ones = min(n, 200), len(range(0, n, len(SIZES)))
    even = rng.uniform(0.05, 0.45, (2, few))
    far = groups.selection_ratio(even[0], even[1], even.sum(0) + 0.05, 1024)
    return [
        Outcome("closed form = conditioning on k", n - ones, worst, 1e-9, f"relative; N in {SIZES[1:]}"),
        Outcome("zero for N = 1", ones, single, 1e-15),
        Outcome("strictly increasing in p at fixed C", n - ones, order, 0, "violations; p1 > 1.001 p2"),
        Outcome("ratio p1/p2 at N = 2", n, float(np.max(np.abs(two / (p1 / p2) - 1))), 1e-9, "relative"),
        Outcome("ratio falls with N", n - ones, trend, 0, "violations"),
        Outcome("ratio is 1 for large N", few, float(np.abs(far - 1).max()), 1e-9, "N = 1024, p >= .05"),
        _enumeration(rng, min(n, 300)),
        _undrawn(rng, min(n, 2000)),
        _monte_carlo(rng),
    ]


def _enumeration(rng: np.random.Generator, n: int) -> Outcome:
    error = 0.0
    for _ in range(n):
        m, size = int(rng.integers(2, 6)), int(rng.integers(1, 6))
        p = rng.dirichlet(np.full(m, 0.7)) * 0.98 + 0.02 / m
        correct = np.arange(m) < rng.integers(1, m)
        drawn = brute.sequences(m, size)
        hits = (drawn == 0).any(1) & correct[drawn].any(1) & ~correct[drawn].all(1)
        wanted = p[drawn].prod(1) @ hits
        error = max(error, abs(float(groups.reinforcement_probability(p[0], p[correct].sum(), size)) - wanted))
    return Outcome("closed form = all m^N ordered groups", n, error, 1e-12, "m, N <= 5")


def _undrawn(rng: np.random.Generator, n: int) -> Outcome:
    m, size = 6, 5
    log_p = np.log(rng.dirichlet(np.full(m, 0.7), n) * 0.98 + 0.02 / m)
    correct = np.arange(m) < 3
    counts = rng.multinomial(size, np.exp(log_p))
    k = counts[:, :3].sum(1)
    step = sampled.group_step(log_p, correct, counts, shaping.vanilla())
    mixed = ((k > 0) & (k < size))[:, None]
    kept = np.abs(np.where(mixed & correct & (counts == 0), step, 0.0)).max()
    rises = np.where(mixed & correct & (counts > 0), step, 1.0).min()
    still = np.abs(np.where(mixed, 0.0, step)).max()
    error = max(kept, still, 0.0 if rises > 0 else 1.0)
    return Outcome("undrawn correct keep their logit, drawn ones rise", n, float(error), 1e-12, "sampled groups")


def _monte_carlo(rng: np.random.Generator) -> Outcome:
    p, C, size = 0.13, 0.45, 6
    counts = rng.multinomial(size, [p, C - p, 1 - C], brute.DRAWS)
    found = np.mean((counts[:, 0] > 0) & (counts[:, 2] > 0))
    wanted = float(groups.reinforcement_probability(p, C, size))
    z = abs(found - wanted) / np.sqrt(wanted * (1 - wanted) / brute.DRAWS)
    return Outcome("Monte Carlo", brute.DRAWS, float(z), brute.SIGMA, "standard errors")


THEOREM = Theorem(
    id="T1",
    title="Selection bias",
    statement=(
        "In a group of N a correct y with p = pi(y) is reinforced with probability [1-(1-p)^N] - [C^N-(C-p)^N]: "
        "strictly increasing in p for N >= 2, zero for N = 1; the ratio for two trajectories is p1/p2 at N = 2 and "
        "falls to 1."
    ),
    tag="paper; closed form derived",
    oracle="conditioning on the number of correct draws; all m^N ordered groups; Monte Carlo",
    instances=(
        "logit C uniform in [-27, 27] (C from 2e-12 to 1 - 2e-12); p/C uniform, log-uniform down to 2e-12, or from 1/2 "
        "to 1; N in {1, 2, 3, 5, 8, 16, 64}"
    ),
    check=check,
    controls=(
        Control(
            "forgets that the group must be mixed",
            "theory.groups:reinforcement_probability",
            lambda real: lambda p, C, size: real(p, C, size) + np.power(C, size) - np.power(np.subtract(C, p), size),
        ),
        Control(
            "one rollout too many",
            "theory.groups:reinforcement_probability",
            lambda real: lambda p, C, size: real(p, C, size + 1),
        ),
        Control(
            "advantages not centered",
            "theory.sampled:normalized",
            lambda real: lambda counts, reward, options: real(counts, reward, options) + 0.1,
        ),
    ),
    module="theory/groups.py",
    notebook="notebooks/T1_selection_bias.ipynb",
    test="tests/theory/test_t1_selection_bias.py",
    figure="fig_selection_bias",
)
