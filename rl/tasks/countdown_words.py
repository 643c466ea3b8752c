"""Countdown put in words, for models of language: problems of a public data set, the answer in tags.

A problem is a multiset of three or four numbers and a target, and the rule is that of the task `countdown`: every
number exactly once, + − × ÷ and brackets, exact rationals. Whether a row can be solved is not examined. Completions are
prose, so solutions cannot be listed as strings, and evaluation is by sampling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rl.tasks import countdown
from rl.tasks._rows import Data, DataError, Refused, from_hub, lines, say_left_out
from rl.tasks.base import GradeResult, Task
from rl.tasks.countdown import Problem, canonical_problem

COLUMNS = ("nums", "target")
MAX_NUMBER = 9999
"""Of the numbers and of the target."""

# The paper's wording is not known: this one is ours.
PROMPT = (
    "Make {target} from the numbers {numbers}. Use every one of them exactly once, with +, -, *, / and brackets, and "
    "no other number. Think step by step first. Then give the expression alone in answer tags, "
    "like this: <answer>(1 + 2) * 3</answer>"
)
_OPEN, _CLOSE = "<answer>", "</answer>"
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-"})


@dataclass(frozen=True)
class CountdownWordsConfig:
    """Which rows are problems, and how they are split."""

    data: str
    """Its name on the hub; every row has the columns nums and target."""
    train: int
    """Problems to train on."""
    heldout: int
    seed: int
    """Of the order in which problems are dealt out, the held-out ones first."""
    file: str | None = None
    """A local JSONL in place of the hub."""
    revision: str | None = None
    """Commit on the hub."""
    name: str = "countdown-words"

    def __post_init__(self) -> None:
        if self.name != "countdown-words":
            raise ValueError(f"name={self.name!r}: this task is called countdown-words")
        if not self.data:
            raise ValueError("data: the name of a data set is needed")
        for field in ("train", "heldout"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)}: must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative")


def data(config: CountdownWordsConfig) -> list[Data]:
    """The data set that `splits` reads."""
    return [Data(config.data, config.file, config.revision, "task.revision")]


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{what} not whole")
    if not 1 <= value <= MAX_NUMBER:
        raise Refused(f"{what} not within 1 and {MAX_NUMBER}")
    return value


def _problem(row: Mapping[str, Any] | str) -> Problem:
    """The problem of a row; a text in its place says why that row cannot be read. Raises Refused."""
    if isinstance(row, str):
        raise Refused(row)
    if any(column not in row for column in COLUMNS):
        raise Refused("columns missing")
    nums = row["nums"]
    if not isinstance(nums, list) or not 3 <= len(nums) <= 4:
        raise Refused("nums no list of three or four")
    numbers = tuple(sorted(_whole(value, "numbers") for value in nums))
    bare = countdown.problem(numbers, _whole(row["target"], "target"))
    shown = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
    return Problem(bare.id, PROMPT.format(target=bare.target, numbers=shown), numbers, bare.target)


def normalized(rows: Iterable[Mapping[str, Any] | str]) -> tuple[dict[str, Problem], dict[str, int]]:
    """The distinct problems of `rows` by id in the order of the rows, and how many rows were left out, by reason."""
    problems: dict[str, Problem] = {}
    refused: dict[str, int] = {}
    for row in rows:
        try:
            found = _problem(row)
            if found.id in problems:
                raise Refused("there before")
        except Refused as refusal:
            refused[str(refusal)] = refused.get(str(refusal), 0) + 1
            continue
        problems[found.id] = found
    return problems, refused


@cache
def _problems(config: CountdownWordsConfig) -> tuple[Problem, ...]:
    if config.file is None:
        rows: Iterable[Mapping[str, Any] | str] = from_hub(
            config.name, config.data, None, "train", config.revision
        )  # the data set has no other split
    elif not Path(config.file).is_file():
        raise DataError(f"{config.file}: no such file; wanted one JSON object a line with {', '.join(COLUMNS)}")
    else:
        rows = lines(Path(config.file))
    problems, refused = normalized(rows)
    say_left_out(config.data, len(problems), refused)
    if len(problems) < config.train + config.heldout:
        raise DataError(
            f"train={config.train}, heldout={config.heldout}: {config.file or config.data} holds only "
            f"{len(problems)} distinct problems"
        )
    return tuple(problems.values())


def splits(config: CountdownWordsConfig) -> dict[str, list[Problem]]:
    """`train` and `heldout`, no two of which hold the same problem (`canonical_problem`): random parts of all problems.

    `heldout` does not depend on `config.train`.

    `validation` is empty. Raises DataError if the data cannot be read or holds too few problems.
    """
    problems = _problems(config)
    order = np.random.default_rng(config.seed).permutation(len(problems)).tolist()
    heldout, train = order[: config.heldout], order[config.heldout : config.heldout + config.train]
    return {
        "train": [problems[index] for index in train],
        "validation": [],
        "heldout": [problems[index] for index in heldout],
    }


def answer(text: str) -> str | None:
    """What stands in the last `<answer>` that is closed; None if there is none. Time is linear in the text's length."""
    begin = text.rfind(_OPEN, 0, max(text.rfind(_CLOSE), 0))
    if begin < 0:
        return None
    return text[begin + len(_OPEN) : text.index(_CLOSE, begin)].strip()


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether the answer of `completion` makes the target; canonical forms are those of `countdown`.

    The signs × ÷ − are taken as * / -, and `= target` may follow the expression, with the problem's own target.
    """
    found = answer(completion)
    if found is None:
        return GradeResult(False, None, "no answer")
    expression = re.sub(rf"=\s*{problem.target}\Z", "", found.translate(_SIGNS))
    return countdown.verify(problem, expression)


TASK = Task(config=CountdownWordsConfig, splits=splits, canonical_problem=canonical_problem, verify=verify, data=data)
