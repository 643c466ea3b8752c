"""Countdown in one sentence: the problems, forms and grades of `countdown`, written as people write them."""

from __future__ import annotations

import dataclasses

import pytest

from rl.tasks import countdown
from rl.tasks import countdown_sentence as sentence
from rl.tasks._countdown_parser import canonical, parse

ALL = sentence.CountdownSentenceConfig(
    numbers=3, max_number=10, max_target=40, problems=2250, validation=50, heldout=200, seed=0
)


def test_every_problem_once_and_no_split_shares_one() -> None:
    found = sentence.splits(ALL)
    forms = [form for part in found.values() for one in part for form in sentence.canonical_problem(one)]
    assert len(forms) == len(set(forms)) == 2250, "all that there are"
    assert {name: len(part) for name, part in found.items()} == {"train": 2000, "validation": 50, "heldout": 200}
    with pytest.raises(ValueError, match="only 22"):
        sentence.splits(dataclasses.replace(ALL, problems=2300))


def test_the_question() -> None:
    [asked] = [one for part in sentence.splits(ALL).values() for one in part if one.id == "3-7-8=35"]
    assert asked.prompt == "Make 35 from 3, 7, 8."


def test_solutions_are_those_of_countdown_without_blanks_inside_brackets() -> None:
    one = countdown.problem((3, 7, 8), 35)
    found, plain = sentence.solutions(one), countdown.solutions(one)
    assert found.keys() == plain.keys()
    assert "(8 - 3) * 7" in found["7*(8-3)"]
    for form, texts in found.items():
        assert len(texts) == len(plain[form])
        for text in texts:
            assert "( " not in text
            assert " )" not in text
            assert canonical(parse(text, one.numbers)) == form
            assert sentence.verify(one, text).correct


@pytest.mark.parametrize("text", ["(8 - 3) * 7 = 35", "35", "8 - 3 * 7", "(8 - 3) * 7 or so", ""])
def test_other_texts_are_wrong(text: str) -> None:
    assert sentence.verify(countdown.problem((3, 7, 8), 35), text).correct is False


@pytest.mark.parametrize(
    ("change", "said"), [({"numbers": 6}, "numbers=6"), ({"heldout": 2200}, "problems=2250"), ({"name": "x"}, "'x'")]
)
def test_what_is_not_possible_is_named(change: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(ALL, **change)  # type: ignore[arg-type]
