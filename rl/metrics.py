"""Pass@k, coverage and diversity, from samples without bias and from probabilities exactly; and their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb, fsum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats

_EXACT = 1024  # integers of more factors take milliseconds


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k={k}: must be at least 1")


def _check_counts(n: int, k: int, counts: Sequence[tuple[str, int]]) -> None:
    _check_k(k)
    if k > n:
        raise ValueError(f"k={k}: more than the n={n} samples; Pass@k has no unbiased estimate then")
    for name, count in counts:
        if not 0 <= count <= n:
            raise ValueError(f"{name}={count}: must lie between 0 and n={n}")


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased Pass@k of one problem from n samples of which c are correct: 1 − C(n−c, k)/C(n, k).

    Exact, rounded once, where c or k is at most 1,024; else to about 1e-15 relative. Raises ValueError if k > n, k < 1
    or c is no count out of n.
    """
    _check_counts(n, k, [("c", c)])
    few, many = sorted((c, k))  # the quotient is symmetric in c and k
    if few <= _EXACT:
        subsets = comb(n, few)
        return (subsets - comb(n - many, few)) / subsets
    if few + many > n:
        return 1.0
    # A sum of logs, all of one sign: differences of log-gamma lose six digits where n is 10^5.
    return float(-np.expm1(np.log1p(-many / (n - np.arange(few))).sum()))


def pass_at_k_exact(correctness: ArrayLike, k: int) -> NDArray[np.float64]:
    """1 − (1 − C)^k, elementwise, exact for small C too. Raises ValueError unless 0 ≤ C ≤ 1 and k ≥ 1."""
    _check_k(k)
    c = np.asarray(correctness, dtype=float)
    if not np.all((c >= 0) & (c <= 1)):
        raise ValueError(f"correctness={correctness!r}: must lie between 0 and 1")
    with np.errstate(divide="ignore"):
        return -np.expm1(k * np.log1p(-c))


def distinct_at_k(n: int, counts: Mapping[Hashable, int] | Sequence[int], k: int) -> float:
    """Unbiased expected number of distinct correct answers among k of n samples.

    counts: how often each correct answer (in canonical form) was seen; they sum to c ≤ n. Each answer adds the
    probability that a random k-subset holds it. Raises ValueError as `pass_at_k` does.
    """
    values = list(counts.values()) if isinstance(counts, Mapping) else list(counts)
    _check_counts(n, k, [("counts", count) for count in values] + [("sum of counts", sum(values))])
    return fsum(pass_at_k(n, count, k) for count in values)


def coverage(n: int, counts: Mapping[Hashable, int] | Sequence[int], k: int, solutions: int) -> float:
    """Unbiased expected share of a problem's `solutions` canonical answers among k of n samples."""
    if solutions < max(1, sum(1 for count in (counts.values() if isinstance(counts, Mapping) else counts) if count)):
        raise ValueError(f"solutions={solutions}: fewer than the distinct answers seen, or none")
    return distinct_at_k(n, counts, k) / solutions


def coverage_exact(probabilities: ArrayLike, k: int) -> float:
    """Expected share of the answers found in k samples; `probabilities` (answers,) is the chance of each per sample."""
    return float(np.mean(pass_at_k_exact(probabilities, k)))


def distinct_correct(answers: Sequence[Hashable | None]) -> Counter[Hashable]:
    """How often each correct answer occurs; None stands for a sample that is not correct."""
    return Counter(answer for answer in answers if answer is not None)


def _distribution(q: ArrayLike) -> NDArray[np.float64]:
    q = np.asarray(q, dtype=float)
    if q.ndim != 1 or not np.all(q >= 0) or not abs(q.sum() - 1) < 1e-6:
        raise ValueError(f"q={q}: must be a distribution")
    return q


def gini_simpson(q: ArrayLike) -> float:
    """1 − Σ q²: the chance that two correct samples give different answers. q: (answers,), sums to one."""
    return float(1 - np.sum(_distribution(q) ** 2))


def gini_simpson_sampled(counts: Mapping[Hashable, int] | Sequence[int]) -> float:
    """Unbiased 1 − Σ q² from the counts of correct answers; NaN with fewer than two correct samples."""
    values = list(counts.values()) if isinstance(counts, Mapping) else list(counts)
    c = sum(values)
    if c < 2:
        return float("nan")
    return float(1 - Fraction(sum(count * (count - 1) for count in values), c * (c - 1)))


def shannon_entropy(q: ArrayLike) -> float:
    """−Σ q log q in nats. q: (answers,), sums to one."""
    q = _distribution(q)
    q = q[q > 0]
    return float(max(0.0, -np.sum(q * np.log(q))))


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    estimate: float
    low: float
    high: float


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, rng: np.random.Generator, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """Percentile interval of mean(a − b) when problems are drawn again, the pairs kept.

    a, b: (problems,) or (seeds, problems); seeds are averaged first, so the interval is over problems alone. The random
    stream is the caller's. Raises ValueError if shapes differ, nothing is there or a value is not finite.
    """
    _check_level(level)
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape or first.ndim not in (1, 2) or first.size == 0:
        raise ValueError(
            f"a, b: shapes {first.shape} and {second.shape}; wanted equal (problems,) or (seeds, problems)"
        )
    difference = first - second
    if not np.all(np.isfinite(difference)):
        raise ValueError("a, b: every value must be finite")
    if difference.ndim == 2:
        difference = difference.mean(axis=0)
    n = len(difference)
    means = np.empty(resamples)
    for start in range(0, resamples, 1000):
        draws = rng.integers(0, n, (min(1000, resamples - start), n))
        means[start : start + len(draws)] = difference[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval, n − 1 degrees of freedom; infinite ends for a single seed."""
    _check_level(level)
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or x.size == 0 or not np.all(np.isfinite(x)):
        raise ValueError(f"values={values!r}: wanted finite numbers, one per seed")
    if x.size == 1:
        return Interval(float(x[0]), float("-inf"), float("inf"))
    half = stats.t.ppf((1 + level) / 2, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def t_test(differences: ArrayLike) -> float:
    """Two-sided p-value of mean zero for per-seed differences; NaN for a single seed, 1 if all are zero."""
    x = np.asarray(differences, dtype=float)
    if x.size < 2:
        return float("nan")
    if np.ptp(x) == 0:
        return 1.0 if x[0] == 0 else 0.0
    return float(stats.ttest_1samp(x, 0.0).pvalue)


def holm(pvalues: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values, in the order given. Raises ValueError unless each lies in [0, 1]."""
    for name, value in pvalues.items():
        if not 0 <= value <= 1:
            raise ValueError(f"pvalues[{name!r}]={value}: must lie between 0 and 1")
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(pvalues, key=lambda name: pvalues[name])):
        largest = max(largest, min(1.0, (len(pvalues) - rank) * pvalues[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in pvalues}


def tost(differences: ArrayLike, margin: float) -> float:
    """p-value of equality within ±margin by two one-sided t-tests over per-seed differences; NaN for a single seed.

    The larger of the two: below .05 the 90% t-interval lies within the margin (Schuirmann 1987).
    """
    x = np.asarray(differences, dtype=float)
    if x.size < 2:
        return float("nan")
    if np.ptp(x) == 0:
        return 0.0 if abs(x[0]) < margin else 1.0
    sides = [stats.ttest_1samp(x, -margin, alternative="greater"), stats.ttest_1samp(x, margin, alternative="less")]
    return float(max(side.pvalue for side in sides))


def power_of_equality(n: int, sd: float, margin: float, level: float = 0.05) -> float:
    """The chance that `tost` over `n` seeds is below `level` when the true difference is zero.

    sd: of the per-seed differences, taken as known and normal. Integrates over the sample's own sd. Raises ValueError
    for fewer than two seeds or a spread or margin that is not positive.
    """
    if n < 2 or not sd > 0 or not margin > 0:
        raise ValueError(f"n={n}, sd={sd}, margin={margin}: wanted two seeds or more, and positive numbers")
    t = stats.t.ppf(1 - level, n - 1)
    largest = margin * np.sqrt(n) / t  # sample sd above which no mean is close enough

    def density(s: float) -> float:
        inside = 2 * stats.norm.cdf((margin * np.sqrt(n) - t * s) / sd) - 1
        return float(inside * stats.chi2.pdf((n - 1) * s**2 / sd**2, n - 1) * 2 * (n - 1) * s / sd**2)

    return float(integrate.quad(density, 0, largest, limit=200)[0])
