"""What a certificate is, and the arithmetic that it rests on.

Rationals (`fmpq`) are exact. An Arb number (`arb`) is an interval that is guaranteed to hold the true value, rounding
included; `x > y` is true only if it holds for every pair of values of the two intervals. So a comparison that comes out
true is a proof; one that comes out false says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from flint import arb, fmpq

BITS = 128  # of every Arb number
DEEPEST = 24  # how often a box is halved before the claim counts as not proved on it

Number = fmpq | arb
Range = tuple[fmpq, fmpq]  # a closed interval with rational ends
Box = tuple[Range, ...]


@dataclass(frozen=True)
class Certificate:
    """A claim, and what was proved of it.

    theorem: `T9`. claim: in words. where: the instances or boxes that the claim is about, all of them. boxes: how many
    instances or boxes were decided. width: the widest interval that a decision rested on, 0 for exact rationals.
    proved: whether every decision came out true. control: a false claim, which must not be proved.
    """

    theorem: str
    claim: str
    where: str
    boxes: int
    width: float
    proved: bool
    control: bool = False

    @property
    def as_it_should(self) -> bool:
        """Proved, or not proved if it is a control."""
        return self.proved != self.control


class Proof:
    """Gathers the decisions on one claim; it is proved if there was at least one and all came out true."""

    def __init__(self) -> None:
        self.boxes = 0
        self.width = 0.0
        self.proved = True

    def holds(self, *facts: bool) -> None:
        """Count one instance, of which all `facts` must be true."""
        self.boxes += 1
        self.proved = self.proved and all(facts)

    def positive(self, *values: Number) -> None:
        """Count one instance, of which all `values` must be above zero for certain."""
        self.width = max([self.width, *(width(value) for value in values)])
        self.holds(*(bool(value > 0) for value in values))

    def near(self, found: Number, stated: str, within: str) -> None:
        """Count one instance: |found − stated| ≤ within, both decimals read as rationals."""
        self.width = max(self.width, width(found))
        away, most = found - rational(stated), rational(within)
        self.holds(bool(away <= most), bool(away >= -most))

    def everywhere(self, test: Callable[[Sequence[arb]], Number], box: Box, depth: int = DEEPEST) -> None:
        """Prove test > 0 on the whole box, by halving it along its widest side until every part is decided."""
        waiting = [(box, depth)]
        while waiting and self.proved:
            part, left = waiting.pop()
            value = test([interval(*side) for side in part])
            if value > 0:
                self.positive(value)
            elif left == 0:
                self.holds(False)
            else:
                waiting += [(half, left - 1) for half in halves(part)]

    def certificate(self, theorem: str, claim: str, where: str, control: bool = False) -> Certificate:
        """The finished certificate."""
        return Certificate(theorem, claim, where, self.boxes, self.width, self.proved and self.boxes > 0, control)


def width(value: Number) -> float:
    """The width of the interval; 0 of a rational."""
    return 2 * float(value.rad()) if isinstance(value, arb) else 0.0


def rational(number: str | float) -> fmpq:
    """A decimal as the rational that it reads as: 0.1 is 1/10."""
    exact = Fraction(str(number))
    return fmpq(exact.numerator, exact.denominator)


def interval(low: fmpq, high: fmpq) -> arb:
    """An interval that holds [low, high]; slightly larger where the ends are no dyadic numbers."""
    return arb(low).union(arb(high))


def words(names: str, box: Box) -> str:
    """The box in words: `a in [0.1, 0.2]`, or `a = 0.1` for a side without width; names apart by spaces."""
    return ", ".join(
        f"{name} = {float(low):g}" if low == high else f"{name} in [{float(low):g}, {float(high):g}]"
        for name, (low, high) in zip(names.split(), box, strict=True)
    )


def halves(box: Box) -> list[Box]:
    """The box cut in two along its widest side."""
    sides = [high - low for low, high in box]
    k = max(range(len(box)), key=lambda i: sides[i])
    low, high = box[k]
    middle = (low + high) / 2
    return [(*box[:k], part, *box[k + 1 :]) for part in ((low, middle), (middle, high))]


def power(value: Number, exponent: int) -> Number:
    """value^exponent for a whole exponent ≥ 0; 0^0 = 1."""
    return value**exponent if exponent else fmpq(1)


def root(test: Callable[[arb], Number], low: fmpq, high: fmpq, steps: int = 90) -> arb | None:
    """An interval around the zero of a falling function with test(low) > 0 > test(high); None if that is not certain.

    The caller must know that the function falls. Bisection stops where the sign is no longer certain.
    """
    if not (test(arb(low)) > 0 and test(arb(high)) < 0):
        return None
    for _ in range(steps):
        middle = (low + high) / 2
        value = test(arb(middle))
        if value > 0:
            low = middle
        elif value < 0:
            high = middle
        else:
            break
    return interval(low, high)
