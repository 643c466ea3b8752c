"""Answers of earlier batches: counted as a plain loop would, and none lost between saving and loading."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differential_smoothing.training.answer_counts import AnswerCounts

BATCH = st.lists(
    st.tuples(st.sampled_from(["p", "q", "a\nb", ""]), st.sampled_from(["1", "None", "é", ""])), max_size=6
)


def slow(batches: list[list[tuple[str, str]]]) -> list[list[int]]:
    return [
        [sum(row == other for earlier in batches[:number] for other in earlier) for row in batch]
        for number, batch in enumerate(batches)
    ]


@settings(deadline=None, max_examples=50)
@given(batches=st.lists(BATCH, max_size=6), cut=st.integers(0, 6))
def test_counts_are_of_earlier_batches_also_across_a_resume(
    batches: list[list[tuple[str, str]]], cut: int, tmp_path_factory: object
) -> None:
    folder: Path = tmp_path_factory.mktemp("counts")  # type: ignore[attr-defined]
    counts = AnswerCounts()
    found = []
    for number, batch in enumerate(batches):
        if number == cut:
            counts.save(folder)
            counts = AnswerCounts()
            counts.load(folder)
        found.append(counts.look([prompt for prompt, _ in batch], [answer for _, answer in batch]))
    assert found == slow(batches)


def test_a_resume_that_forgets_is_noticed() -> None:
    counts = AnswerCounts()
    assert counts.look(["p"], ["1"]) == [0]
    assert counts.look(["p"], ["1"]) == [1]
    assert AnswerCounts().look(["p"], ["1"]) == [0]


def test_a_checkpoint_without_counts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no answer_counts\.json; the checkpoint was saved by a method that counts no"
    ):
        AnswerCounts().load(tmp_path)
