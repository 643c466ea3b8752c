"""Intervals and tests over seeds and over problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, stats


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


def two_way_bootstrap(
    differences: ArrayLike, rng: np.random.Generator, resamples: int = 4000, level: float = 0.95
) -> Interval:
    """Percentile interval of the mean when seeds and problems are both drawn again (hierarchical bootstrap).

    differences: (seeds, problems), the same problems for every seed, so one draw of problems serves all seeds. With few
    seeds it is too narrow, by about the root of (n − 1)/n: it stands beside the t-interval, not in its place.
    """
    _check_level(level)
    x = np.asarray(differences, dtype=float)
    if x.ndim != 2 or x.size == 0 or not np.all(np.isfinite(x)):
        raise ValueError(f"differences: shape {x.shape}; wanted finite numbers (seeds, problems)")
    seeds, problems = x.shape
    means = np.empty(resamples)
    for start in range(0, resamples, 1000):
        size = min(1000, resamples - start)
        drawn = _times_drawn(rng, seeds, size) @ x  # (size, problems)
        means[start : start + size] = (drawn * _times_drawn(rng, problems, size)).sum(axis=1) / x.size
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(x.mean()), float(low), float(high))


def _times_drawn(rng: np.random.Generator, n: int, size: int) -> NDArray[np.int64]:
    """How often each of n comes up in n draws with replacement, (size, n)."""
    draws = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
    return np.bincount(draws.ravel(), minlength=size * n).reshape(size, n)


def pooled_interval(values: ArrayLike, first: int, second: int, level: float = 0.95) -> Interval:
    """Interval of the difference of two methods with a variance pooled over all methods: a check where seeds are few.

    values: (methods, seeds). The variance is that of the residuals after removing the mean of each method and of each
    seed, (methods − 1)(seeds − 1) degrees of freedom; it assumes that all methods vary alike. Infinite ends where there
    are none.
    """
    _check_level(level)
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or min(x.shape) < 1 or not np.all(np.isfinite(x)):
        raise ValueError(f"values: shape {x.shape}; wanted finite numbers (methods, seeds)")
    mean = float(np.mean(x[first] - x[second]))
    freedom = (x.shape[0] - 1) * (x.shape[1] - 1)
    if freedom < 1:
        return Interval(mean, float("-inf"), float("inf"))
    residuals = x - x.mean(axis=0, keepdims=True) - x.mean(axis=1, keepdims=True) + x.mean()
    half = stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(2 * (residuals**2).sum() / freedom / x.shape[1])
    return Interval(mean, mean - float(half), mean + float(half))


def interquartile_mean(scores: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """Mean of the middle half of all scores, one array (seeds,) a task, with a stratified bootstrap interval.

    Agarwal et al. 2021: seeds are drawn again within each task.
    """
    return _stratified([np.asarray(one, dtype=float) for one in scores], _trimmed, level)


def probability_of_improvement(ours: Sequence[ArrayLike], theirs: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """The chance that a run of ours is above a run of theirs on the same task, mean over tasks; ties count half.

    ours, theirs: one array (seeds,) a task. Stratified bootstrap interval (Agarwal et al. 2021).
    """
    both = [np.asarray(one, dtype=float) for one in (*ours, *theirs)]
    return _stratified(both, _improved, level)


def _trimmed(*tasks: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    return np.asarray(stats.trim_mean(np.concatenate(tasks, axis=axis), 0.25, axis=axis))


def _improved(*both: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    tasks = len(both) // 2
    shares = []
    for x, y in zip(both[:tasks], both[tasks:]):
        pairs = np.moveaxis(x, axis, -1)[..., :, None] - np.moveaxis(y, axis, -1)[..., None, :]
        shares.append((np.sign(pairs).mean(axis=(-2, -1)) + 1) / 2)
    return np.mean(shares, axis=0)


def _stratified(
    tasks: Sequence[NDArray[np.float64]], statistic: Callable[..., NDArray[np.float64]], level: float
) -> Interval:
    _check_level(level)
    value = float(statistic(*tasks))
    if min(len(task) for task in tasks) < 2:
        return Interval(value, float("-inf"), float("inf"))
    found = stats.bootstrap(
        tasks, statistic, vectorized=True, method="percentile", confidence_level=level, rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))
