"""Unbiased Pass@k and distinct correct answers, from samples; and Pass@k from the probability of a correct answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import comb, fsum

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
