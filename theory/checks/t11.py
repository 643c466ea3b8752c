"""T11, two knobs: the expected step against all ordered groups, closed forms, the common orbit, the speed law."""

from __future__ import annotations

import itertools

import numpy as np

from theory import policies, weights
from theory.checks.base import Control, Outcome, Theorem
from theory.policies import Array, Mask

P = np.array([0.01, 0.1, 0.5, 0.9, 0.99])


def methods(size: int) -> dict[str, weights.Advantages]:
    """Eight methods at this group size, k = 2 where it fits."""
    return {
        "grpo": weights.grpo(size),
        "dr-grpo": weights.dr_grpo(size),
        "reinforce": weights.reinforce(size, 1.0, 0.1),
        "maxrl": weights.maxrl(size),
        "maxrl, unbiased": weights.maxrl(size, unbiased=True),
        "f-grpo": weights.f_grpo(size),
        "passk-training": weights.passk_training(size, 2),
        "pkpo": weights.pkpo(size, 2),
    }


def instance(rng: np.random.Generator, m: int) -> tuple[Array, Mask]:
    """A Dirichlet(1) policy over m trajectories, any proper set of them correct."""
    correct = np.zeros(m, dtype=bool)
    correct[: int(rng.integers(1, m))] = True
    return np.log(rng.dirichlet(np.ones(m))), rng.permutation(correct)


def by_groups(advantages: weights.Advantages, log_p: Array, correct: Mask, tilt: float = 0.0) -> Array:
    """The expected step by going through all m^N ordered groups; tilt: gamma_p of a term in log pi (the control)."""
    m, size = len(log_p), advantages.size
    groups = np.array(list(itertools.product(range(m), repeat=size)))
    chance = np.exp(log_p[groups].sum(axis=1))
    right = correct[groups]
    c = right.sum(axis=1)
    given = np.where(right, advantages.correct[c][:, None], advantages.incorrect[c][:, None])
    given = given - tilt * np.where(right, log_p[groups], 0.0)
    pulls = np.zeros((len(groups), m))
    np.add.at(pulls, (np.arange(len(groups))[:, None], groups), given)
    steps = (pulls - np.exp(log_p) * given.sum(axis=1, keepdims=True)) / size
    return np.asarray(chance @ steps)


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    few = max(2, min(n // 500, 40))
    step, names = 0.0, 0
    for size in (2, 3, 4, 5, 6):
        for m in (2, 3, 4) if size > 4 else (2, 3, 4, 5):
            log_p, correct = instance(rng, m)
            for advantages in methods(size).values():
                found = weights.mean_step(advantages, log_p, correct)
                step = max(step, float(np.abs(found - by_groups(advantages, log_p, correct)).max()))
                names += 1
    return [
        Outcome("mean step = w_N(p) grad p, by all ordered groups", names, step, 1e-13, "eight methods, N ≤ 6, m ≤ 5"),
        _closed(rng, n),
        _stated(),
        _shape(),
        _orbit(rng, few),
        _speed(rng, min(n, 20_000)),
        _one_sign(),
    ]


def _closed(rng: np.random.Generator, n: int) -> Outcome:
    error = 0.0
    for size in (2, 4, 8, 32):
        p = rng.uniform(1e-3, 1 - 1e-3, max(1, n // 4))
        for name, advantages, options in (
            ("dr-grpo", weights.dr_grpo(size), {}),
            ("reinforce", weights.reinforce(size, 0.7, 0.2), {"positive": 0.7, "negative": 0.2}),
            ("maxrl", weights.maxrl(size), {}),
            ("maxrl", weights.maxrl(size, unbiased=True), {"unbiased": 1}),
            ("pkpo", weights.pkpo(size, 2), {"k": 2}),
            ("pkpo", weights.pkpo(size, size), {"k": size}),
        ):
            wanted = weights.closed_form(name, p, size, **options)
            found = weights.weight(advantages, p)
            error = max(error, float(np.max(np.abs(found - wanted) / (1 + np.abs(wanted)))))
    return Outcome("closed forms = the sum over groups", n, error, 1e-11, "relative; Dr. GRPO, REINFORCE, MaxRL, PKPO")


def _stated() -> Outcome:
    """The numbers of the notebook, N = 8."""
    stated = {
        "grpo": (weights.grpo(8), (2.44, 2.18, 1.74, 2.18, 2.44)),
        "maxrl": (weights.maxrl(8), (6.79, 5.22, 1.98, 1.11, 1.01)),
        "f-grpo": (weights.f_grpo(8), (2.27, 1.96, 1.21, 0.92, 0.88)),
        "passk": (weights.passk_training(8, 2), (1.70, 1.48, 0.93, 0.33, 0.04)),
    }
    off = max(float(np.abs(weights.weight(a, P) - numbers).max()) for a, numbers in stated.values())
    return Outcome("w_8 as stated", len(stated), off, 5.001e-3, "to two decimals, at p = .01, .1, .5, .9, .99")


def _shape() -> Outcome:
    """GRPO's weight is symmetric about ½, least there and rising to both ends; MaxRL's and PKPO's fall throughout."""
    p = np.linspace(0.01, 0.99, 99)
    wrong = 0
    for size in (2, 3, 4, 8, 16, 64):
        w = weights.weight(weights.grpo(size), p)
        wrong += int(np.abs(w - w[::-1]).max() > 1e-12)
        if size > 3:  # with two or three rollouts every mixed group pays alike: w is constant
            wrong += int((np.diff(w[49:]) < 0).any()) + int(w.argmin() != 49)
        else:
            wrong += int(np.ptp(w) > 1e-12)
        falling = [weights.maxrl(size), weights.maxrl(size, True), weights.pkpo(size, 2)]
        wrong += sum(int((np.diff(weights.weight(one, p)) > 1e-12).any()) for one in falling if size > 2)
    return Outcome("GRPO: symmetric, least at ½; MaxRL, PKPO: falling", 6, wrong, 0, "violations; N = 2 to 64")


def _orbit(rng: np.random.Generator, n: int) -> Outcome:
    """At equal p all methods have the same policy, from the same base."""
    error, targets = 0.0, np.array([0.5, 0.8, 0.95])
    for _ in range(n):
        log_p, correct = instance(rng, 4)
        odds = np.log(0.3 / 0.7) - policies.log_odds(log_p, correct)
        log_p = policies.log_normalize(log_p + odds * correct)
        ends = [weights.orbit(one, log_p, correct, targets) for one in methods(6).values()]
        error = max(error, float(max(np.abs(np.exp(end) - np.exp(ends[0])).max() for end in ends)))
    return Outcome("at equal p every method has the same policy", n, error, 1e-6, "eight flows, integrated")


def _speed(rng: np.random.Generator, n: int) -> Outcome:
    """dp/dt against the derivative of p along grad p, by a central difference."""
    log_p = policies.log_normalize(rng.normal(0, 1.5, (n, 5)))
    correct = np.arange(5) < rng.integers(1, 5, (n, 1))
    pi = np.exp(log_p)
    p = np.where(correct, pi, 0.0).sum(axis=-1, keepdims=True)
    way, h = pi * (correct - p), 1e-5
    sides = [np.exp(policies.log_mass(policies.log_normalize(log_p + sign * h * way), correct)) for sign in (1, -1)]
    error = np.abs(weights.speed(log_p, correct) - (sides[0] - sides[1]) / (2 * h))
    return Outcome("speed law: dp/dt = w p²(1−p)²(Σ_K q² + Σ_I r²)", n, float(error.max()), 1e-9, "central difference")


def _one_sign() -> Outcome:
    """W-REINFORCE, PSR and NSR are one method in the mean: only lambda⁺ + lambda⁻ counts."""
    trio = [weights.reinforce(8, *pair) for pair in ((1.0, 1.0), (2.0, 0.0), (0.0, 2.0))]
    found = [weights.weight(one, P) for one in trio]
    return Outcome("PSR, NSR and REINFORCE have one mean step", 3, float(np.ptp(found, axis=0).max()), 1e-12)


THEOREM = Theorem(
    id="T11",
    title="Two knobs: speed and orbit",
    statement=(
        "If a method's advantages depend on the rewards of the group alone, its expected step is w_N(p) times the "
        "gradient of p, w_N(p) = E f(1, 1+B) − E f(0, B), B ~ Bin(N−1, p): it chooses the speed at each p, and at "
        "equal p all such methods have the same policy. GRPO's w is least at ½ and rises toward both ends for N ≥ 4 "
        "(below it is constant); those of MaxRL (N ≥ 3) and PKPO fall throughout. Only terms in log pi or in answers "
        "leave the orbit."
    ),
    tag="new",
    oracle="all m^N ordered groups; integration of eight flows; a central difference",
    instances="Dirichlet(1) policies over 2 to 5 trajectories, N from 2 to 6 (closed forms to 32), p uniform",
    check=check,
    controls=(
        Control(
            "one rollout too few among the others",
            "theory.weights:weight",
            lambda real: (
                lambda advantages, p: (
                    real(weights.Advantages(advantages.correct[:-1], advantages.incorrect[:-1]), p)
                    if advantages.size > 2
                    else real(advantages, p) + 1
                )
            ),
        ),
        Control(
            "the correct rollout does not count itself",
            "theory.weights:weight",
            lambda real: (
                lambda advantages, p: real(weights.Advantages(np.roll(advantages.correct, 1), advantages.incorrect), p)
            ),
        ),
        Control(
            "a term in log pi taken for one in rewards",
            "theory.weights:mean_step",
            lambda real: (
                lambda advantages, log_p, correct: (
                    real(advantages, log_p, correct)
                    - 0.1
                    * np.exp(log_p)
                    * (np.where(correct, log_p, 0.0) - np.where(correct, np.exp(log_p) * log_p, 0.0).sum())
                )
            ),
        ),
        Control(
            "the speed of a flat pi_K taken for every one",
            "theory.weights:speed",
            lambda real: (
                lambda log_p, correct: real(
                    np.where(
                        correct,
                        policies.log_mass(log_p, correct)[..., None] - np.log(correct.sum(-1))[..., None],
                        log_p,
                    ),
                    correct,
                )
            ),
        ),
    ),
    module="theory/weights.py",
    notebook="notebooks/T11_two_knobs.ipynb",
    test="tests/theory/test_t11_two_knobs.py",
    figure="fig_weights",
)
