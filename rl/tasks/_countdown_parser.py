"""Arithmetic expressions as text and as trees: a parser that refuses instead of guessing, and the canonical form.

Never `eval`. The text is bounded in length, its numbers are compared with the problem's before anything is computed,
and brackets are kept on an explicit stack, so hostile text costs time linear in its (bounded) length. Once the numbers
match, a tree is no deeper than there are numbers, and its value is a ratio of small integers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

Tree = int | tuple[str, "Tree", "Tree"]

MAX_LENGTH = 4096
_TOKEN = re.compile(r"[0-9]+|[-+*/()]")
_SPACE = re.compile(r"[ \t\r\n]*")
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}


class Refused(ValueError):
    """The text is no expression in the given numbers; the message says why."""


def _tokens(text: str) -> list[str]:
    if len(text) > MAX_LENGTH:
        raise Refused("too long")
    found: list[str] = []
    place = _SPACE.match(text).end()  # type: ignore[union-attr]  # matches the empty string too
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise Refused("unexpected character")
        found.append(token.group())
        place = _SPACE.match(text, token.end()).end()  # type: ignore[union-attr]
    if not found:
        raise Refused("empty")
    return found


def _check_numbers(tokens: list[str], numbers: Sequence[int]) -> None:
    # As text: a number of a thousand digits is never converted, and one with a leading zero is no match.
    if Counter(token for token in tokens if token.isdigit()) != Counter(str(number) for number in numbers):
        raise Refused("wrong numbers")


def _reduce(operands: list[Tree], operators: list[str]) -> None:
    right, left = operands.pop(), operands.pop()
    operands.append((operators.pop(), left, right))


def parse(text: str, numbers: Sequence[int]) -> Tree:
    """The tree of `text`, an infix expression with + - * / and brackets that uses each of `numbers` exactly once.

    A tree is a number or `(operator, left, right)`; operators of equal precedence group to the left. There is no
    unary sign, no power, no decimal point, no implied product, and only ASCII. Raises `Refused`.
    """
    tokens = _tokens(text)
    _check_numbers(tokens, numbers)
    operands: list[Tree] = []
    operators: list[str] = []
    operand_next = True
    for token in tokens:
        if token.isdigit() or token == "(":
            if not operand_next:
                raise Refused("syntax")
            if token == "(":
                operators.append(token)
            else:
                operands.append(int(token))
                operand_next = False
            continue
        if operand_next:
            raise Refused("syntax")
        if token == ")":
            while operators and operators[-1] != "(":
                _reduce(operands, operators)
            if not operators:
                raise Refused("syntax")
            operators.pop()
            continue
        while operators and operators[-1] != "(" and _PRECEDENCE[operators[-1]] >= _PRECEDENCE[token]:
            _reduce(operands, operators)
        operators.append(token)
        operand_next = True
    if operand_next or "(" in operators:
        raise Refused("syntax")
    while operators:
        _reduce(operands, operators)
    return operands[0]


def evaluate(tree: Tree) -> Fraction:
    """The exact value of `tree`. Raises `ZeroDivisionError`."""
    if isinstance(tree, int):
        return Fraction(tree)
    operator, left, right = tree
    a, b = evaluate(left), evaluate(right)
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    return a * b if operator == "*" else a / b


def _flatten(tree: Tree, operators: str, inverse: bool = False) -> Iterator[tuple[bool, Tree]]:
    """The terms of a sum (`operators` "+-") or the factors of a product ("*/"), each with whether it is inverted."""
    if isinstance(tree, tuple) and tree[0] in operators:
        yield from _flatten(tree[1], operators, inverse)
        yield from _flatten(tree[2], operators, inverse ^ (tree[0] == operators[1]))
    else:
        yield inverse, tree


def canonical(tree: Tree) -> str:
    """One text for all trees that differ by commuting and re-bracketing only; itself an expression without spaces.

    Sums are flattened to added and subtracted terms, products to factors and divisors, each sorted. Equal numbers are
    interchangeable. No other law is used: `a*(b-c)+d` and `d-a*(c-b)`, or `a*1` and `a/1`, stay different calculations.
    """
    if isinstance(tree, int):
        return str(tree)
    operators = "+-" if tree[0] in "+-" else "*/"
    parts: tuple[list[str], list[str]] = ([], [])
    for inverse, part in _flatten(tree, operators):
        text = canonical(part)
        parts[inverse].append(f"({text})" if operators == "*/" and isinstance(part, tuple) else text)
    direct, inverted = (sorted(found, key=lambda text: (len(text), text)) for found in parts)
    return operators[0].join(direct) + "".join(operators[1] + text for text in inverted)


def render(tree: Tree) -> str:
    """`tree` as text, symbols separated by blanks, with just those brackets without which it would be another tree."""
    if isinstance(tree, int):
        return str(tree)
    operator, left, right = tree
    level = _PRECEDENCE[operator]
    first, second = render(left), render(right)
    if isinstance(left, tuple) and _PRECEDENCE[left[0]] < level:
        first = f"( {first} )"
    if isinstance(right, tuple) and _PRECEDENCE[right[0]] <= level:
        second = f"( {second} )"
    return f"{first} {operator} {second}"
