"""T13, first-order effect of the DS term on success: against the exact expected step of sampled groups."""

from __future__ import annotations

import numpy as np

from theory import firstorder, policies, sampled, shaping
from theory.checks.base import Control, Outcome, Theorem
from theory.policies import Array, Mask


def instances(rng: np.random.Generator, n: int, m: int) -> tuple[Array, Mask]:
    """Normal logits of spread up to 3, p moved to log-odds uniform in [−5, 5], any proper number of correct ones."""
    log_p = policies.log_normalize(rng.normal(0, 1, (n, m)) * rng.uniform(0, 3, (n, 1)))
    correct = np.arange(m) < rng.integers(1, m, (n, 1))
    move = rng.uniform(-5, 5, n) - policies.log_odds(log_p, correct)
    return policies.log_normalize(log_p + move[:, None] * correct), correct


def change(log_p: Array, correct: Mask, step: Array, h: float = 1e-5) -> Array:
    """The derivative of p along a step of the logits, by a central difference, (...,)."""
    sides = [np.exp(policies.log_mass(policies.log_normalize(log_p + sign * h * step), correct)) for sign in (1, -1)]
    return np.asarray((sides[0] - sides[1]) / (2 * h))


def own_step(log_p: Array, correct: Mask, gamma_p: Array, gamma_n: Array) -> Array:
    """The term's mean step by its definition, `pi (t − E t)`, (..., m)."""
    term = np.where(correct, -gamma_p[:, None] * log_p, gamma_n[:, None] * log_p)
    pi = np.exp(log_p)
    return np.asarray(pi * (term - (pi * term).sum(axis=-1, keepdims=True)))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    error, above = 0.0, 0.0
    part = -(-n // 4)
    for m in (2, 3, 5, 8):
        log_p, correct = instances(rng, part, m)
        gamma_p, gamma_n = rng.uniform(0, 2, (2, part))
        found = firstorder.effect(log_p, correct, gamma_p, gamma_n)
        error = max(
            error, float(np.abs(found - change(log_p, correct, own_step(log_p, correct, gamma_p, gamma_n))).max())
        )
        above = max(above, float(firstorder.centered_effect(log_p, correct, 8, gamma_p).max()))
    return [
        Outcome("effect = derivative of p along the term's mean step", n, error, 1e-8, "central difference"),
        Outcome("self-centered: never above zero", n, above, 1e-15),
        *_sampled(rng, max(2, min(n // 400, 60))),
        *_threshold(rng, min(n, 20_000)),
        *_ends(),
    ]


def _sampled(rng: np.random.Generator, n: int) -> list[Outcome]:
    """Against T10's exact expected step of sampled groups, DS less vanilla."""
    plain = centered = 0.0
    for _ in range(n):
        log_p, correct = (one[0] for one in instances(rng, 1, 4))
        size, gamma_p, gamma_n = int(rng.integers(2, 7)), float(rng.uniform(0, 1)), float(rng.uniform(0, 1))
        base = sampled.expected_step(log_p, correct, size, shaping.vanilla())
        step = sampled.expected_step(log_p, correct, size, shaping.ds(gamma_p, gamma_n)) - base
        plain = max(
            plain, abs(float(change(log_p, correct, step) - firstorder.effect(log_p, correct, gamma_p, gamma_n)))
        )
        step = sampled.expected_step(log_p, correct, size, shaping.ds_centered(gamma_p)) - base
        found = firstorder.centered_effect(log_p, correct, size, gamma_p)
        centered = max(centered, abs(float(change(log_p, correct, step) - found)))
    return [
        Outcome("effect = that of T10's expected step, all groups", n, plain, 1e-8, "N ≤ 6"),
        Outcome("self-centered effect likewise", n, centered, 1e-8, "N ≤ 6"),
    ]


def _threshold(rng: np.random.Generator, n: int) -> list[Outcome]:
    """Just below p* the gamma_p term speeds success up, just above it slows it; uniform pi_K has p* = 1."""
    log_q, log_r = (policies.log_normalize(rng.normal(0, 1, (n, size))) for size in (4, 3))
    border = firstorder.threshold(log_q, log_r)
    correct = np.arange(7) < 4
    wrong = 0
    for factor, sign in ((0.999, 1), (1.001, -1)):
        p = np.minimum(border * factor, 1 - 1e-12)[:, None]
        log_p = np.concatenate([log_q + np.log(p), log_r + np.log1p(-p)], axis=1)
        inside = (border * factor < 1 - 1e-9) & (border > 1e-9)
        wrong += int(np.sum((np.sign(firstorder.effect(log_p, correct, 1.0)) != sign) & inside))
    even = np.full((n, 4), -np.log(4))
    off = float(np.abs(firstorder.threshold(even, log_r) - 1).max())
    return [
        Outcome("gamma_p speeds success up iff p < p*", 2 * n, wrong, 0, "violations, .1% to either side"),
        Outcome("p* = 1 where pi_K is uniform", n, off, 0),
        Outcome("and below 1 elsewhere", n, int(np.sum(border >= 1)), 0, "violations"),
    ]


def _ends() -> list[Outcome]:
    """As p → 1 the drag is of order 1 − p, GRPO's own gain of order (1 − p)²: T3.4's detour, in two instances."""
    log_q, log_r = np.log([0.7, 0.3]), np.log([0.5, 0.5])
    ratios = []
    for miss in (1e-3, 1e-4, 1e-5):
        log_p = np.r_[log_q + np.log1p(-miss), log_r + np.log(miss)]
        correct = np.array([True, True, False, False])
        pi = np.exp(log_p)
        gain = float((pi**2 * (correct - (1 - miss)) ** 2).sum())  # vanilla's, w = 1
        ratios.append((float(firstorder.effect(log_p, correct, 1.0)) / miss, gain / miss**2))
    wanted = 0.58 * (-(0.49 * np.log(0.7) + 0.09 * np.log(0.3)) / 0.58 + 0.7 * np.log(0.7) + 0.3 * np.log(0.3))
    drift = max(abs(ratios[2][0] - wanted), abs(ratios[2][1] - (0.58 + 0.5)))
    return [Outcome("as p → 1: a drag of order 1 − p against a gain of order (1 − p)²", 3, drift, 1e-3)]


THEOREM = Theorem(
    id="T13",
    title="What the DS term does to success",
    statement=(
        "To first order the gamma_p term changes p by gamma_p p²(1−p)[S_K(ℓ̃ − pℓ̄) + (1−p) S_I ℓ̄]: DS-GRPO's p "
        "rises faster than GRPO's iff p < p*, which is 1 iff the correct answers are equally likely. Near p = 1 the "
        "drag is of order 1 − p, GRPO's own gain of order (1 − p)². The self-centered term never raises p."
    ),
    tag="new",
    oracle="central differences along the term's step by definition, and along T10's exact expected step of all groups",
    instances=(
        "normal logits of spread uniform in [0, 3] over 2, 3, 5, 8 trajectories, log-odds of p uniform in [−5, 5], any "
        "proper number correct; gammas uniform in [0, 2]"
    ),
    check=check,
    controls=(
        Control(
            "gamma_p and gamma_n change places",
            "theory.firstorder:effect",
            lambda real: lambda log_p, correct, gamma_p, gamma_n=0.0: real(log_p, correct, gamma_n, gamma_p),
        ),
        Control(
            "the mean under q for the mean under q²",
            "theory.firstorder:moments",
            lambda real: lambda log_p, mask: _untilted(real(log_p, mask)),
        ),
        Control(
            "the self-centered term taken to help",
            "theory.firstorder:centered_effect",
            lambda real: lambda *arguments: -real(*arguments),
        ),
        Control(
            "the threshold of one minus p",
            "theory.firstorder:threshold",
            lambda real: lambda log_q, log_r: 1 - real(log_q, log_r),
        ),
    ),
    module="theory/firstorder.py",
    notebook="notebooks/T13_first_order.ipynb",
    test="tests/theory/test_t13_first_order.py",
    figure="fig_first_order",
)


def _untilted(found: firstorder.Moments) -> firstorder.Moments:
    return firstorder.Moments(found.log_mass, found.squares, found.mean, found.mean)
