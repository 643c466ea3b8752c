"""Random tabular problems with their corners, in rectangular batches: one batch per number of trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from theory.policies import Array, Mask, log_normalize

SMALLEST = 1e-12
LARGEST_BATCH = 50_000  # rows in memory at once, so that a million instances fit

DISTRIBUTION = (
    "m uniform in 2..8; base, a quarter each: Dirichlet(a), a log-uniform in [.03, 30] | log-uniform masses down to "
    "1e-12 | ties, masses from {1, 2, 1e-3} | one mass of 1 - 1e-12 to 1 - 1e-2 (floor 1e-12 everywhere); |K|: one (a "
    "quarter) | all but one (a quarter) | uniform; beta log-uniform in [1e-2, 1e2]; gamma_p/beta: 0 | 1 | 2 (an eighth "
    "each) | uniform in (0, 1) (3/8) | log-uniform in (1, 4); gamma_n/beta: 0 | 1 (a quarter each) | log-uniform in "
    "[1e-2, 4]"
)


@dataclass(frozen=True)
class Instances:
    """A batch of b problems on m trajectories: log_p0 and correct are (b, m), the strengths (b,)."""

    log_p0: Array
    correct: Mask
    beta: Array
    gamma_p: Array  # also the strength of the entropy heuristics
    gamma_n: Array

    def __len__(self) -> int:
        return len(self.beta)


def _base(rng: np.random.Generator, b: int, m: int) -> Array:
    kind = rng.integers(4, size=(b, 1))
    weight = np.exp(rng.uniform(np.log(0.03), np.log(30), (b, 1)))
    dirichlet = np.log(rng.standard_gamma(np.broadcast_to(weight, (b, m))) + 1e-300)
    wide = rng.uniform(np.log(SMALLEST), 0, (b, m))
    ties = np.log(rng.choice([1.0, 2.0, 1e-3], (b, m)))
    rest = np.exp(rng.uniform(np.log(SMALLEST), np.log(1e-2), (b, 1)))
    others = rng.dirichlet(np.ones(m), b) * rest
    one = np.log(np.where(np.arange(m) == rng.integers(m, size=(b, 1)), 1.0, others + 1e-300))
    drawn = log_normalize(np.choose(kind, [dirichlet, wide, ties, one]))
    return log_normalize(np.maximum(drawn, np.log(SMALLEST)))


def _correct(rng: np.random.Generator, b: int, m: int) -> Mask:
    size = np.choose(rng.integers(4, size=b), [np.full(b, 1), np.full(b, m - 1), *rng.integers(1, m, (2, b))])
    rank = np.argsort(rng.random((b, m)), axis=-1)
    return np.asarray(rank < size[:, None])


def _log_uniform(rng: np.random.Generator, low: float, high: float, b: int) -> Array:
    return np.exp(rng.uniform(np.log(low), np.log(high), b))


def _strengths(rng: np.random.Generator, b: int) -> tuple[Array, Array, Array]:
    beta = _log_uniform(rng, 1e-2, 1e2, b)
    fixed = [np.zeros(b), np.ones(b), np.full(b, 2.0)]
    inside = rng.uniform(size=(3, b))
    ratio = np.choose(rng.integers(8, size=b), [*fixed, *inside, *(_log_uniform(rng, 1, 4, b) for _ in range(2))])
    wide = [_log_uniform(rng, 1e-2, 4, b) for _ in range(2)]
    ratio_n = np.choose(rng.integers(4, size=b), [np.zeros(b), np.ones(b), *wide])
    return beta, ratio * beta, ratio_n * beta


def random_instances(rng: np.random.Generator, n: int, m_max: int = 8) -> Iterator[Instances]:
    """n problems as `DISTRIBUTION` says, in batches of one m in 2..m_max and at most `LARGEST_BATCH` rows."""
    sizes = rng.multinomial(n, np.full(m_max - 1, 1 / (m_max - 1)))
    for m, rows in enumerate(sizes.tolist(), start=2):
        for start in range(0, rows, LARGEST_BATCH):
            b = min(LARGEST_BATCH, rows - start)
            yield Instances(_base(rng, b, m), _correct(rng, b, m), *_strengths(rng, b))
