"""Answers in `\\boxed{}`, compared by math-verify in worker processes: no text, however made, can stop a run.

`rl.tasks.answers` says what an answer is; a worker compares values. It gives an answer up after a few seconds of its
own time, and that is remembered. A worker that hangs is killed after `seconds` and one that dies is replaced; either
costs the one answer it was at.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # started by its path; named here, it counts among the source of what is graded
    from rl.tasks import _math_worker  # noqa: F401

from rl.tasks.answers import Form, NoAnswer, integer, read

MAX_ANSWER = 4_000
"""Characters of an answer; a longer one is wrong. It bounds what a worker is given to read."""
MAX_TEXT = 1_000_000
"""Characters of a completion; in a longer one no answer is looked for."""
REMEMBERED = 1 << 16
"""Answers whose reason is kept: the last so many."""
STARTING = 120.0  # seconds a worker may take to load

_WORKER = Path(__file__).with_name("_math_worker.py")
# `\\.` takes escaped braces and the line break `\\` out of the count.
_MARK = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*(?:(?P<open>\{)|(?P<bare>[^\s{}\\$]+))|\\.|[{}]", re.DOTALL)


# Gold answers that are read for sure.
_SIMPLE = re.compile(r"-?(?:\d{1,300}(?:\.\d{1,300})?|\\frac\{-?\d{1,9}\}\{[1-9]\d{0,8}\})")
# What may stand between two boxes that are one answer.
_JOINT = re.compile(r"[\s$]*(?:,|&|,?\s*(?:\\text\s*\{\s*)?(?:and|or)(?:\s*\})?)[\s$]*")


def boxes(text: str) -> list[str]:
    """The answers in the boxes (`\\boxed{}`, `\\fbox{}`) of `text` that are closed and not empty, in order.

    Boxes with no more than a comma, `and` or `or` between them are one answer, a list. Braces nest; of a box in a box
    the inner one counts. `\\boxed 5` is read to the next blank. A thought (`<think>`) that is not finished holds no
    answer. Time is linear in the length of the text.
    """
    thought = text.rfind("<think>")
    if thought >= 0 and "</think>" not in text[thought:]:
        text = text[:thought]
    opened: list[tuple[int, int] | None] = []  # where a box and its content begin, None for any other brace
    found: list[tuple[int, int, str]] = []  # where a box begins and ends, what it holds
    for mark in _MARK.finditer(text):
        if mark["open"]:
            opened.append((mark.start(), mark.end()))
        elif mark["bare"]:
            found.append((mark.start(), mark.end(), mark["bare"]))
        elif mark.group() == "{":
            opened.append(None)
        elif mark.group() == "}" and opened and (box := opened.pop()) is not None:
            found.append((box[0], mark.end(), text[box[1] : mark.start()].strip()))
    answers: list[list[str]] = []
    last = -1  # where the last box taken ends
    inner = -1  # where the last box begins that holds no other
    for begin, end, content in found:  # in the order in which they end: a box after those in it
        if begin < inner or not content:
            continue
        if answers and _JOINT.fullmatch(text, last, begin):
            answers[-1] += [content] if content not in answers[-1] else []
        else:
            answers.append([content])
        inner, last = begin, end
    return [", ".join(parts) for parts in answers]


def boxed(text: str) -> str | None:
    """The last of the `boxes`; None if there is none."""
    found = boxes(text)
    return found[-1] if found else None


@dataclass(frozen=True)
class Grade:
    """correct: None if unscorable. answer: what the box held.

    reason: `correct`, `wrong`, `no answer`, `unparsed` (no mathematics, and not the very text of a gold answer), `no
    number` (juxtaposed numbers), `too large` (a number that is not computed) or `too long`: scored; `gold unparsed`,
    `timeout`, `failed` (an exception inside math-verify), `died`: unscorable.
    """

    correct: bool | None
    answer: str | None
    reason: str


_SCORED = {"correct": True} | dict.fromkeys(
    ("wrong", "no answer", "unparsed", "no number", "too large", "too long"), False
)
_CHANCE = "died"  # the one reason that is not remembered: another time it may go well

Key = tuple[tuple[str, ...], str | None]
"""Gold answers, and an answer; None asks whether gold can be read."""


@lru_cache(maxsize=REMEMBERED)
def _form(text: str) -> Form | str:
    """What `text` is; the reason if it is no answer."""
    try:
        return read(text)
    except NoAnswer as refusal:
        return str(refusal)


def at_sight(golds: Sequence[str], answer: str | None) -> str:
    """The reason where nothing needs to be computed, else an empty text.

    That is so for whole numbers, for the very text of a gold answer, and for what is refused.
    """
    if answer is not None:
        mine = integer(answer)
        if mine is not None and None not in (numbers := [integer(gold) for gold in golds]):
            return "correct" if mine in numbers else "wrong"
        if answer in golds:
            return "correct"
    elif any(integer(gold) for gold in golds):
        return "correct"
    known = [form for gold in golds if isinstance(form := _form(gold), Form)]
    if not known:
        return "gold unparsed"
    if answer is None:
        return "correct" if any(_SIMPLE.fullmatch(form.latex) for form in known) else ""
    found = _form(answer)
    if isinstance(found, str):
        return found
    return "correct" if any(_text(form) == _text(found) for form in known) else ""


def _text(form: Form) -> tuple[str, str]:
    """What is the same for forms that say the same word for word."""
    return form.kind, form.tag if form.kind == "words" else form.latex


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
        self._known: dict[Key, str] = {}
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
            reasons = [self._unread(text, answer) for (_, text), answer in zip(asked, answers)]
            keys = [(tuple(golds), answer) for (golds, _), answer, reason in zip(asked, answers, reasons) if not reason]
            found = iter(self._reasons(keys))
            reasons = [reason or next(found) for reason in reasons]
            self.counts.update(reasons)
        return [Grade(_SCORED.get(reason), answer, reason) for answer, reason in zip(answers, reasons)]

    def readable(self, golds: Sequence[Sequence[str]]) -> list[bool]:
        """Of each row's gold answers, whether an answer can be compared with any of them."""
        with self._lock:
            return [reason == "correct" for reason in self._reasons([(tuple(row), None) for row in golds])]

    @staticmethod
    def _unread(text: str, answer: str | None) -> str:
        """The reason where there is no answer to look at, else an empty text."""
        if len(text) > MAX_TEXT or (answer is not None and len(answer) > MAX_ANSWER):
            return "too long"
        return "" if answer else "no answer"

    def _reasons(self, keys: Sequence[Key]) -> list[str]:
        """The reason for each of `keys`, remembered."""
        fresh = {key: at_sight(*key) for key in dict.fromkeys(keys) if key not in self._known}
        self._known |= {key: reason for key, reason in fresh.items() if reason}
        found = self._compare([key for key, reason in fresh.items() if not reason])
        self._known |= {key: reason for key, reason in found.items() if reason != _CHANCE}
        reasons = [found.get(key) or self._known[key] for key in keys]
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return reasons

    def _compare(self, keys: Sequence[Key]) -> dict[Key, str]:
        """The reason for each of `keys`, all workers at once."""
        found: dict[Key, str] = {}
        waiting = list(reversed(keys))
        work: dict[int, Key] = {}
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
                if reason is None and time.monotonic() >= worker.deadline:
                    reason = "timeout"
                    worker.kill()
                if reason is None:
                    continue
                found[work.pop(place)] = reason
                if not worker.alive:
                    worker.kill()
                    self._workers[place] = None
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

    def ask(self, golds: Sequence[str], answer: str | None, seconds: float) -> None:
        """Send one task. Should the worker be gone, `reply` says so."""
        self.deadline = time.monotonic() + seconds
        known = [asdict(form) for gold in golds if isinstance(form := _form(gold), Form)]
        mine = None if answer is None else _form(answer)
        task = {"golds": known, "answer": asdict(mine) if isinstance(mine, Form) else None}
        try:
            self.input.write(json.dumps(task).encode("ascii") + b"\n")
        except OSError:
            self.process.kill()

    def reply(self) -> str | None:
        """Read what has come: the reply, None if it is not whole yet; `timeout` if the kernel ended the worker for the
        time it took, `died` if something else did."""
        part = os.read(self.output.fileno(), 4096)
        self._line += part
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            return str(json.loads(line))
        if part:
            return None
        return "timeout" if self.process.wait() == -signal.SIGXCPU else "died"

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
