"""Answers in `\\boxed{}`, compared by math-verify in worker processes: no text, however made, can stop a run.

A worker that hangs is killed after `seconds` and one that dies is replaced; either costs the one answer it was at.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAX_ANSWER = 4_000
"""Characters of an answer; a longer one is wrong. It bounds what a worker is given to read."""
MAX_TEXT = 1_000_000
"""Characters of a completion; in a longer one no answer is looked for."""
REMEMBERED = 1 << 16
STARTING = 120.0  # seconds a worker may take to load

_WORKER = Path(__file__).with_name("_math_worker.py")
# `\\.` takes escaped braces and the line break `\\` out of the count.
_MARK = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:(?P<open>\{)|(?P<bare>[^\s{}\\$]+))|\\.|[{}]", re.DOTALL)


def boxed(text: str) -> str | None:
    """The content of the last `\\boxed{}` (or `\\fbox{}`) opened among those that are closed; None if there is none.

    Braces nest; of a box in a box the inner one counts. `\\boxed 5` is read to the next blank. Time is linear in the
    length of the text.
    """
    opened: list[int | None] = []  # where the content of a box begins, None for any other brace
    begins, found = -1, None
    for mark in _MARK.finditer(text):
        if mark["open"]:
            opened.append(mark.end())
        elif mark["bare"]:
            begins, found = mark.start("bare"), mark["bare"]
        elif mark.group() == "{":
            opened.append(None)
        elif mark.group() == "}" and opened:
            begin = opened.pop()
            if begin is not None and begin > begins:
                begins, found = begin, text[begin : mark.start()]
    return None if found is None else found.strip()


@dataclass(frozen=True)
class Grade:
    """correct: None if unscorable. answer: what the box held.

    reason: `correct`, `wrong`, `no answer`, `unparsed` (no mathematics, and not the very text of a gold answer) or `too
    long`: scored; `gold unparsed`, `timeout`, `failed` (an exception inside math-verify), `died`: unscorable.
    """

    correct: bool | None
    answer: str | None
    reason: str


_SCORED = {"correct": True, "wrong": False, "no answer": False, "unparsed": False, "too long": False}


class Grader:
    """`workers` processes, started when first needed. `counts` holds how often each reason was given.

    Use as a context manager, or `close` it. Raises ValueError for fewer than one worker or no time, RuntimeError if a
    worker cannot start at all.
    """

    def __init__(self, workers: int = 1, seconds: float = 60.0) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers}: must be at least 1")
        if not seconds > 0:
            raise ValueError(f"seconds={seconds}: must be positive")
        self.seconds = seconds
        self.counts: Counter[str] = Counter()
        self._workers: list[_Worker | None] = [None] * workers
        self._known: dict[tuple[tuple[str, ...], str], str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            if worker is not None:
                worker.kill()
        self._workers = [None] * len(self._workers)

    def grade(self, asked: Sequence[tuple[Sequence[str], str]]) -> list[Grade]:
        """The grade of each `(gold answers, completion)`: right if the boxed answer equals any of the gold ones."""
        with self._lock:
            answers = [boxed(text) if len(text) <= MAX_TEXT else None for _, text in asked]
            keys = [(tuple(golds), answer or "") for (golds, _), answer in zip(asked, answers)]
            reasons = [self._at_sight(text, answer) for (_, text), answer in zip(asked, answers)]
            new = {key for key, reason in zip(keys, reasons) if not reason and key not in self._known}
            fresh = self._compare(sorted(new))
            for index, key in enumerate(keys):
                reasons[index] = reasons[index] or fresh.get(key) or self._known[key]
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
            self.counts.update(reasons)
        return [Grade(_SCORED.get(reason), answer, reason) for answer, reason in zip(answers, reasons)]

    @staticmethod
    def _at_sight(text: str, answer: str | None) -> str:
        """The reason where no worker is needed, else an empty text."""
        if len(text) > MAX_TEXT or (answer is not None and len(answer) > MAX_ANSWER):
            return "too long"
        return "" if answer else "no answer"

    def _compare(self, keys: Sequence[tuple[tuple[str, ...], str]]) -> dict[tuple[tuple[str, ...], str], str]:
        """The reason for each of `keys`, all workers at once; what was not understood by chance is not remembered."""
        found: dict[tuple[tuple[str, ...], str], str] = {}
        waiting = list(reversed(keys))
        work: dict[int, tuple[tuple[str, ...], str]] = {}
        while waiting or work:
            for place in range(len(self._workers)):
                if place not in work and waiting:
                    work[place] = waiting.pop()
                    self._ready(place).ask(*work[place], self.seconds)
            running = {place: worker for place in work if (worker := self._workers[place]) is not None}
            patience = max(0.0, min(worker.deadline for worker in running.values()) - time.monotonic())
            readable, _, _ = select.select([worker.output for worker in running.values()], [], [], patience)
            for place, worker in running.items():
                reason = worker.reply() if worker.output in readable else None
                hangs = reason is None and time.monotonic() >= worker.deadline
                if hangs:
                    reason = "timeout"
                if reason is None:
                    continue
                key = work.pop(place)
                found[key] = reason
                if hangs or reason == "died":
                    worker.kill()
                    self._workers[place] = None
                if reason in ("correct", "wrong", "unparsed", "gold unparsed"):
                    self._known[key] = reason
        return found

    def _ready(self, place: int) -> _Worker:
        worker = self._workers[place]
        if worker is None or not worker.alive:  # one that ended between two answers costs none
            worker = self._workers[place] = _Worker()
        return worker


class _Worker:
    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout
        self._owner = os.getpid()
        self._line = b""
        self.deadline = time.monotonic() + STARTING
        if self._first() != "ready":
            self.kill()
            raise RuntimeError("the grading of mathematics does not start: does `python -c 'import math_verify'` work?")

    def _first(self) -> str:
        while (left := self.deadline - time.monotonic()) > 0 and select.select([self.output], [], [], left)[0]:
            reply = self.reply()
            if reply is not None:
                return reply
        return "died"

    @property
    def alive(self) -> bool:
        """Whether it runs and belongs to this process: a forked one shares its pipes and must not use them."""
        return self._owner == os.getpid() and self.process.poll() is None

    def ask(self, golds: Sequence[str], answer: str, seconds: float) -> None:
        """Send one task. Should the worker be gone, `reply` says so."""
        self.deadline = time.monotonic() + seconds
        try:
            self.input.write(json.dumps({"golds": list(golds), "answer": answer}).encode("ascii") + b"\n")
        except OSError:
            self.process.kill()

    def reply(self) -> str | None:
        """Read what has come: the reply, None if it is not whole yet, `died` if there will be none."""
        part = os.read(self.output.fileno(), 4096)
        self._line += part
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            return str(json.loads(line))
        return None if part else "died"

    def kill(self) -> None:
        if self._owner == os.getpid():
            self.process.kill()
            self.process.wait()
        self.input.close()
        self.output.close()


@cache
def shared() -> Grader:
    """The grader of this process, for tasks that verify one completion at a time; closed when the process ends."""
    grader = Grader()
    atexit.register(grader.close)
    return grader
