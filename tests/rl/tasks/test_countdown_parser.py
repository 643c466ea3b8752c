"""The parser against Python's own grammar and fractions, against a rewriting system, and against hostile text."""

import ast
import random
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.tasks import _countdown_parser as parser
from rl.tasks import countdown
from rl.tasks._countdown_forms import forms, trees


def by_python(text: str) -> Fraction:
    """The value by Python's grammar: an oracle for text known to be harmless."""

    def value(node):
        if isinstance(node, ast.Constant):
            return Fraction(node.value)
        assert isinstance(node, ast.BinOp)
        a, b = value(node.left), value(node.right)
        return {ast.Add: a.__add__, ast.Sub: a.__sub__, ast.Mult: a.__mul__, ast.Div: a.__truediv__}[type(node.op)](b)

    return value(ast.parse(text, mode="eval").body)


def expressions(numbers):
    """Random trees over `numbers` as text, with idle brackets here and there."""
    leaves = st.permutations(list(numbers))

    def build(draw, part):
        if len(part) == 1:
            text = str(part[0])
        else:
            cut = draw(st.integers(1, len(part) - 1))
            op = draw(st.sampled_from("+-*/"))
            text = f"({build(draw, part[:cut])}){op}({build(draw, part[cut:])})"
            if draw(st.booleans()):
                text = text.replace("(", "( ").replace("+", " +")
        return f"({text})" if draw(st.booleans()) else text

    return st.composite(lambda draw: build(draw, draw(leaves)))()


@st.composite
def cases(draw):
    numbers = draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    return numbers, draw(expressions(numbers))


@settings(deadline=None, max_examples=300)
@given(cases())
def test_value_is_pythons(case):
    numbers, text = case
    tree = parser.parse(text, numbers)
    try:
        expected = by_python(text)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            parser.evaluate(tree)
        return
    assert parser.evaluate(tree) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_flat_text_groups_as_python_does(n):
    rng = random.Random(n)
    for _ in range(200):
        numbers = [rng.randint(1, 9) for _ in range(n)]
        text = "".join(str(number) + rng.choice("+-*/") for number in numbers)[:-1]
        assert parser.evaluate(parser.parse(text, numbers)) == by_python(text)


@settings(deadline=None, max_examples=300)
@given(cases())
def test_render_gives_back_the_tree_and_canonical_is_an_expression_of_the_same_value(case):
    numbers, text = case
    tree = parser.parse(text, numbers)
    assert parser.parse(parser.render(tree), numbers) == tree
    name = parser.canonical(tree)
    again = parser.parse(name, numbers)
    assert parser.canonical(again) == name
    try:
        value = parser.evaluate(tree)
    except ZeroDivisionError:
        return
    assert parser.evaluate(again) == value


def rewrites(tree):
    """Every tree one commutation or one re-bracketing away: an oracle that knows nothing of flattening."""
    if isinstance(tree, int):
        return
    op, a, b = tree
    yield from ((op, other, b) for other in rewrites(a))
    yield from ((op, a, other) for other in rewrites(b))
    for plus, minus in ("+-", "*/"):
        if op == plus:
            yield (plus, b, a)
        if isinstance(a, tuple) and a[0] in (plus, minus) and op in (plus, minus):
            x, y = a[1:]
            # (x ∘ y) • b: the last two terms change places, or move into a bracket.
            yield (a[0], (op, x, b), y)
            inner = plus if op == a[0] else minus
            yield (a[0], x, (inner, y, b))
        if isinstance(b, tuple) and b[0] in (plus, minus) and op in (plus, minus):
            y, z = b[1:]
            outer = op if b[0] == plus else (minus if op == plus else plus)
            yield (outer, (op, a, y), z)


def components(n):
    """The classes of trees that the rewrites connect."""
    left = set(trees(tuple(range(n))))
    while left:
        todo = [left.pop()]
        found = set(todo)
        while todo:
            for other in rewrites(todo.pop()):
                if other not in found:
                    found.add(other)
                    todo.append(other)
        left -= found
        yield frozenset(found)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_canonical_forms_are_the_classes_of_the_rewriting_system(n):
    assert {frozenset(members) for _, members in forms(n)} == set(components(n))


@pytest.mark.parametrize(("n", "functions"), [(2, 6), (3, 68), (4, 1170)])
def test_forms_cover_every_rational_function(n, functions):
    # Inequivalent expressions with n operands: OEIS A140606. From four on, forms are finer: they keep
    # a*(b-c)+d and d-a*(c-b) apart.
    point = [Fraction(p) for p in (10007, 20011, 30011, 40009)][:n]

    def value(tree):
        if isinstance(tree, int):
            return point[tree]
        a, b = value(tree[1]), value(tree[2])
        return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[tree[0]](b)

    values = [value(representative) for representative, _ in forms(n)]
    assert len(set(values)) == functions
    assert len(values) == (functions if n < 4 else 1260)
    for (_, members), expected in zip(forms(n), values):
        assert all(value(member) == expected for member in members)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("1+2+3", "3+(2+1)", True),
        ("1-(2-3)", "3+1-2", True),
        ("1/(2/3)", "3*1/2", True),
        ("(1+2)*3", "3*(2+1)", True),
        ("(1+2)*3", "1+2*3", False),
        ("1-2-3", "1-(2-3)", False),
        ("1*2*3", "1*2/3", False),
        ("3*(1-2)", "3*(2-1)", False),
    ],
)
def test_canonical_by_hand(first, second, same):
    names = [parser.canonical(parser.parse(text, (1, 2, 3))) for text in (first, second)]
    assert (names[0] == names[1]) is same


PROBLEM = countdown.problem((2, 3, 4), 14)

HOSTILE = {
    "": "empty",
    " \n\t ": "empty",
    "2+3*4": "correct",
    " ( 2 ) +((3*4)) ": "correct",
    "3*4+2": "correct",
    "2*3+4": "wrong value",
    "2+3*4=14": "unexpected character",
    "2**3*4": "syntax",
    "2+3*4**1": "wrong numbers",
    "2//3*4": "syntax",
    "2+3*": "wrong numbers",
    "2+3 4": "syntax",
    "2(3)4": "syntax",
    "2+34": "wrong numbers",
    "02+3*4": "wrong numbers",
    "2+3*4+0": "wrong numbers",
    "2+3*4.0": "unexpected character",
    "-2+3*4": "syntax",
    "+2+3*4": "syntax",
    "2+3*4)": "syntax",
    "(2+3*4": "syntax",
    "()2+3*4": "syntax",
    "2+()3*4": "syntax",
    "2+3*4()": "syntax",
    ")2+3*4(": "syntax",
    "2 + 3 × 4": "unexpected character",
    "２+３*４": "unexpected character",
    "٢+٣*٤": "unexpected character",
    "²+3*4": "unexpected character",
    "2+3*4\x00": "unexpected character",
    "2+3*4\u200b": "unexpected character",
    "2\u00a0+3*4": "unexpected character",
    "2e0+3*4": "unexpected character",
    "0b10+3*4": "unexpected character",
    "2_+3*4": "unexpected character",
    "__import__('os').abort()": "unexpected character",
    "9" * 4000: "wrong numbers",
    "9" * 100_000: "too long",
    "(" * 100_000 + "2+3*4" + ")" * 100_000: "too long",
    "(" * 2000 + "2+3*4" + ")" * 2000: "correct",
    "(" * 2000 + "2+3*4" + ")" * 1999: "syntax",
    "2+3*4" + "-" * 4000: "syntax",
    "2" + "+3" * 2000: "wrong numbers",
    "9**9**9**9": "wrong numbers",
}


@pytest.mark.parametrize(("text", "reason"), HOSTILE.items(), ids=lambda value: ascii(value)[:30])
def test_hostile_by_hand(text, reason):
    verdict = countdown.verify(PROBLEM, text)
    assert verdict.reason == reason
    assert verdict.correct is (reason == "correct")
    assert (verdict.canonical is not None) == (reason in ("correct", "wrong value"))


def test_division_by_zero_is_wrong_even_where_the_canonical_form_is_defined():
    problem = countdown.problem((1, 2, 3, 3), 0)
    assert countdown.verify(problem, "1/(2/(3-3))") == countdown.GradeResult(False, "1*(3-3)/2", "division by zero")
    assert countdown.verify(problem, "1*(3-3)/2").correct is True


@settings(deadline=None, max_examples=500)
@given(st.one_of(st.text(max_size=60), st.text("0123456789+-*/() ", max_size=60), st.text("234+-*/()", max_size=12)))
def test_any_text_gets_a_verdict(text):
    verdict = countdown.verify(PROBLEM, text)
    assert verdict.correct in (True, False)
    if verdict.correct:
        assert by_python(text.strip()) == 14


def test_a_hundred_thousand_hostile_strings():
    rng = random.Random(7)
    pieces = ["2", "3", "4", "2", "3", "4", "+", "-", "*", "/", "(", ")", " ", "**", "//", "9" * 500, "(" * 300]
    pieces += [")" * 300, "٣", "²", "\x00", "eval", ".", "e9", "=14", "\ud800", "\U0001f9ee", "-" * 50, "0x", "\n"]
    correct = 0
    for number in range(100_000):
        # Every other string is made of the problem's own symbols, so that the deeper stages see their share.
        pool = pieces[:12] if number % 2 else pieces
        text = "".join(rng.choices(pool, k=rng.randint(0, 12)))
        verdict = countdown.verify(PROBLEM, text)
        if verdict.correct:
            correct += 1
            assert by_python(text) == 14
    assert correct > 0


def test_all_orders_of_brackets_are_counted_once_by_value():
    texts = [f"{a}+{b}*{c}" for a, b, c in permutations((2, 3, 4))]
    names = {parser.canonical(parser.parse(text, (2, 3, 4))) for text in texts}
    assert names == {"2+3*4", "3+2*4", "4+2*3"}
