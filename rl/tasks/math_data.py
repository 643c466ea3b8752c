"""Benchmarks and training sets of mathematics in one form: id, question, answers.

From the Hugging Face hub at a revision that the user names, or from a local JSONL with the same columns. Data is not
trusted: a row that is too long, holds control characters, lacks what it should have, or would end the user's turn in a
chat costs that row, and is counted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rl.settings import nearest
from rl.tasks.math_grading import MAX_ANSWER, boxed

MAX_ROW = 1_000_000
"""Bytes of a line of JSONL; a longer one is skipped without being held in memory."""
MAX_QUESTION = 20_000
"""Characters of a question."""
MAX_SOLUTION = 100_000
"""Characters of a written solution, where the answer is a box in one."""

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."
PLAIN = "Question: {question}\n" + INSTRUCTION + "\nAnswer:"


# By which chat formats begin and end turns. `prompts` refuses a tokenizer's own, whatever they are; these, no question
# of mathematics holds, so they are refused for all.
_MARKS = re.compile(r"<\|[A-Za-z0-9_]{3,40}\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>")


class DataError(ValueError):
    """What was asked for cannot be read; the message is one line."""


class _Refused(ValueError):
    """This row is left out; the message says why."""


def _text(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _Refused("no answer")
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        raise _Refused("answer is no text")
    text = str(value).strip()
    if len(text) > MAX_SOLUTION:
        raise _Refused("answer too long")
    return text


def _whole(value: Any) -> tuple[str, ...]:
    return (_text(value),)


def _listed(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise _Refused("no answer")
    return tuple(map(_text, value))


def _boxed(value: Any) -> tuple[str, ...]:
    found = boxed(_text(value))
    if not found:
        raise _Refused("no boxed answer")
    return (found,)


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
        return normalised(name, _from_hub(name, source, revision))
    if not path.is_file():
        raise DataError(f"{path}: no such file; wanted one JSON object a line with {', '.join(source.columns)}")
    return normalised(name, _lines(path))


def normalised(name: str, rows: Iterable[Mapping[str, Any] | str]) -> Loaded:
    """`rows` in the one form; a text in place of a row says why that row cannot be read.

    Raises DataError where not one row has the data set's columns: then it is another data set.
    """
    source = get(name)
    found = Loaded()
    seen: set[str] = set()
    columns: list[str] | None = None
    for number, row in enumerate(rows):
        try:
            if isinstance(row, str):
                raise _Refused(row)
            if any(column not in row for column in source.columns):
                columns = columns or sorted(map(str, row))
                raise _Refused("columns are missing")
            item = _item(name, source, number, row)
            if item.id in seen:
                raise _Refused("id was there before")
        except _Refused as refusal:
            found.refused[str(refusal)] += 1
            continue
        seen.add(item.id)
        found.items.append(item)
    if not found.items and columns is not None:
        raise DataError(f"{name}: wanted the columns {', '.join(source.columns)}, found {', '.join(columns)[:200]}")
    return found


def _item(name: str, source: Source, number: int, row: Mapping[str, Any]) -> Item:
    question = row[source.question]
    if not isinstance(question, str) or not question.strip():
        raise _Refused("no question")
    if len(question) > MAX_QUESTION:
        raise _Refused("question too long")
    answers = source.answers(row[source.answer])
    if any(len(answer) > MAX_ANSWER for answer in answers):
        raise _Refused("answer too long")
    given = number if source.id is None else row.get(source.id, number)
    if not isinstance(given, str | int) or len(str(given)) > 200:
        raise _Refused("id is no text")
    if any(_control(text) for text in (question, *answers, str(given))):
        raise _Refused("control characters")
    if _MARKS.search(question):
        raise _Refused("marks of a chat")
    return Item(f"{name}/{given}", question.strip(), answers, name)


def _control(text: str) -> bool:
    """Whether `text` holds what no question needs: control characters, directions of writing, half characters."""
    return any(
        (letter not in "\t\n\r" and unicodedata.category(letter) in ("Cc", "Cs"))
        or "\u202a" <= letter <= "\u202e"
        or "\u2066" <= letter <= "\u2069"
        for letter in text
    )


def _lines(path: Path) -> Iterator[Mapping[str, Any] | str]:
    """One row for each line that is not blank; what is wrong with it in place of one that cannot be read."""
    with open(path, "rb") as handle:
        while line := handle.readline(MAX_ROW + 1):
            if len(line) > MAX_ROW:
                while line and not line.endswith(b"\n"):
                    line = handle.readline(MAX_ROW)
                yield "row too long"
                continue
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                yield "no JSON"
                continue
            yield row if isinstance(row, dict) else "no JSON object"


def _from_hub(name: str, source: Source, revision: str | None) -> Iterator[Mapping[str, Any]]:
    revision = revision or source.revision
    if revision is None:
        raise DataError(
            f"{name}: name the commit of {source.repository} to load (data that changes gives results that cannot be "
            "repeated), or give a local JSONL with its columns"
        )
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise DataError(f"{name}: revision {revision!r} is no commit (40 hexadecimal digits); a branch moves")
    from datasets import load_dataset

    try:
        rows = load_dataset(source.repository, source.config, split=source.split, revision=revision)
    except Exception as error:  # of the network, the hub, or the format: many classes, one meaning
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{name}: {source.repository} at {revision} cannot be loaded ({reason[:200]})") from None
    yield from rows


@dataclass
class Prompts:
    """texts: by the item's id. refused: ids of items that hold the tokenizer's own special tokens."""

    texts: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def prompts(items: Iterable[Item], tokenizer: Any, chat: bool) -> Prompts:
    """What the model is given: by the tokenizer's chat template, or plain.

    A question that holds one of the tokenizer's special tokens could end the user's turn and speak as somebody else:
    it is left out. Braces and `{{ }}` in questions are text. Raises DataError if there is no chat template.
    """
    if chat and not getattr(tokenizer, "chat_template", None):
        raise DataError("chat: this tokenizer has no chat template; use plain prompts")
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    special = {*tokenizer.all_special_tokens, *added}
    found = Prompts()
    for item in items:
        if any(token in item.question for token in special):
            found.refused.append(item.id)
        elif chat:
            message = [{"role": "user", "content": f"{item.question}\n{INSTRUCTION}"}]
            found.texts[item.id] = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        else:
            found.texts[item.id] = PLAIN.replace("{question}", item.question)
    return found
