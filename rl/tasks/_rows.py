"""Rows of data that nobody vouches for, from a local JSONL or from the hub at one commit.

A row that cannot be read, is too long, or holds control characters or the marks of a chat costs that row and no more;
it is counted, and said.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_ROW = 1_000_000
"""Bytes of a line of JSONL; a longer one is skipped without being held in memory."""

# By which chats begin and end turns. `render_prompts` (rl.models.pretrained) refuses a tokenizer's own, whatever they
# are; no question holds these, so they are refused for all.
_MARKS = re.compile(r"<\|[A-Za-z0-9_]{3,40}\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>")


class DataError(ValueError):
    """What was asked for cannot be read; the message is one line."""


class Refused(ValueError):
    """This row is left out; the message says why."""


@dataclass(frozen=True)
class Data:
    """A data set as an experiment names it: a JSONL, else the hub's at a commit. setting: where the YAML says which."""

    repository: str
    file: str | None
    revision: str | None
    setting: str

    def problem(self) -> str | None:
        """Why it cannot be loaded, as far as that shows without the network; None if it does not."""
        if self.file is not None:
            return None if Path(self.file).is_file() else f"no file {self.file}"
        if self.revision is None:
            return f"{self.setting} names no commit"
        return None if is_commit(self.revision) else f"{self.setting}: {self.revision!r} is no commit"


def is_commit(revision: str) -> bool:
    """Whether `revision` is 40 hexadecimal digits: a branch or a tag moves."""
    return re.fullmatch("[0-9a-f]{40}", revision) is not None


def lines(path: Path) -> Iterator[Mapping[str, Any] | str]:
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


def from_hub(
    name: str, repository: str, config: str | None, split: str, revision: str | None
) -> Iterator[Mapping[str, Any]]:
    """The rows of `repository` at the commit `revision`; `name` is what messages call it. Raises DataError."""
    if revision is None:
        raise DataError(
            f"{name}: name the commit of {repository} to load (data that changes gives results that cannot be "
            "repeated), or give a local JSONL with its columns"
        )
    if not is_commit(revision):
        raise DataError(f"{name}: revision {revision!r} is no commit (40 hexadecimal digits); a branch moves")
    from datasets import load_dataset

    try:
        rows = load_dataset(repository, config, split=split, revision=revision)
    except Exception as error:  # of the network, the hub, or the format: many classes, one meaning
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{name}: {repository} at {revision} cannot be loaded ({reason[:200]})") from None
    yield from rows


def holds_control(text: str) -> bool:
    """Whether `text` holds what no question needs: control characters, directions of writing, half characters."""
    return any(
        (letter not in "\t\n\r" and unicodedata.category(letter) in ("Cc", "Cs"))
        or "\u202a" <= letter <= "\u202e"
        or "\u2066" <= letter <= "\u2069"
        for letter in text
    )


def holds_marks(text: str) -> bool:
    """Whether `text` holds what begins or ends a turn in a usual chat format."""
    return _MARKS.search(text) is not None


_left_out: dict[str, dict[str, int]] = {}


def left_out() -> dict[str, dict[str, int]]:
    """What was refused in this process so far, for manifests: data set, or its answers → reason → how many."""
    return {what: dict(refused) for what, refused in _left_out.items()}


def count_left_out(what: str, reason: str) -> None:
    """Count one more of `what` that was left out for `reason`, for manifests."""
    refused = _left_out.setdefault(what, {})
    refused[reason] = refused.get(reason, 0) + 1


def say_left_out(what: str, kept: int, refused: Mapping[str, int], unit: str = "rows") -> None:
    """One line on standard error if any were refused: how many, by reason; of several processes the first speaks."""
    lost = sum(refused.values())
    if lost:
        _left_out[what] = dict(refused)
    if lost and int(os.environ.get("RANK", "0")) == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(refused).most_common())
        print(f"{what}: {lost} of {lost + kept} {unit} left out: {reasons}", file=sys.stderr)
