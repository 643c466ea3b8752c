"""A process that compares mathematical answers: one JSON object a line on standard input, one on standard output.

Run as a file, alone: it imports nothing of this project, so it starts fast and holds little. What it gets are forms as
`rl.tasks.answers` reads them; math-verify parses and compares their values. An answer has so much time of this
process's own, not by the clock as in math-verify: what is given up does not depend on what else the machine does. A
signal gives it up, hence the main thread of a process of its own; where one long operation on integers keeps the signal
waiting, the kernel ends the process.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from functools import lru_cache
from typing import Any

SECONDS = 3.0  # of processor time for an answer
KILL = 4  # of processor time, whole seconds, after which the kernel ends the process
MEMORY = 4 << 30  # bytes of address space
DIGITS = 100_000.0
"""A number with more, or a sum or product of so many terms, is not computed."""
DECIMALS = 6
"""To how many decimals a decimal number must be right; to as many significant digits where gold is below one."""

Form = dict[str, Any]


class GivenUp(BaseException):
    """No Exception: a computer algebra system catches those."""


def _give_up(*_: object) -> None:
    raise GivenUp


@lru_cache(maxsize=512)
def parsed(latex: str) -> Any:
    """`latex` as SymPy's, not evaluated; None if it is no mathematics."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse

    # Units are left out before: here 3t would be read as 3 tons.
    config = LatexExtractionConfig(
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all"
        )
    )
    found = parse(f"\\boxed{{{latex}}}", [config], parsing_timeout=None, raise_on_error=True)
    return next((_imaginary(one) for one in found if not isinstance(one, str)), None)


def _imaginary(node: Any) -> Any:
    """`node` with i as the imaginary unit, unless it is what a sum runs over.

    Math-verify reads a letter, and where it takes it for the unit, all letters as not real.
    """
    from sympy import I, Product, Sum, Symbol

    letters = {one for one in getattr(node, "free_symbols", ()) if isinstance(one, Symbol)}
    if all(letter.is_real for letter in letters if letter.name != "i") and all(one.name != "i" for one in letters):
        return node
    if hasattr(node, "has") and node.has(Sum, Product):
        return node
    return node.xreplace({one: I if one.name == "i" else Symbol(one.name, real=True) for one in letters})


def leaves(form: Form) -> list[str]:
    """What of `form` math-verify has to read."""
    if form["kind"] in ("words", "base", "time"):
        return []
    own = [form["latex"]] if form["kind"] in ("value", "degrees", "equation", "other") else []
    return own + [latex for part in form["parts"] for latex in leaves(part)]


def digits(node: Any) -> float:
    """A bound on the decimal digits that evaluating `node` makes, without evaluating it; inf for more than DIGITS."""
    import sympy

    if isinstance(node, sympy.MatrixBase):
        return max(map(digits, node.flat()), default=1.0)
    inner = [digits(one) for one in getattr(node, "args", ())]
    if math.inf in inner:
        return math.inf
    largest = max(inner, default=1.0)
    if isinstance(node, sympy.Rational):
        return float(max(abs(node.p), node.q).bit_length()) * 0.302 + 1
    if isinstance(node, sympy.Pow):
        base, exponent = node.args
        if exponent.free_symbols:
            return largest
        # A sum to a power is multiplied out
        times = _size(exponent, inner[1])
        return _times(times, inner[0]) if not base.free_symbols or times > 200 else largest
    if isinstance(node, sympy.factorial | sympy.factorial2 | sympy.subfactorial):
        argument = node.args[0]
        return largest if argument.free_symbols else _times(_size(argument, inner[0]), inner[0])
    if isinstance(node, sympy.Sum | sympy.Product):
        ranges = [bound for limits in node.args[1:] for bound in limits.args[1:] if not bound.is_infinite]
        terms = max((_size(bound, digits(bound)) for bound in ranges if not bound.free_symbols), default=1.0)
        return _times(terms, largest)
    if isinstance(node, sympy.Mul | sympy.Add):
        return sum(inner)
    return largest


def _size(node: Any, places: float) -> float:
    """A bound on |node|, exact for numbers."""
    if node.is_Number:
        return min(abs(float(node)), 1e300)
    return 10.0**places if places < 300 else math.inf


def _times(one: float, two: float) -> float:
    return one * two if one * two <= DIGITS else math.inf


def _shift(gold: Any) -> int:
    """How many decimals more a number below one needs for as many significant digits."""
    from sympy import Abs, Number, log

    found = gold.doit() if hasattr(gold, "doit") else gold
    numbers = [found] if getattr(found, "is_number", False) else [*getattr(found, "atoms", lambda _: ())(Number)]
    smallest = 0
    for number in numbers:
        size = Abs(number).evalf(5)
        if size.is_Float and size > 0:
            smallest = min(smallest, math.floor(log(size, 10).evalf(5)))
    return max(0, -smallest - 1)


def _apart(gold: Any, mine: Any) -> bool:
    """Whether two constants differ by more than a thousandth of their size: then nothing needs to be simplified."""
    from sympy import Abs, Expr, UnevaluatedExpr

    for one in (gold, mine):  # 12% is unevaluated, and equals 12 and 0.12
        if not isinstance(one, Expr) or not one.is_number or one.has(UnevaluatedExpr):
            return False
    ours, theirs = gold.evalf(20), mine.evalf(20)
    if not all(one.is_finite for one in (ours, theirs)):
        return False
    return bool(Abs(ours - theirs).evalf(5) > (Abs(ours) + Abs(theirs)).evalf(5) / 1000)


@lru_cache(maxsize=512)
def _equal(gold: str, mine: str) -> bool:
    from math_verify import verify

    if gold == mine:
        return True
    if _apart(parsed(gold), parsed(mine)):
        return False
    shift = _shift(parsed(gold))
    return bool(
        verify(
            [parsed(gold)],
            [parsed(mine)],
            float_rounding=DECIMALS + shift,
            numeric_precision=15 + shift,
            allow_set_relation_comp=True,
            timeout_seconds=None,
            raise_on_error=True,
        )
    )


def _equations(gold: Form, mine: Form) -> bool:
    """Equations in the same variables, with the same solutions."""
    from sympy import Eq

    one, two = parsed(gold["latex"]), parsed(mine["latex"])
    if not (isinstance(one, Eq) and isinstance(two, Eq)) or one.free_symbols != two.free_symbols:
        return False
    return _equal(gold["latex"], mine["latex"])


def _constant(form: Form) -> bool:
    return not any(parsed(latex).free_symbols for latex in leaves(form))


def _names(form: Form) -> list[str]:
    """The variables of a list of assignments, where it is one and they are all different."""
    names = [part["tag"] for part in form["parts"] if part["kind"] == "named"]
    return names if len(names) == len(form["parts"]) == len(set(names)) else []


def _in_order(gold: list[Form], mine: list[Form]) -> bool:
    return len(gold) == len(mine) and all(map(same, gold, mine))


def _unordered(gold: Form, mine: Form) -> bool:
    ours, theirs = gold["parts"], mine["parts"]
    if _names(gold) and not _names(mine):  # x=1, y=2 against 1, 2
        return _in_order(ours, theirs)
    if "set" not in (gold["kind"], mine["kind"]) and len(ours) != len(theirs):
        return False
    return all(any(same(one, two) for two in theirs) for one in ours) and all(
        any(same(one, two) for one in ours) for two in theirs
    )


def same(gold: Form, mine: Form) -> bool:
    """Whether `mine` says what `gold` does. The rules stand in `rl.tasks.answers`."""
    kinds = gold["kind"], mine["kind"]
    if kinds == ("named", "named") and gold["tag"] != mine["tag"]:
        return not _constant(gold["parts"][-1]) and _equations(gold, mine)
    if gold["kind"] == "named" and mine["kind"] == "equation":
        return not _constant(gold["parts"][-1]) and _equations(gold, mine)
    if gold["kind"] == "equation":
        return mine["kind"] in ("equation", "named") and _equations(gold, mine)
    if mine["kind"] == "equation":
        return False
    if "named" in kinds:
        ours = gold["parts"][-1] if gold["kind"] == "named" else gold
        theirs = mine["parts"] if mine["kind"] == "named" else [mine]
        return all(same(ours, one) for one in theirs)
    if kinds in (("words", "words"), ("base", "base")):
        return bool(gold["tag"] == mine["tag"])
    if kinds == ("time", "time"):  # a.m. and p.m. are left out as units are, but not mistaken
        hours = {form["tag"].rstrip("ap") for form in (gold, mine)}
        return len(hours) == 1 and len({gold["tag"], mine["tag"]} - hours) < 2
    if kinds == ("base", "value"):  # the base left out
        return bool(gold["tag"].split("_")[0] == mine["latex"])
    if kinds == ("ratio", "ratio"):
        return _in_order(gold["parts"], mine["parts"])
    if kinds == ("group", "group"):
        return gold["tag"] == mine["tag"] and _in_order(gold["parts"], mine["parts"])
    if kinds in (("list", "list"), ("list", "set"), ("set", "list"), ("set", "set")):
        return _unordered(gold, mine)
    if kinds == ("list", "group"):
        return bool(_names(gold)) and mine["tag"] == "()" and _in_order(gold["parts"], mine["parts"])
    if kinds == ("group", "list"):
        return bool(_names(mine)) and gold["tag"] == "()" and _in_order(gold["parts"], mine["parts"])
    if "degrees" in kinds and set(kinds) <= {"degrees", "value"}:
        return _angles(gold, mine)
    if "set" in kinds and set(kinds) <= {"set", "value"}:  # {7} against 7
        ours, theirs = ([form] if form["kind"] == "value" else form["parts"] for form in (gold, mine))
        return _in_order(ours, theirs)
    if kinds == ("value", "value") or ("other" in kinds and set(kinds) <= {"other", "group", "set"}):
        return _equal(gold["latex"], mine["latex"])
    return False


def _angles(gold: Form, mine: Form) -> bool:
    if _equal(gold["latex"], mine["latex"]):
        return True
    ours, theirs = (
        rf"({form['latex']})\cdot \frac{{\pi}}{{180}}" if form["kind"] == "degrees" else form["latex"]
        for form in (gold, mine)
    )
    return _equal(ours, theirs)


def _understood(form: Form) -> bool:
    return all(parsed(latex) is not None for latex in leaves(form))


def _large(form: Form) -> bool:
    return any(digits(parsed(latex)) > DIGITS for latex in leaves(form))


def readable(gold: Form) -> bool:
    """Whether answers can be compared with `gold`."""
    return _understood(gold) and not _large(gold)


def judge(golds: list[Form], answer: Form | None) -> str:
    """`correct` if `answer` is one of `golds`; `wrong`, `unparsed` or `too large` (the answer) or `gold unparsed` (all
    of them, which is the only thing asked if there is no answer)."""
    known = [gold for gold in golds if readable(gold)]
    if not known:
        return "gold unparsed"
    if answer is None:
        return "correct"
    if not _understood(answer):
        return "unparsed"
    if _large(answer):
        return "too large"
    return "correct" if any(same(gold, answer) for gold in known) else "wrong"


def serve() -> None:
    """Answer until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)  # what libraries print must not look like a reply
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _give_up)
    one = {"kind": "value", "latex": "1", "tag": "", "parts": []}
    judge([one], {**one, "latex": "2"})  # the first call builds grammars
    replies.write('"ready"\n')
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + KILL
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)  # again and again, should somebody catch the first
            try:
                verdict = judge(**json.loads(line))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except GivenUp:
            verdict = "timeout"
        except Exception:  # whatever a computer algebra system does with text from a model, it costs this answer
            verdict = "failed"
        replies.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    serve()
