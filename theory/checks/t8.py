"""T8, the old policy in place of the base: closed form against iteration, one step for many, the ceiling on gamma."""

from __future__ import annotations

import numpy as np

from theory import iteration, policies
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.instances import DISTRIBUTION, Instances, random_instances
from theory.policies import Array, Mask

STEPS = 6
LONG = 400  # steps of a run whose end is looked at
ENDED = 1e-6


def by_hand(found: Instances, steps: int) -> Array:
    """`steps` steps, each the optimum of its own reward: pi ← pi e^{R/beta} normalized, R from the policy itself.

    It starts from the rewards' table, and shares no formula with the closed forms.
    """
    log_p, beta = found.log_p0, found.beta[:, None]
    for _ in range(steps):
        on_correct = 1 - found.gamma_p[:, None] * log_p
        reward = np.where(found.correct, on_correct, found.gamma_n[:, None] * log_p)
        logits = log_p + reward / beta
        top = logits.max(-1, keepdims=True)
        log_p = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    return log_p


def relative(found: Array, wanted: Array, scale: Array) -> float:
    """Largest |found − wanted| over trajectories, as a part of 1 + scale (b,); entries −inf in both agree."""
    apart = np.abs(found - wanted).max(-1)
    return float(np.max(apart / (1 + scale), initial=0.0))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    form = step = merged = short = 0.0
    one_steps = growing = 0
    for found in random_instances(rng, n):
        log_p0, correct = found.log_p0, found.correct
        strengths = (found.beta, found.gamma_p, found.gamma_n)
        path = iteration.iterates(log_p0, correct, *strengths, steps=STEPS)
        wanted = by_hand(found, STEPS)
        size = np.max([np.abs(policy).max(-1) for policy in path], axis=0) + STEPS / found.beta
        step = max(step, relative(path[-1], wanted, size))
        closed = iteration.conditionals(log_p0, correct, *strengths, steps=STEPS)
        form = max(form, relative(closed, _conditionals(wanted, correct), size))
        single = iteration.one_step(log_p0, correct, *strengths, steps=STEPS)
        # where rounding cannot decide the sign of the offset, nothing is claimed
        exists = single.exists & (single.offset > 1e-9 * (1 + size))
        if exists.any():
            beta = 1 / single.offset[exists]
            gamma_p, gamma_n = single.gamma_p_over_beta[exists] * beta, single.gamma_n_over_beta[exists] * beta
            direct = policies.ds(log_p0[exists], correct[exists], beta, gamma_p, gamma_n)
            merged = max(merged, relative(direct, wanted[exists], size[exists]))
            one_steps += int(exists.sum())
        # Z_a(K) ≥ C needs a ≤ 1 and Z_c(I) ≤ 1 − C needs c ≥ 1: both always true of DS
        odds = np.array([policies.log_odds(policy, correct) for policy in path])
        growth = (1 / found.beta - np.diff(odds, axis=0)) / (1 + size)
        short = max(short, float(growth.max()))
        growing += odds.shape[1]
    return [
        Outcome("each step is the optimum of its own reward", n, step, 1e-9, f"relative; {STEPS} steps"),
        Outcome("closed form of pi_K and pi_I = iteration", n, form, 1e-9, f"relative; {STEPS} steps"),
        Outcome("one DS step from pi0 ends there too", one_steps, merged, 1e-9, "where its offset > 0 and a^T ≤ 1"),
        Outcome("odds grow by at least e^{1/beta} a step", growing, short, 1e-12, "log-odds, shortfall, relative"),
        *_ceiling(rng, n),
    ]


def _conditionals(log_p: Array, correct: Mask) -> Array:
    return np.where(correct, policies.conditional(log_p, correct), policies.conditional(log_p, ~correct))


def _ceiling(rng: np.random.Generator, n: int) -> list[Outcome]:
    """Long runs, n of them: pi_K of the iterates at the end, for gamma_p below, at and above 2 beta."""
    few = max(4, n // 50)
    m, correct = 6, np.arange(6) < 4
    log_p0 = policies.log_normalize(rng.normal(0, 1.5, (few, m)))
    beta = np.exp(rng.uniform(np.log(0.05), np.log(50), few))
    inside = iteration.iterates(log_p0, correct, beta, beta * rng.uniform(0.05, 1.95, few), steps=LONG)
    flat = np.abs(policies.conditional(inside[-1], correct)[:, :4] + np.log(4)).max()
    edge = [
        policies.conditional(policy, correct)[:, :4]
        for policy in iteration.iterates(log_p0, correct, beta, 2 * beta, steps=LONG)[-3:]
    ]
    swing = max(float(np.abs(edge[0] - edge[2]).max()), float(np.abs(edge[0] + edge[1] - _sum(edge)).max()))
    still = int(np.sum(np.ptp(edge[2], axis=-1) < 1e-9))
    # beyond the ceiling each step mirrors and stretches: stop before the numbers overflow
    beyond = iteration.iterates(log_p0, correct, beta, beta * rng.uniform(2.2, 4, few), steps=60)
    spread = np.sort(log_p0[:, :4], axis=-1)
    clear = np.minimum(spread[:, -1] - spread[:, -2], spread[:, 1] - spread[:, 0]) > 1e-2
    alone = int(np.sum(clear & (policies.conditional(beyond[-1], correct).max(-1) < -ENDED)))
    return [
        Outcome(
            "0 < gamma_p < 2 beta: pi_K becomes uniform",
            few,
            float(flat),
            ENDED,
            f"{LONG} steps, gamma_p/beta .05–1.95",
        ),
        Outcome("gamma_p = 2 beta: pi_K swings between two policies", few, swing, 1e-9, f"{LONG} steps"),
        Outcome("gamma_p = 2 beta: and is not uniform", few, still, 0, "violations"),
        Outcome(
            "gamma_p > 2 beta: pi_K collapses", int(clear.sum()), alone, 0, "violations, 60 steps, gamma_p/beta 2.2–4"
        ),
    ]


def _sum(edge: list[Array]) -> Array:
    """log q + log q' is the same for every y if q' is q mirrored."""
    return (edge[0] + edge[1]).mean(-1, keepdims=True)


THEOREM = Theorem(
    id="T8",
    title="Old policy instead of base",
    statement=(
        "T DS steps, each with the policy before it as b and in its KL: log pi_T = (1 − gamma_p/beta)^T log pi0 + "
        "const on K, (1 + gamma_n/beta)^T log pi0 + const on I: one DS step from pi0, if its class offset is "
        "positive and its gamma_p not negative. The odds grow by at least e^{1/beta} a step. pi_K becomes uniform "
        "iff 0 < gamma_p < 2 beta (unless it was); at 2 beta it swings, above it collapses."
    ),
    tag="paper (Appendix B.3); exact form derived",
    oracle="iteration of each step's own optimum, from the rewards' table; long runs",
    instances=DISTRIBUTION + f"; {STEPS} steps",
    check=check,
    controls=(
        Control(
            "the base kept as b and in the KL",
            "theory.iteration:iterates",
            lambda real: lambda lp, c, *a, steps: [lp] + [real(lp, c, *a, steps=1)[1]] * steps,
        ),
        Control(
            "exponents that add up instead of multiplying",
            "theory.iteration:conditionals",
            lambda real: lambda lp, c, b, p, n=0.0, *, steps: real(lp, c, b, steps * p, steps * n, steps=1),
        ),
        Control(
            "gammas on the wrong classes",
            "theory.policies:ds",
            lambda real: lambda lp, c, b, p, n=0.0: real(lp, c, b, n, p),
        ),
        Control(
            "the class offset of a single step",
            "theory.iteration:one_step",
            lambda real: (
                lambda lp, c, b, p, n=0.0, *, steps: iteration.OneStep(
                    real(lp, c, b, p, n, steps=steps).gamma_p_over_beta,
                    real(lp, c, b, p, n, steps=steps).gamma_n_over_beta,
                    real(lp, c, b, p, n, steps=1).offset,
                )
            ),
        ),
    ),
    module="theory/iteration.py",
    notebook="notebooks/T8_old_policy.ipynb",
    test="tests/theory/test_t8_old_policy.py",
    figure=None,
)
