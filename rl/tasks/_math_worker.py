"""A process that compares mathematical answers: one JSON object a line on standard input, one on standard output.

Run as a file, alone: it imports nothing of this project, so it starts fast and holds little. math-verify interrupts
itself by SIGALRM, hence the main thread of a process of its own; what that does not interrupt, the parent kills.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any

SECONDS = 3  # for each parse and each comparison
CPU_SECONDS = 60  # after which the kernel ends a worker whose parent is gone and cannot
MEMORY = 4 << 30  # bytes of address space


def _parsed(text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    return list(parse(f"\\boxed{{{text}}}", [LatexExtractionConfig()], parsing_timeout=SECONDS, raise_on_error=True))


def _understood(found: list[Any]) -> bool:
    """Whether more came out than the text itself, which math-verify falls back on."""
    return any(not isinstance(one, str) for one in found)


def judge(golds: list[str], answer: str) -> str:
    """`correct` if `answer` equals one of `golds`; `wrong`, `unparsed` (the answer) or `gold unparsed` (all golds)."""
    from math_verify import verify

    mine = _parsed(answer)
    known = [found for gold in golds if (found := _parsed(gold))]
    # An unparsed text can still be right by being the very same text.
    if mine and any(verify(found, mine, timeout_seconds=SECONDS, raise_on_error=True) for found in known):
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
    import logging

    from math_verify.errors import TimeoutException

    logging.disable(logging.CRITICAL)
    judge(["1"], "1")  # the first call builds grammars
    replies.write('"ready"\n')
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            verdict = judge(**json.loads(line))
        except (TimeoutException, TimeoutError):
            verdict = "timeout"
        except Exception:  # whatever a computer algebra system does with text from a model, it costs this answer
            verdict = "failed"
        replies.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    serve()
