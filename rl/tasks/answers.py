"""What a written answer is, before anything is computed: a value, a list, a point or interval, an equation, words.

A computer algebra system reads what it can: `3 4` as 7, `ABC` as a product, `0 = 7` as 7. Here notation is unified,
what is no answer is refused, and what is left is taken apart into values that leave no doubt. The rules:

- Juxtaposed numbers (`3 4`, `3(4)`, `(2)(3)`) are no number. `1\\frac{1}{2}` and `1 1/2` are mixed numbers if the
  fraction is proper. `2(1+\\sqrt{3})` is a product.
- An equation is an answer if it is `variable = value`, sides in either order; of `x = 14/2 = 7` every value must be
  right.
- `\\{2,5\\}` and `2,5` have no order, `(2,5)` has one: a point or an interval, and brackets must agree.
- Several letters with a capital, or three and more, are a word, not a product; words compare as text.
- `52_8` keeps its base, `3:30` is a time of day, `1:2` a ratio.
- Units and words after a number are left out; a degree sign is not: `90^\\circ` is 90 and \\pi/2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "value", "degrees", "words", "base", "time", "ratio", "list", "set", "group", "named", "equation", "other"
]


@dataclass(frozen=True)
class Form:
    """An answer taken apart."""

    kind: Kind
    latex: str
    """The whole of it, in LaTeX that math-verify reads."""
    tag: str = ""
    """group: its brackets; named: the variable; words, base, time: what is compared as text."""
    parts: tuple[Form, ...] = ()
    """list, set, group, ratio: the elements; named: every value that the variable is said to have."""


class NoAnswer(ValueError):
    """The text is no answer; the message is the reason that a `Grade` gives."""


JUXTAPOSED = "no number"
UNREADABLE = "unparsed"
TOO_LARGE = "too large"
MAX_DEPTH = 30
"""Brackets in brackets, beyond which an answer is not read."""

_SIGNS = {
    **{"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "÷": "/", "⁄": "/"},
    **{"π": r"\pi ", "∞": r"\infty ", "°": r"^\circ ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp "},
    **{"≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap "},
    **{"θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}"},
}
_SYNONYMS = [
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\(?:left|right|middle|[bB]igg?[lr]?)(?![a-zA-Z])\.?", ""),
        (r"\\(?:display|text)style(?![a-zA-Z])", ""),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:varnothing|O)(?![a-zA-Z])", r"\\emptyset"),
        (r"\\(?:textnormal|textbf|textit|textrm|textsf|mathrm|mathit|mbox|rm|hbox)\s*\{", r"\\text{"),
        (r"\\mathbf\s*\{(?=[^{}]{2})", r"\\text{"),
        (r"\\(?:dots|ldots|cdots)(?![a-zA-Z])", r"\\ldots "),
        (r"\\(?:lbrace|rbrace)(?![a-zA-Z])", lambda m: r"\{" if m[0][1] == "l" else r"\}"),
        (r"\\(?:lbrack|rbrack)(?![a-zA-Z])", lambda m: "[" if m[0][1] == "l" else "]"),
        (r"\\[lr]vert(?![a-zA-Z])", "|"),
        (r"\\langle(?![a-zA-Z])", "("),
        (r"\\rangle(?![a-zA-Z])", ")"),
        (r"\\(?:leq|leqslant|le)(?![a-zA-Z])", r"\\le "),
        (r"\\(?:geq|geqslant|ge)(?![a-zA-Z])", r"\\ge "),
        (r"\\neq(?![a-zA-Z])", r"\\ne "),
        (r"\\(?:text\{\s*)?(?:degrees?|\\?deg)\s*\}?(?![a-zA-Z])", r"^\\circ "),
        (r"(?<=[\d}\s])(?:degrees?|deg)(?![a-zA-Z])", r"^\\circ "),
        (r"\^\s*\{\s*\\circ\s*\}", r"^\\circ "),
        (r"(?:\\text\{\s*)(?:percent|percentage|pct)\s*\}|(?<![a-zA-Z\\])(?:percent|percentage|pct)(?![a-zA-Z])", "%"),
        (r"\\?%", r"\\%"),
        (r"\*\*", "^"),
        (r"\{([^{}]+)\\choose(?![a-zA-Z])([^{}]+)\}", r"\\binom{\1}{\2}"),
        (r"\\\$|\\pounds(?![a-zA-Z])|[€£¥]", ""),
        (r"\$|\\[()]|\\\[|\\\](?!\])", ""),
    )
]
# 1,000 and 1{,}000 and 1\,000; a blank is none: `1 000` may be two numbers.
_THOUSANDS = re.compile(r"(?<![\d.,}])[1-9]\d{0,2}(?:(?:\{,\}|,?\\!|\\,)\d{3})+(?!\d)")
_COMMAS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
_SPACES = re.compile(r"(?<!\\)\\[,;:!> ]|~|\\q?quad(?![a-zA-Z])|\s+")
_REPEATING = re.compile(r"(?<!\d)(\d*)\.(\d*)\s*\\overline\s*\{\s*(\d+)\s*\}")
_SCIENTIFIC = re.compile(r"([-+]?\d+(?:\.\d*)?)[eE]([-+]?\d+)")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_ROOT = re.compile(r"[√]\s*(\d+(?:\.\d+)?|[a-zA-Z])?")
INTEGER = re.compile(r"([-+]?)\s*(\d+)")


def unified(text: str) -> str:
    """`text` in one notation: ASCII and LaTeX, no dollars, no spacing commands, no full stop or comma at the end."""
    text = _SUPERSCRIPTS.sub(lambda found: f"^{{{unicodedata.normalize('NFKC', found[0]).replace('−', '-')}}}", text)
    letters = []
    for letter in text:
        normal = letter if letter.isascii() else unicodedata.normalize("NFKC", letter)
        if "⁄" in normal:  # a fraction in one letter
            above, _, below = normal.partition("⁄")
            normal = rf"\frac{{{above}}}{{{below}}}" if below else normal
        letters.append(_SIGNS.get(letter) or _SIGNS.get(normal, normal))
    text = _ROOT.sub(lambda found: rf"\sqrt{{{found[1]}}}" if found[1] else r"\sqrt", "".join(letters))
    text = _THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    for pattern, new in _SYNONYMS:
        text = pattern.sub(new, text)
    text = _SPACES.sub(" ", text).strip()
    while text.endswith((".", ",")):
        text = text[:-1].rstrip()
    return _REPEATING.sub(_fraction, text)


def _fraction(found: re.Match[str]) -> str:
    """A repeating decimal as a fraction."""
    whole, once, again = found[1] or "0", found[2], found[3]
    if len(whole + once + again) > 300:
        raise NoAnswer(TOO_LARGE)
    below = (10 ** len(again) - 1) * 10 ** len(once)
    return rf"\frac{{{int(whole + once + again) - int(whole + once)}}}{{{below}}}"


def integer(text: str) -> str | None:
    """A whole number in its one form; None if `text` (unified) is none."""
    found = INTEGER.fullmatch(text)
    if found is None or not text.isascii():
        return None
    digits = found[2].lstrip("0") or "0"
    return f"-{digits}" if found[1] == "-" and digits != "0" else digits


# --- tokens ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\\text\s*\{[^{}]*\}|\\begin\{([a-z]+\*?)\}.*?\\end\{\1\}|\\mathbb\s*\{?\s*[A-Z]\s*\}?|\\[a-zA-Z]+|\\."
    r"|\d+(?:\.\d+)?|\.\d+|[a-zA-Z]+|\s+|.",
    re.DOTALL,
)
_OPEN = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_CLOSE = {*_OPEN.values()}
_RELATIONS = {"<", ">", r"\le", r"\ge", r"\ne", r"\equiv", r"\sim", r"\mid", r"\subset", r"\to", r"\implies", r"\iff"}
_SETS = {r"\cup", r"\cap", r"\setminus", r"\backslash"}
_FUNCTIONS = {
    *("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
    *("log", "ln", "lg", "exp", "gcd", "lcm", "max", "min", "det", "lim"),
}
_SYMBOLS = {"pi", "theta", "alpha", "beta", "gamma", "delta", "lambda", "infty", "sqrt"}
_UNITS = {
    *("cm", "km", "mm", "nm", "kg", "mg", "ml", "mL", "kJ", "kW", "Hz", "Pa", "ft", "in", "lb", "lbs", "oz", "yd"),
    *("mi", "hr", "hrs", "min", "mins", "sec", "secs", "mph", "kmh", "kph", "rpm", "eV", "keV", "MeV", "mol", "dB"),
}
"""Those that stand right after a number; after a blank any word of three letters is one."""


def _tokens(text: str) -> list[str]:
    return [" " if token.group().isspace() else token.group() for token in _TOKEN.finditer(text)]


def _joined(tokens: Sequence[str]) -> str:
    """LaTeX again; commands and letters must not run into the letters after them."""
    out = ""
    for token in tokens:
        out += " " if token[:1].isalpha() and out[-1:].isalpha() else ""
        out += token
    return out.strip()


def _split(tokens: Sequence[str], marks: set[str]) -> list[list[str]]:
    """Cut at `marks` outside of all brackets."""
    found: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            depth -= 1
        if depth == 0 and token in marks:
            found.append([])
        else:
            found[-1].append(token)
    return found


def _top(tokens: Sequence[str]) -> set[str]:
    """The tokens outside of all brackets."""
    found, depth = set(), 0
    for token in tokens:
        depth -= token in _CLOSE
        if depth == 0:
            found.add(token)
        depth += token in _OPEN
    return found


def _match(tokens: Sequence[str], start: int) -> int:
    """Where the bracket opened at `start` is closed; `[0,1)` is closed by another than it was opened."""
    depth = 0
    for place in range(start, len(tokens)):
        if tokens[place] in _OPEN:
            depth += 1
        elif tokens[place] in _CLOSE:
            depth -= 1
            if depth == 0:
                return place
    raise NoAnswer(UNREADABLE)


def _stripped(tokens: Sequence[str]) -> list[str]:
    found = list(tokens)
    while found and found[-1] == " ":
        found.pop()
    while found and found[0] == " ":
        found.pop(0)
    return found


# --- forms ----------------------------------------------------------------------------------------------------------

_AND = re.compile(r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}|and|or")


def read(text: str) -> Form:
    """What `text` is. Raises NoAnswer with the reason if it is no answer."""
    text = unified(text)
    if _COMMAS.search(text) and not re.search(r"\\\{|[(\[]", text):
        text = _COMMAS.sub(lambda found: found[0].replace(",", ""), text)
    if number := _SCIENTIFIC.fullmatch(text):  # in LaTeX the e would be Euler's number
        return Form("value", rf"{number[1]} \times 10^{{{number[2]}}}")
    tokens = _tokens(text)
    depth = 0
    for token in tokens:
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth > MAX_DEPTH:
            raise NoAnswer(UNREADABLE)
    try:
        return _listed(tokens, text)
    except RecursionError:  # commands without braces nest as well, as in \sqrt\sqrt 2
        raise NoAnswer(UNREADABLE) from None


def _listed(tokens: list[str], text: str) -> Form:
    cut = ["," if _AND.fullmatch(token) else token for token in tokens]
    elements = [_stripped(part) for part in _split(cut, {",", ";"})]
    if len(elements) > 1:  # `1, 2, and 3`
        spare = [index for index, token in enumerate(tokens) if _AND.fullmatch(token)]
        elements = [part for part in elements if part or not spare]
    forms = [form for part in elements for form in _both_signs(part)]
    return forms[0] if len(forms) == 1 else Form("list", text, parts=tuple(forms))


def _both_signs(tokens: list[str]) -> list[Form]:
    if r"\pm" not in tokens:
        return [_element(tokens)]
    signs = ({r"\pm": "+", r"\mp": "-"}, {r"\pm": "-", r"\mp": "+"})
    return [_element([sign.get(token, token) for token in tokens]) for sign in signs]


_BASE = re.compile(r"(\d[0-9A-Fa-f]*|[A-F][0-9A-F]+)\s*_\s*(?:\{\s*(?:\\text\s*\{)?\s*(\w+)\s*\}?\s*\}|(\d))")
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}
_TIME = re.compile(r"(\d{1,2})(?:\s*:\s*(\d{2}))?\s*(?:\\text\s*\{\s*)?(?:([ap])\.?\s?m\.?)?\s*\}?", re.IGNORECASE)


def _element(tokens: list[str]) -> Form:
    tokens = _stripped(tokens)
    if tokens[:1] == ["+"]:
        tokens = _stripped(tokens[1:])
    text = _joined(tokens)
    if not text:
        raise NoAnswer(UNREADABLE)
    if base := _BASE.fullmatch(text):
        written = base[2] or base[3]
        return Form("base", text, f"{base[1].lstrip('0').upper() or '0'}_{_BASES.get(written, written)}")
    if (time := _TIME.fullmatch(text)) and (time[2] or time[3]) and int(time[2] or 0) < 60:
        return Form("time", text, f"{int(time[1])}:{time[2] or '00'}{(time[3] or '').lower()}")
    top = _top(tokens)
    if r"\approx" in top:  # the exact value first, then a decimal
        first, *rest = _split(tokens, {r"\approx"})
        return _element(rest[-1] if _name(first) else first)
    if r"\in" in top:
        first, *rest = _split(tokens, {r"\in"})
        return _element(rest[0]) if _name(first) and len(rest) == 1 else Form("other", _value(tokens))
    if top & _RELATIONS:
        return Form("other", _value(tokens))
    if "=" in top:
        return _equation(_split(tokens, {"="}), tokens)
    if tokens[0] in _OPEN and _match(tokens, 0) == len(tokens) - 1:
        return _bracket(tokens, text)
    if top & _SETS or any(token.startswith((r"\mathbb", r"\begin")) for token in tokens):
        return Form("other", _value(tokens))
    if text == r"\emptyset":
        return Form("set", text)
    if ":" in top:
        parts = [_element(part) for part in _split(tokens, {":"})]
        if len(parts) == 2:
            return Form("value", rf"\frac{{{parts[0].latex}}}{{{parts[1].latex}}}")
        last = parts[-1].latex
        return Form("ratio", text, parts=tuple(Form("value", rf"\frac{{{p.latex}}}{{{last}}}") for p in parts[:-1]))
    return _worded(tokens)


def _bracket(tokens: list[str], text: str) -> Form:
    opened, closed, inner = tokens[0], tokens[-1], tokens[1:-1]
    if opened in (r"\lfloor", r"\lceil"):
        return Form("value", _value(tokens))
    if opened == r"\{" and closed == r"\}":
        first, *rest = _split(inner, {":", "|", r"\mid"})
        if rest:  # the condition says as much
            return _element(rest[0]) if _name(first) and len(rest) == 1 else Form("other", _value(tokens))
        if not _joined(inner):
            return Form("set", r"\emptyset")
        inside = _listed(inner, _joined(inner))
        return Form("set", text, parts=inside.parts if inside.kind == "list" else (inside,))
    if opened == "{":
        return _element(inner)
    inside = _listed(inner, _joined(inner))
    if inside.kind == "list":
        return Form("group", text, opened + closed, inside.parts)
    if opened + closed not in ("()", "[]"):
        raise NoAnswer(UNREADABLE)
    return inside


_GREEK = r"\\(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|varphi|omega|Delta|Omega|ell)"
_NAME = re.compile(
    rf"\|?(?:\\(?:angle|triangle|overline|vec|hat|bar|mathbf|operatorname)\s*)?"
    rf"(?:\{{[A-Za-z]+\}}|\\text\{{[A-Za-z .']+\}}|[A-Za-z]|[A-Z]{{2,}}|[a-z]{{3,}}|{_GREEK})"
    rf"(?:_\s*(?:\w|\{{[^{{}}]*\}}))?\s*'*\s*(?:\([^()]*\))?\|?"
)


def _name(tokens: Sequence[str]) -> str | None:
    """The variable (or the variables, in brackets) that one side of an equation is; None if it is none."""
    text = re.sub(r"\s+", " ", _joined(tokens))
    if _NAME.fullmatch(text):
        return re.sub(r"\\text\{([^{}]*)\}", r"\1", text).replace(" ", "")
    if text[:1] == "(" and text[-1:] == ")":
        inside = text[1:-1].split(",")
        if len(inside) > 1 and all(_NAME.fullmatch(one.strip()) for one in inside):
            return text.replace(" ", "")
    return None


def _equation(sides: list[list[str]], tokens: list[str]) -> Form:
    for place in (0, -1):
        name = _name(sides[place])
        if name is not None:
            rest = sides[1:] if place == 0 else sides[:-1]
            return Form("named", _value(tokens), name, tuple(_element(side) for side in rest))
    return Form("equation", _value(tokens))


# --- words and units ------------------------------------------------------------------------------------------------

_POWER = re.compile(r"\^\s*(?:\{\s*-?\d\s*\}|\d)$")


def _worded(tokens: list[str]) -> Form:
    tokens = [_command(token) for token in tokens]
    body = _without_unit(tokens)
    words = [token for token in body if token.startswith(r"\text")]
    plain = _joined(body)
    if len(words) == 1 and len(body) == 1:
        content = _plain(words[0])
        if re.search(r"\d", content) and not re.search("[a-z]", content):  # \textbf{7}
            return _element(_tokens(content))
        return Form("value", content) if re.fullmatch("[A-Za-z]", content) else Form("words", plain, content)
    if words or _is_words(body):
        return Form("words", plain, _plain(plain))
    if len(body) > 2 and "".join(body[-2:]).replace(" ", "") == r"^\circ" and not _trigonometric(body):
        return Form("degrees", _value(body[:-2]))
    return Form("value", _value(_radians(body)))


def _command(token: str) -> str:
    if token in _FUNCTIONS or token in _SYMBOLS:
        return "\\" + token
    return r"\infty" if token in ("infinity", "inf") else token


def _without_unit(tokens: list[str]) -> list[str]:
    """`tokens` without the unit after a number: text with its power, or a plain word after a blank."""
    found = list(tokens)
    while True:
        text = _joined(found)
        end = len(found)
        if power := _POWER.search(text):
            while end and len(_joined(found[: end - 1])) >= power.start():
                end -= 1
        body = _stripped(found[:end])
        if not body:
            return found
        last, before = body[-1], _stripped(body[:-1])
        unit = last.startswith(r"\text") or (
            last.isalpha() and (last in _UNITS or (len(last) > 2 and len(body) > 1 and body[-2] == " "))
        )
        if not unit or not before or not re.search(r"[\d}!]$|\\pi$|\\circ$", _joined(before)):
            return found
        if any(token.startswith(r"\text") for token in before) and not before[-1].startswith(r"\text"):
            return found
        found = before


def _is_words(tokens: Sequence[str]) -> bool:
    runs = [token for token in tokens if token.isalpha()]
    if all(token.isalpha() or token in " -'?!.()" for token in tokens):
        return any(len(run) > 2 or (len(run) == 2 and run != run.lower()) for run in runs)
    spaced = {"", " "}
    return any(
        len(token) > 2
        and token.isalpha()
        and (tokens[place - 1] if place else "") in spaced
        and (tokens[place + 1] if place + 1 < len(tokens) else "") in spaced
        for place, token in enumerate(tokens)
    )


def _plain(text: str) -> str:
    """Words without LaTeX around them: what is compared. One letter keeps its case."""
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text)
    text = re.sub(r"\s+", " ", text.replace("\\", " ")).strip(" .,;:!?")
    if text[:1] == "(" and text[-1:] == ")":
        text = text[1:-1].strip()
    return text if len(text) == 1 else text.casefold()


def _trigonometric(tokens: Sequence[str]) -> bool:
    return any(token[:1] == "\\" and token[1:] in _FUNCTIONS for token in tokens)


def _radians(tokens: list[str]) -> list[str]:
    r"""`\sin 30^\circ` as `\sin (30\cdot\frac{\pi}{180})`."""
    return _tokens(re.sub(r"(\d+(?:\.\d+)?)\s*\^\s*\\circ", r"(\1\\cdot \\frac{\\pi}{180})", _joined(tokens)))


# --- products -------------------------------------------------------------------------------------------------------

Factor = Literal["number", "literal", "fraction", "factor", "group", "symbol", "open"]
_TWO = {r"\frac", r"\binom"}
_SYMBOL = re.compile(r"[a-zA-Z]+|\\(?!frac|binom|sqrt|cdot|times|div|pm|mp|ldots|pmod|bmod|mod|circ|%)[a-zA-Z]+")
MAX_BINOMIAL = 7
"""Digits in a binomial coefficient, beyond which it is not computed."""


def _value(tokens: Sequence[str]) -> str:
    """LaTeX with every product of numbers and brackets written out. Raises NoAnswer for juxtaposed numbers."""
    items = [token for token in tokens if token != " "]
    out: list[str] = []
    before: Factor = "open"
    place = 0
    while place < len(items):
        token = items[place]
        kind, latex, after = _factor(items, place)
        if token in ("^", "_"):  # what was a plain number before is none any more
            out.append(token + latex)
            before = before if before in ("symbol", "open") else "factor"
        elif token in ("!", r"\%", "'") or (token == r"\circ" and out):
            out.append(latex)
            before = before if before == "symbol" else "factor"
        elif before == "number" and kind == "number" and (mixed := _mixed(items, place)):
            out[-1] = f"({out[-1]}+{mixed})"
            before, after = "group", place + 3
        elif before == "number" and kind == "fraction":
            if not (out[-1].isdigit() and _proper(latex)):
                raise NoAnswer(JUXTAPOSED)
            out[-1] = f"({out[-1]}+{latex})"
            before = "group"
        else:
            if not (before == "factor" and items[after : after + 1] in (["^"], ["!"])):  # 2^3 3^2 and 5!5! are products
                _refuse(before, kind)
            if kind in ("literal", "fraction", "factor", "group", "number") and before not in ("open", "symbol"):
                out.append(r"\cdot ")
            out.append(latex)
            before = kind
        place = after
    return _joined(out)


def _refuse(before: Factor, kind: Factor) -> None:
    plain = ("number", "literal", "fraction")
    if (before in plain and kind in plain) or (before == "factor" and kind == "number"):
        raise NoAnswer(JUXTAPOSED)


def _proper(latex: str) -> bool:
    found = re.fullmatch(r"\\frac\{(\d{1,9})\}\{(\d{1,9})\}", latex)
    return found is not None and 0 < int(found[1]) < int(found[2])


def _mixed(items: list[str], place: int) -> str | None:
    """The fraction of `2 1/2`, in LaTeX."""
    if len(items) < place + 3 or items[place + 1] != "/" or not items[place - 1].isdigit():
        return None
    latex = rf"\frac{{{items[place]}}}{{{items[place + 2]}}}"
    return latex if _proper(latex) else None


def _factor(items: list[str], place: int) -> tuple[Factor, str, int]:
    """What begins at `place`: its class, LaTeX, and where it ends."""
    token = items[place]
    if token in ("^", "_"):
        latex, after = _argument(items, place + 1)
        return "open", latex, after
    if re.fullmatch(r"\d+(?:\.\d+)?|\.\d+", token):
        return "number", token if token[0] != "." else f"0{token}", place + 1
    if token in _OPEN:
        end = _match(items, place)
        inner = _value(items[place + 1 : end])
        literal = re.fullmatch(r"[-+]?\d+(?:\.\d+)?", inner) is not None
        return "literal" if literal else "group", f"{token}{inner}{items[end]}", end + 1
    if token == "|" and "|" in items[place + 1 :]:
        end = items.index("|", place + 1)
        inner = _value(items[place + 1 : end])
        return "literal" if re.fullmatch(r"[-+]?\d+(?:\.\d+)?", inner) else "group", f"|{inner}|", end + 1
    if token in _TWO:
        return _two(items, place)
    if token == r"\sqrt":
        index, place = "", place + 1
        if items[place : place + 1] == ["["]:
            end = _match(items, place)
            index, place = f"[{_value(items[place + 1 : end])}]", end + 1
        latex, after = _argument(items, place)
        return "factor", rf"\sqrt{index}{latex}", after
    if token[:1] == "\\" and token[1:] in _FUNCTIONS:
        return "open", token, place + 1
    if _SYMBOL.fullmatch(token):
        if token[0] == "\\" and items[place + 1 : place + 2] == ["{"]:
            end = _match(items, place + 1)
            return "symbol", "".join(items[place : end + 1]), end + 1
        return "symbol", token, place + 1
    return "open", token, place + 1


def _two(items: list[str], place: int) -> tuple[Factor, str, int]:
    token = items[place]
    both = items[place + 1 : place + 2]
    if both and re.fullmatch(r"\d{2}", both[0]):  # \frac12
        one, two, after = f"{{{both[0][0]}}}", f"{{{both[0][1]}}}", place + 2
    else:
        one, after = _argument(items, place + 1)
        two, after = _argument(items, after)
    latex = f"{token}{one}{two}"
    if token == r"\binom":
        if len(re.sub(r"\D", "", latex)) > MAX_BINOMIAL or r"^" in latex:
            raise NoAnswer(TOO_LARGE)
        return "factor", latex, after
    return "fraction" if re.fullmatch(r"\\frac\{-?\d+\}\{-?\d+\}", latex) else "factor", latex, after


def _argument(items: list[str], place: int) -> tuple[str, int]:
    """The argument of a command or a script, in braces; a bracket after `\\sqrt` or `^` is one."""
    if place >= len(items):
        raise NoAnswer(UNREADABLE)
    if items[place] in ("{", "("):
        end = _match(items, place)
        return f"{{{_value(items[place + 1 : end])}}}", end + 1
    if items[place] in ("-", "+") and place + 1 < len(items):
        latex, after = _argument(items, place + 1)
        return f"{{{items[place]}{latex[1:-1]}}}", after
    _, latex, after = _factor(items, place)
    return f"{{{latex}}}", after
