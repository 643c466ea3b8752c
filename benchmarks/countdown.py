"""How many Countdown problems are enumerated, and completions verified, per second on one core.

`python -m benchmarks.countdown [--problems N] [--seed S] [--out DIR]` prints a table and writes `bench_countdown.json`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from repro.files import write_json
from repro.manifest import manifest
from rl.tasks import countdown

SIZES = {3: (15, 60), 4: (9, 24), 5: (9, 24)}
"""Numbers → largest number, largest target."""


def completions(problems: Sequence[countdown.Problem], rng: random.Random) -> list[tuple[countdown.Problem, str]]:
    """For each problem a right text, a well-formed one that is likely wrong, and one broken off: as a model writes."""
    made: list[tuple[countdown.Problem, str]] = []
    for problem in problems:
        right = rng.choice([text for form in countdown.solutions(problem).values() for text in form])
        wrong = "".join(rng.choice("+-*/") if symbol in "+-*/" else symbol for symbol in right)
        made += [(problem, right), (problem, wrong), (problem, right[: rng.randrange(len(right))])]
    return made


def _rate(count: int, work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


def measure(numbers: int, count: int, seed: int) -> dict[str, float]:
    """Problems drawn, problems enumerated and completions verified, each per second."""
    max_number, max_target = SIZES[numbers]
    config = countdown.CountdownConfig(numbers, max_number, max_target, count + 1, 0, count, seed)
    countdown.solutions(countdown.problem(tuple(range(1, numbers + 1)), 1))  # fills the table of forms
    drawn = _rate(count, lambda: countdown.splits(config))
    problems = countdown.splits(config)["heldout"]
    enumerated = _rate(count, lambda: [countdown.solutions(problem) for problem in problems])
    texts = completions(problems, random.Random(seed))
    verified = _rate(len(texts), lambda: [countdown.verify(problem, text) for problem, text in texts])
    return {"numbers": numbers, "drawn": drawn, "enumerated": enumerated, "verified": verified}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.countdown", description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build"))
    options = parser.parse_args(arguments)
    if options.problems < 1:
        print(f"benchmarks.countdown: problems={options.problems}: must be at least 1", file=sys.stderr)
        return 2
    started = time.time()
    rows = []
    print("numbers  problems drawn/s  problems enumerated/s  completions verified/s")
    for numbers in SIZES:
        # A table for five numbers has 430,080 trees: fewer problems say as much.
        row = measure(numbers, max(1, options.problems // (50 if numbers == 5 else 1)), options.seed)
        rows.append(row)
        print(f"{numbers:7d} {row['drawn']:17,.0f} {row['enumerated']:22,.0f} {row['verified']:23,.0f}", flush=True)
    settings = {"problems": options.problems, "sizes": {str(key): value for key, value in SIZES.items()}}
    path = options.out / "bench_countdown.json"
    write_json(path, {"rows": rows, "manifest": manifest(settings, options.seed, started)})
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
