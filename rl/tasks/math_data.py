"""Benchmarks and training sets of mathematics in one form: id, question, answers.

From the Hugging Face hub at a revision that the user names, or from a local JSONL with the same columns. Data is not
trusted: a row that is too long, holds control characters, lacks what it should have, would end the user's turn in a
chat, or has an answer that cannot be read or is in several boxes costs that row, and is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repro.names import nearest
from rl.tasks._rows import DataError, Refused, from_hub, holds_control, holds_marks, lines
from rl.tasks.math_grading import MAX_ANSWER, boxes, shared

MAX_QUESTION = 20_000
"""Characters of a question."""
MAX_SOLUTION = 100_000
"""Characters of a written solution, where the answer is a box in one."""

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


def _text(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise Refused("no answer")
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        raise Refused("answer is no text")
    text = str(value).strip()
    if len(text) > MAX_SOLUTION:
        raise Refused("answer too long")
    return text


def _whole(value: Any) -> tuple[str, ...]:
    return (_text(value),)


def _listed(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise Refused("no answer")
    return tuple(map(_text, value))


def _boxed(value: Any) -> tuple[str, ...]:
    found = dict.fromkeys(boxes(_text(value)))
    if not found:
        raise Refused("no boxed answer")
    if len(found) > 1:  # the last may be half an answer, and which ones belong together nobody says
        raise Refused("several boxed answers")
    return tuple(found)


@dataclass(frozen=True)
class Source:
    """Where a data set lies on the hub and which of its columns are what.

    revision: the commit it is pinned to. None: nobody of this project has seen which one is right, so whoever loads it
    names one.
    rows: how many there are, where that is certain.
    """

    repository: str
    split: str
    question: str
    answer: str
    config: str | None = None
    id: str | None = None
    answers: Callable[[Any], tuple[str, ...]] = _whole
    rows: int | None = None
    revision: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that every row must have."""
        return tuple(dict.fromkeys((self.question, self.answer)))


BENCHMARKS: dict[str, Source] = {
    "math500": Source("HuggingFaceH4/MATH-500", "test", "problem", "answer", id="unique_id", rows=500),
    "aime24": Source("math-ai/aime24", "test", "problem", "solution", id="id", answers=_boxed, rows=30),
    "aime25": Source("math-ai/aime25", "test", "problem", "answer", id="id", rows=30),
    "amc23": Source("math-ai/amc23", "test", "question", "answer", id="id", rows=40),
    "olympiadbench": Source(
        "Hothan/OlympiadBench",
        "train",
        "question",
        "final_answer",
        config="OE_TO_maths_en_COMP",
        id="id",
        answers=_listed,
        rows=674,
    ),
    "minerva": Source("math-ai/minervamath", "test", "question", "answer", rows=272),
}
TRAINING: dict[str, Source] = {
    "math": Source("DigitalLearningGmbH/MATH-lighteval", "train", "problem", "solution", answers=_boxed, rows=7500),
    # English part, without the repetitions of the original: the size of the paper's "DAPO-14k"
    "dapo": Source("open-r1/DAPO-Math-17k-Processed", "train", "prompt", "solution", config="en"),
    "deepscaler": Source("agentica-org/DeepScaleR-Preview-Dataset", "train", "problem", "answer"),
}
SOURCES: dict[str, Source] = {**BENCHMARKS, **TRAINING}


def get(name: str) -> Source:
    """The data set called `name`. Raises DataError with the nearest name."""
    if name not in SOURCES:
        raise DataError(f"data={name!r}: no such data set{nearest(name, SOURCES)}")
    return SOURCES[name]


@dataclass(frozen=True)
class Item:
    """A problem: `id` is unique and begins with the data set's name; any of `answers` is right."""

    id: str
    question: str
    answers: tuple[str, ...]
    benchmark: str


@dataclass
class Loaded:
    """refused: how many rows were left out, by reason."""

    items: list[Item] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def load(name: str, path: Path | None = None, revision: str | None = None) -> Loaded:
    """The data set `name`: from the JSONL `path` if given, else from the hub at `revision` (a commit).

    Raises DataError if there is no such data set or file, the file has not its columns, or no revision is known.
    """
    source = get(name)
    if path is None:
        commit = revision or source.revision
        return normalized(name, from_hub(name, source.repository, source.config, source.split, commit))
    if not path.is_file():
        raise DataError(f"{path}: no such file; wanted one JSON object a line with {', '.join(source.columns)}")
    return normalized(name, lines(path))


def normalized(name: str, rows: Iterable[Mapping[str, Any] | str]) -> Loaded:
    """`rows` in the one form; a text in place of a row says why that row cannot be read.

    A row none of whose answers the grader can read is left out: nothing compared with it would be scored. Raises
    DataError where not one row has the data set's columns: then it is another data set.
    """
    source = get(name)
    found = Loaded()
    seen: set[str] = set()
    columns: list[str] | None = None
    for number, row in enumerate(rows):
        try:
            if isinstance(row, str):
                raise Refused(row)
            if any(column not in row for column in source.columns):
                columns = columns or sorted(map(str, row))
                raise Refused("columns are missing")
            item = _item(name, source, number, row)
            if item.id in seen:
                raise Refused("id was there before")
        except Refused as refusal:
            found.refused[str(refusal)] += 1
            continue
        seen.add(item.id)
        found.items.append(item)
    readable = shared().readable([item.answers for item in found.items])
    if unread := readable.count(False):
        found.refused["answer cannot be parsed"] = unread
    found.items = [item for item, good in zip(found.items, readable) if good]
    if not found.items and columns is not None:
        raise DataError(f"{name}: wanted the columns {', '.join(source.columns)}, found {', '.join(columns)[:200]}")
    return found


def _item(name: str, source: Source, number: int, row: Mapping[str, Any]) -> Item:
    question = row[source.question]
    if not isinstance(question, str) or not question.strip():
        raise Refused("no question")
    if len(question) > MAX_QUESTION:
        raise Refused("question too long")
    answers = source.answers(row[source.answer])
    if any(len(answer) > MAX_ANSWER for answer in answers):
        raise Refused("answer too long")
    given = number if source.id is None else row.get(source.id, number)
    if not isinstance(given, str | int) or len(str(given)) > 200:
        raise Refused("id is no text")
    if any(holds_control(text) for text in (question, *answers, str(given))):
        raise Refused("control characters")
    if holds_marks(question):
        raise Refused("marks of a chat")
    return Item(f"{name}/{given}", question.strip(), answers, name)
