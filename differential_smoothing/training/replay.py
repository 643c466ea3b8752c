"""Verified successes of earlier batches, put among the rollouts of a group again; part of a checkpoint."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

from differential_smoothing.rollouts import CORRECT

FILE = "replay.json"
KEPT = 32  # of each prompt, the latest


class ReplayPool:
    """Correct completions by prompt, as token ids, each once. What is drawn depends on seed, batch and prompt alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._batches = 0
        self._found: dict[str, list[list[int]]] = {}

    def draw(self, prompt: Sequence[int], count: int) -> list[list[int]]:
        """`count` different successes of this prompt in earlier batches; all there are, if they are fewer."""
        key = _key(prompt)
        found = self._found.get(key, [])
        return random.Random(f"{self.seed} {self._batches} {key}").sample(found, min(count, len(found)))

    def add(
        self, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], correct: Sequence[int]
    ) -> None:
        """Take the correct rows of a batch; correct: CORRECT, INCORRECT or UNSCORABLE for each."""
        self._batches += 1
        for prompt, completion, code in zip(prompts, completions, correct):
            found = self._found.setdefault(_key(prompt), [])
            if code == CORRECT and list(completion) not in found:
                found.append(list(completion))
                del found[:-KEPT]

    def save(self, folder: Path) -> None:
        """Write `replay.json` into `folder`."""
        temporary = folder / f".{FILE}.writing"
        temporary.write_text(json.dumps({"batches": self._batches, "found": self._found}), encoding="utf-8")
        os.replace(temporary, folder / FILE)

    def load(self, folder: Path) -> None:
        """Take up what `save` wrote. Raises ValueError if `folder` holds no pool."""
        if not (folder / FILE).exists():
            raise ValueError(f"{folder}: no {FILE}; the checkpoint was saved by a method that replays nothing")
        held = json.loads((folder / FILE).read_text(encoding="utf-8"))
        self._batches, self._found = held["batches"], held["found"]


def _key(prompt: Sequence[int]) -> str:
    return " ".join(map(str, prompt))
