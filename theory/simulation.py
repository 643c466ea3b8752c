"""T10: long sampled GRPO runs, many seeds at once, and what became of them.

A run *collapses* when one correct trajectory holds nearly all of pi_K. It is *frozen* when groups with spread have
become so rare that further steps hardly move it: vanilla can freeze before it collapses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from theory import policies, sampled
from theory.groups import check_size
from theory.sampled import PLAIN, Grpo
from theory.shaping import Shaping

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

COLLAPSED = 0.95  # share of pi_K that one trajectory holds
FROZEN = 1e-3  # chance that a group is mixed


@dataclass(frozen=True)
class Runs:
    """Simulated runs.

    logits: (runs, m) at the end. collapsed_at: (runs,) the first step at which one correct trajectory held COLLAPSED of
    pi_K, -1 if never. trace: (records, runs), entropy of pi_K in nats at `steps` (records,).
    """

    logits: Array
    collapsed_at: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    trace: Array


def entropy_on(log_p: Array, mask: Mask) -> Array:
    """Shannon entropy in nats of the conditional on `mask`, shape of the batch."""
    inside = policies.conditional(log_p, mask)
    return -policies.expected(inside, inside)


def simulate(
    log_p0: Array,
    correct: Mask,
    size: int,
    shaping: Shaping,
    rng: np.random.Generator,
    steps: int,
    eta: float,
    options: Grpo = PLAIN,
    every: int = 50,
) -> Runs:
    """Run `steps` sampled GRPO steps `theta += eta * group_step` from each row of log_p0 (runs, m).

    correct: (m,). Every run draws its own groups of `size` from `rng`. The trace is recorded every `every` steps.
    """
    check_size(size)
    policies.check_strength("eta", eta, positive=True)
    logits = np.array(log_p0)
    collapsed_at = np.full(len(logits), -1)
    recorded, trace = [], []
    for step in range(steps + 1):
        log_p = policies.log_normalize(logits)
        p = np.exp(log_p)
        inside = np.where(correct, p, 0.0)
        newly = (collapsed_at < 0) & (inside.max(-1) >= COLLAPSED * inside.sum(-1))
        collapsed_at[newly] = step
        if step % every == 0:
            recorded.append(step)
            trace.append(entropy_on(log_p, correct))
        if step < steps:
            counts = rng.multinomial(size, p / p.sum(-1, keepdims=True))
            logits = logits + eta * sampled.group_step(log_p, correct, counts, shaping, options)
    return Runs(logits, collapsed_at, np.array(recorded), np.array(trace))


def collapsed(log_p: Array, correct: Mask) -> npt.NDArray[np.bool_]:
    """Whether one correct trajectory holds at least COLLAPSED of pi_K; shape of the batch."""
    return np.asarray(policies.conditional(log_p, correct).max(-1) >= np.log(COLLAPSED))


def frozen(log_p: Array, correct: Mask, size: int) -> npt.NDArray[np.bool_]:
    """Whether a group of `size` is mixed with a chance below FROZEN; shape of the batch."""
    uniform = [np.exp(size * policies.log_mass(log_p, part)) for part in (correct, ~correct)]
    return np.asarray(1 - uniform[0] - uniform[1] < FROZEN)


def fraction_interval(hits: int, runs: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a fraction of independent runs."""
    if not 0 <= hits <= runs or runs < 1:
        raise ValueError(f"hits={hits!r} of runs={runs!r} is no fraction")
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(betaincinv(hits, runs - hits + 1, tail))
    high = 1.0 if hits == runs else float(betaincinv(hits + 1, runs - hits, 1 - tail))
    return low, high
