"""A process that compares mathematical answers: one JSON object a line on standard input, one on standard output.

Run as a file, alone: it imports nothing of this project, so it starts fast and holds little. Answers are given up by a
signal, hence the main thread of a process of its own; what that does not interrupt, the parent kills. The signal comes
after so much time of this process's own, not by the clock as in math-verify: what is given up does not depend on what
else the machine does.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sys
from typing import Any

SECONDS = 3.0  # of processor time for an answer
LAST = 60  # seconds of processor time after which the kernel ends a worker whose parent is gone and cannot
MEMORY = 4 << 30  # bytes of address space


class GivenUp(BaseException):
    """No Exception: a computer algebra system catches those."""


def _give_up(*_: object) -> None:
    raise GivenUp


_SCIENTIFIC = re.compile(r"\s*([-+]?[0-9]+\.?[0-9]*)[eE]([-+]?[0-9]+)\s*")


def _parsed(text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    if number := _SCIENTIFIC.fullmatch(text):  # in LaTeX the e would be Euler's number
        text = f"{number[1]} \\times 10^{{{number[2]}}}"
    return list(parse(f"\\boxed{{{text}}}", [LatexExtractionConfig()], parsing_timeout=None, raise_on_error=True))


def _understood(found: list[Any]) -> bool:
    """Whether more came out than the text itself, which math-verify falls back on."""
    return any(not isinstance(one, str) for one in found)


def judge(golds: list[str], answer: str) -> str:
    """`correct` if `answer` equals one of `golds`; `wrong`, `unparsed` (the answer) or `gold unparsed` (all golds)."""
    from math_verify import verify

    mine = _parsed(answer)
    known = [found for gold in golds if (found := _parsed(gold))]
    # An unparsed text can still be right by being the very same text.
    if mine and any(verify(found, mine, timeout_seconds=None, raise_on_error=True) for found in known):
        return "correct"
    if not any(_understood(found) for found in known):
        return "gold unparsed"
    return "wrong" if _understood(mine) else "unparsed"


def serve() -> None:
    """Answer until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)  # what libraries print must not look like a reply
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _give_up)
    judge(["1"], "1")  # the first call builds grammars
    replies.write('"ready"\n')
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + LAST
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS, 1.0)  # again and again, should somebody catch the first
            try:
                verdict = judge(**json.loads(line))
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except GivenUp:
            verdict = "timeout"
        except Exception:  # whatever a computer algebra system does with text from a model, it costs this answer
            verdict = "failed"
        replies.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    serve()
