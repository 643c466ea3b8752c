"""Equations m·(p·x + q) + r = s·x + t: the steps that solve them, all routes, and routes read from text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

MAX_TEXT = 2048
_ITEM = r"(?:[0-9]{0,6}x|[0-9]{1,6})"
_SUM = rf"[+-]?{_ITEM}(?:[+-]{_ITEM})*"
_TERM = re.compile(rf"([+-]?)(?:([0-9]{{0,6}})\(({_SUM})\)|([0-9]{{0,6}})x|([0-9]{{1,6}}))")


@dataclass(frozen=True)
class Equation:
    """m·(p·x + q) + r = s·x + t, whole numbers; m = 1 and r = 0 where there is no bracket."""

    p: int
    q: int
    s: int
    t: int
    m: int = 1
    r: int = 0

    def __str__(self) -> str:
        left = _sum(self.p, self.q)
        if self.m != 1:
            left = f"{_factor(self.m)}( {left} )" + (_signed(self.r) if self.r else "")
        return f"{left} = {_sum(self.s, self.t)}"


def _factor(number: int) -> str:
    """A coefficient as it is written before x or a bracket."""
    return ("- " if number < 0 else "") + (f"{abs(number)} " if abs(number) != 1 else "")


def _signed(number: int) -> str:
    return f" {'-' if number < 0 else '+'} {abs(number)}"


def _sum(x: int, one: int) -> str:
    if x == 0:
        return f"- {-one}" if one < 0 else str(one)
    return f"{_factor(x)}x" + (_signed(one) if one else "")


def collected(equation: Equation) -> Equation:
    """A x = B with A > 0: all x on one side, all numbers on the other; nothing is divided."""
    x = equation.m * equation.p - equation.s
    one = equation.t - equation.r - equation.m * equation.q
    return Equation(abs(x), 0, 0, one if x > 0 else -one)


def primitive(equation: Equation) -> Equation:
    """Brackets opened, divided by the greatest common divisor of its numbers, sides and sign in a fixed order."""
    m, p, q, r = equation.m, equation.p, equation.q, equation.r
    left, right = (m * p, m * q + r), (equation.s, equation.t)
    divisor = gcd(*left, *right)
    first, second = ((x // divisor, one // divisor) for x, one in (left, right))
    ways = [(*one, *other) for one, other in ((first, second), (second, first))]
    return Equation(*max(ways + [(-a, -b, -c, -d) for a, b, c, d in ways]))


def steps(now: Equation) -> Iterator[Equation]:
    """What one step makes of `now`: move a number or x to the other side, divide, or open the bracket."""
    p, q, s, t, m, r = now.p, now.q, now.s, now.t, now.m, now.r
    if m != 1:
        yield Equation(m * p, m * q + r, s, t)
        if r:
            yield Equation(p, q, s, t - r, m)
        elif s == 0 and t % m == 0:
            yield Equation(p, q, 0, t // m)
        return
    if s:
        yield Equation(p - s, q, 0, t)
    if q:
        yield Equation(p, 0, s, t - q)
    if s == 0 and p != 1 and q % p == 0 and t % p == 0:
        yield Equation(1, q // p, 0, t // p)


def routes(start: Equation) -> list[tuple[Equation, ...]]:
    """All ways from `start` (not included) to x = number, in a fixed order."""
    found: list[tuple[Equation, ...]] = []
    waiting: list[tuple[Equation, ...]] = [(start,)]
    while waiting:
        path = waiting.pop()
        further = list(steps(path[-1]))
        if not further:
            found.append(path[1:])
        waiting += [(*path, one) for one in reversed(further)]
    return found


def _read(side: str) -> tuple[str, int, int] | None:
    """A sum as `(its terms sorted, coefficient of x, number)`; None if it is none."""
    terms: list[str] = []
    x = one = place = 0
    while place < len(side):
        term = _TERM.match(side, place)
        if term is None or (place and not term[1]):
            return None
        sign = -1 if term[1] == "-" else 1
        if term[3] is not None:
            inner = _read(term[3])
            if inner is None:
                return None
            factor = sign * int(term[2] or 1)
            x, one = x + factor * inner[1], one + factor * inner[2]
            terms.append(f"{factor:+d}({inner[0]})")
        elif term[5] is not None:
            one += sign * int(term[5])
            terms.append(f"{sign * int(term[5]):+d}")
        else:
            x += sign * int(term[4] or 1)
            terms.append(f"{sign * int(term[4] or 1):+d}x")
        place = term.end()
    return ("".join(sorted(terms)), x, one) if terms else None


def canonical(text: str, start: Equation, answer: int) -> str | None:
    """The route from `start` in `text`, equations separated by `;`.

    The same for routes that differ only in the order of terms or sides, or by an equation said again. None if there is
    none: something is no equation, or one that x = `answer` is not the only solution of.
    """
    if len(text) > MAX_TEXT or re.search(r"[0-9]\s+[0-9]", text):
        return None
    found: list[str] = []
    above = _name(str(start), answer)
    for equation in text.split(";"):
        name = _name(equation, answer)
        if name is None:
            return None
        if name != (found[-1] if found else above):
            found.append(name)
    return " ; ".join(found) or None


def _name(equation: str, answer: int) -> str | None:
    """`equation` with terms and sides in order; None if it is none, or x = `answer` is not its only solution."""
    texts = re.sub(r"\s+", "", equation).split("=")
    sides = [found for text in texts if (found := _read(text)) is not None]
    if len(texts) != 2 or len(sides) != 2:
        return None
    (left, a, b), (right, c, d) = sides
    if a == c or (a - c) * answer != d - b:
        return None
    return "=".join(sorted((left, right)))
