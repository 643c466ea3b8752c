"""How often each answer was given to each prompt over the whole of training; part of a checkpoint."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

FILE = "answer_counts.json"


class AnswerCounts:
    """Counts n(x, o) of answers o by prompt x."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def look(self, prompts: Sequence[str], answers: Sequence[str]) -> list[int]:
        """For each row, how often its answer was given to its prompt in earlier batches; then count this batch."""
        before = [self._counts.get(prompt, Counter())[answer] for prompt, answer in zip(prompts, answers)]
        for prompt, answer in zip(prompts, answers):
            self._counts.setdefault(prompt, Counter())[answer] += 1
        return before

    def save(self, folder: Path) -> None:
        """Write `answer_counts.json` into `folder`."""
        temporary = folder / f".{FILE}.writing"
        temporary.write_text(json.dumps(self._counts), encoding="utf-8")
        os.replace(temporary, folder / FILE)

    def load(self, folder: Path) -> None:
        """Take up what `save` wrote. Raises ValueError if `folder` holds no counts."""
        if not (folder / FILE).exists():
            raise ValueError(
                f"{folder}: no {FILE}; the checkpoint was saved by a method that counts no earlier answers"
            )
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self._counts = {prompt: Counter(counts) for prompt, counts in found.items()}
