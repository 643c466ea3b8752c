"""The weights w_N of T11 and T12 as exact or enclosed Bernstein coefficients, `d_b = f(1, 1+b) − f(0, b)`.

The tables of advantages are written down again here, in exact arithmetic; the tests hold them against `theory.weights`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import comb, isqrt

from flint import arb, fmpq, fmpq_poly

from theory.certified.base import Number, power

Coefficients = list[Number]  # of the Bernstein basis of degree len − 1, on [0, 1]
P = fmpq_poly([0, 1])
Q = fmpq_poly([1, -1])  # 1 − p


def square_root(value: fmpq) -> Number:
    """√value, exact where it is rational."""
    top, bottom = int(value.p), int(value.q)
    if isqrt(top) ** 2 == top and isqrt(bottom) ** 2 == bottom:
        return fmpq(isqrt(top), isqrt(bottom))
    return arb(value).sqrt()


def _table(size: int, right: Callable[[int], Number], wrong: Callable[[int], Number]) -> Coefficients:
    """d_b from f(1, c), c ≥ 1, and f(0, c), c < N."""
    return [right(b + 1) - wrong(b) for b in range(size)]


def dr_grpo(size: int) -> Coefficients:
    """f = r − c/N."""
    return _table(size, lambda c: fmpq(size - c, size), lambda c: fmpq(-c, size))


def reinforce(size: int, positive: fmpq, negative: fmpq) -> Coefficients:
    """f = lambda⁺ or −lambda⁻."""
    return _table(size, lambda c: positive, lambda c: -negative)


def maxrl(size: int, unbiased: bool = False) -> Coefficients:
    """f = (r − c/N)/(c/N); without a correct rollout 0, or −1 where `unbiased`."""
    return _table(size, lambda c: fmpq(size - c, c), lambda c: fmpq(-1) if c else (fmpq(-1) if unbiased else fmpq(0)))


def _std(size: int, c: int) -> Number:
    """Sample standard deviation of c ones among N."""
    return square_root(fmpq(c * (size - c), size * (size - 1)))


def grpo(size: int) -> Coefficients:
    """f = (r − c/N)/std, sample std; 0 without spread."""
    return f_grpo(size, fmpq(0))


def f_grpo(size: int, gamma: Number) -> Coefficients:
    """(1 − c/N)^gamma times GRPO's f."""

    def share(c: int) -> Number:
        return fmpq(1) if gamma == 0 or c == 0 else arb(fmpq(size - c, size)) ** arb(gamma)

    return _table(
        size,
        lambda c: share(c) * fmpq(size - c, size) / _std(size, c) if c < size else fmpq(0),
        lambda c: -share(c) * fmpq(c, size) / _std(size, c) if c else fmpq(0),
    )


def passk_training(size: int, k: int) -> Coefficients:
    """The mean of (max r − rho)/√(rho(1 − rho)) over the k-subsets that hold the rollout; 0 where rho is 0 or 1."""

    def f(r: int, c: int) -> Number:
        missed = fmpq(comb(size - c, k), comb(size, k))
        if missed in (0, 1):
            return fmpq(0)
        beside = fmpq(0) if r else fmpq(comb(size - c - 1, k - 1), comb(size - 1, k - 1))
        return (missed - beside) / square_root(missed * (1 - missed))

    return _table(size, lambda c: f(1, c), lambda c: f(0, c))


def pkpo(size: int, k: int) -> Coefficients:
    """f = k C(N − c, k − 1)/C(N − 1, k − 1) for correct, 0 for incorrect."""
    return _table(size, lambda c: fmpq(k * comb(size - c, k - 1), comb(size - 1, k - 1)), lambda c: fmpq(0))


def polynomial(d: Sequence[Number]) -> fmpq_poly:
    """Σ_b C(n, b) p^b (1 − p)^(n − b) d_b as a polynomial in p, exact."""
    n = len(d) - 1
    total = fmpq_poly([0])
    for b, coefficient in enumerate(d):
        if not isinstance(coefficient, fmpq):
            raise TypeError(f"coefficient {b} is an interval: only rational ones give an exact polynomial")
        total += coefficient * comb(n, b) * P**b * Q ** (n - b)
    return total


def value(d: Sequence[Number], p: Number) -> Number:
    """The polynomial at p in [0, 1]: by definition, so that p may be an interval."""
    n = len(d) - 1
    total: Number = fmpq(0)
    for b, coefficient in enumerate(d):
        total = total + comb(n, b) * coefficient * power(p, b) * power(1 - p, n - b)
    return total


def slope(d: Sequence[Number]) -> Coefficients:
    """The coefficients of the derivative."""
    return [(len(d) - 1) * (after - before) for before, after in pairwise(d)]


def halved(d: Sequence[Number]) -> tuple[Coefficients, Coefficients]:
    """The coefficients on the two halves of the interval (de Casteljau)."""
    row, left, right = list(d), [d[0]], [d[-1]]
    while len(row) > 1:
        row = [(one + two) / 2 for one, two in pairwise(row)]
        left.append(row[0])
        right.append(row[-1])
    return left, right[::-1]


def negative_inside(d: Sequence[Number], depth: int = 12) -> tuple[bool, int]:
    """Whether the polynomial is below zero on the open (0, 1) for certain, and on how many parts that was decided.

    On a part: no coefficient is above zero and one is below it. Inside the part every basis polynomial is positive.
    Where parts meet, the last coefficient of the one is the value there, and must be below zero itself.
    """
    waiting = [(list(d), True, True, depth)]
    parts = 0
    while waiting:
        part, first, last, left = waiting.pop()
        parts += 1
        falls = all(value <= 0 for value in part) and any(value < 0 for value in part)
        if falls and (first or part[0] < 0) and (last or part[-1] < 0):
            continue
        if left == 0:
            return False, parts
        one, two = halved(part)
        waiting += [(one, first, False, left - 1), (two, False, last, left - 1)]
    return True, parts
