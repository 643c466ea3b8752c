"""What an answer is: a table of pairs with the reason for each, and a reader that takes any text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl.tasks import answers
from rl.tasks.answers import NoAnswer, integer, read
from rl.tasks.math_grading import Grader, at_sight

TABLE = Path(__file__).with_name("grading_pairs.tsv")
"""gold, answer, verdict (right or wrong), known (where the grader does not say so), reason; no quoting."""


def pairs() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader() as made:
        yield made


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        pytest.param(
            row["gold"],
            row["answer"],
            row["verdict"] == "right",
            id=f"{number}: {row['reason']}",
            marks=[pytest.mark.xfail(strict=True, reason=row["reason"])] if row["known"] else [],
        )
        for number, row in enumerate(pairs(), 2)
    ],
)
def test_pairs(grader: Grader, gold: str, answer: str, right: bool) -> None:
    [grade] = grader.grade([([gold], f"Hence $\\boxed{{{answer}}}$.")])
    assert grade.correct is right, grade


def test_the_table_is_large_and_says_why() -> None:
    rows = pairs()
    assert len({(row["gold"], row["answer"]) for row in rows}) == len(rows) >= 150
    assert {row["verdict"] for row in rows} == {"right", "wrong"}
    assert min(sum(row["verdict"] == verdict for row in rows) for verdict in ("right", "wrong")) >= 75
    assert {row["known"] for row in rows} == {"", "known"}
    assert all(row["reason"] for row in rows)


PIECES = [
    *(
        "1",
        "2",
        "30",
        "x",
        "ab",
        "cat",
        "and",
        " ",
        "+",
        "-",
        "=",
        "<",
        ":",
        ",",
        ";",
        ".",
        "!",
        "|",
        "/",
        "%",
        "_",
        "^",
    ),
    *("(", ")", "[", "]", "{", "}", r"\{", r"\}", r"\frac", r"\sqrt", r"\binom", r"\pm", r"\text{cm}", r"\overline{3}"),
    *(
        r"\cdot",
        r"\circ",
        r"\pi",
        r"\sin",
        r"\cup",
        r"\in",
        r"\approx",
        r"\le",
        "√",
        "½",
        "²",
        "°",
        "１",
        r"\left",
        "\\",
    ),
]


@settings(deadline=None, max_examples=1000)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        form = read(text)
    except NoAnswer as error:
        refusal = str(error)
    else:
        refusal = ""
        assert json.loads(json.dumps(asdict(form)))["latex"] == form.latex
    assert refusal in ("", answers.JUXTAPOSED, answers.UNREADABLE, answers.TOO_LARGE)


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from([" ", "(", r"\ ", r"\left(", "{", r"\quad "]))
def test_two_numbers_side_by_side_are_none(one: int, two: int, between: str) -> None:
    end = {"(": ")", r"\left(": r"\right)", "{": "}"}.get(between, "")
    with pytest.raises(NoAnswer, match="no number"):
        read(f"{one}{between}{two}{end}")


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(0, 3))
def test_whole_numbers_are_compared_at_sight(number: int, zeros: int) -> None:
    written = f"{'-' if number < 0 else ''}{'0' * zeros}{abs(number)}"
    assert integer(written) == str(number)
    assert at_sight([str(number)], written) == "correct"
    assert at_sight([str(number + 1)], written) == "wrong"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2000 + "1" + ")" * 2000,
        r"\sqrt{" * 600 + "2" + "}" * 600,
        r"\sqrt" * 700 + "2",
        "2" + "^-" * 1900 + "2",
        r"\frac" * 700 + "1" * 900,
        "x" + "_" * 3900,
    ],
)
def test_what_nests_without_end_is_refused(text: str) -> None:
    with pytest.raises(NoAnswer, match="unparsed"):
        read(text)
