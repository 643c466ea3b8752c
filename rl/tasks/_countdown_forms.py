"""Every calculation with n numbers, once: the canonical forms over n slots and the trees of each.

The slots 0 … n−1 stand for the numbers, so one table per n serves every problem: 68 forms of 192 trees for three
numbers, 1,260 of 7,680 for four.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl.tasks._countdown_parser import Tree, canonical, parse

OPERATORS = "+-*/"


@cache
def trees(slots: tuple[int, ...]) -> tuple[Tree, ...]:
    """All binary trees with the operators + - * / inside and each of `slots` at exactly one leaf."""
    if len(slots) == 1:
        return (slots[0],)
    found: list[Tree] = []
    for size in range(1, len(slots)):
        for left in combinations(slots, size):
            right = tuple(slot for slot in slots if slot not in left)
            found += [(op, a, b) for op in OPERATORS for a in trees(left) for b in trees(right)]
    return tuple(found)


@cache
def forms(n: int) -> tuple[tuple[Tree, tuple[Tree, ...]], ...]:
    """`(representative, trees)` for each canonical form over the slots 0 … n−1.

    The representative divides by single factors only, so wherever some tree of the form divides by zero nowhere,
    it does neither. The converse fails: a/(b/c) is undefined at c = 0, its form a*c/b is not.
    """
    slots = tuple(range(n))
    found: dict[str, list[Tree]] = {}
    for tree in trees(slots):
        found.setdefault(canonical(tree), []).append(tree)
    return tuple((parse(name, slots), tuple(members)) for name, members in found.items())


def ratio(tree: Tree, columns: Any) -> tuple[Any, Any, Any]:
    """`(numerator, denominator, defined)` of `tree`; slot i stands for `columns[i]`, an integer or an array of them."""
    if isinstance(tree, int):
        return columns[tree], 1, True
    operator, left, right = tree
    a, b, first = ratio(left, columns)
    c, d, second = ratio(right, columns)
    defined = first & second
    if operator == "+":
        return a * d + c * b, b * d, defined
    if operator == "-":
        return a * d - c * b, b * d, defined
    if operator == "*":
        return a * c, b * d, defined
    return a * d, b * c, defined & (c != 0)


def fill(tree: Tree, numbers: tuple[int, ...]) -> Tree:
    """`tree` with number i in place of slot i."""
    if isinstance(tree, int):
        return numbers[tree]
    return tree[0], fill(tree[1], numbers), fill(tree[2], numbers)


def solvable(numbers: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether some calculation with row i of `numbers` (problems, n) makes `targets[i]`, exactly."""
    columns = list(numbers.T)
    found = np.zeros(len(targets), dtype=bool)
    for representative, _ in forms(numbers.shape[1]):
        numerator, denominator, defined = ratio(representative, columns)
        found |= defined & (numerator == targets * denominator)
    return found
