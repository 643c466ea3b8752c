"""`python -m theory.verify`: check every theorem on random instances, and see every negative control noticed.

With `--certified` the claims that can be are proved, by exact rationals and interval arithmetic, and none is sampled.

Prints a table, writes `<out>/theory/verify.json` with its manifest (`verify-T6.json` for a part of the theorems), tells
its progress on stderr. With `--certified`: `certified.json`. Exit status: 0 iff all hold (are proved) and every control
was noticed (is not proved), 1 otherwise, 2 on bad input.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NoReturn

from repro.files import write_json
from repro.manifest import manifest
from theory import checking, theorems
from theory.checking import CheckResult, Part, PartResult
from theory.checks.base import Outcome

INSTANCES = 100_000
WIDTH = 118


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, exit 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def at_least(low: int) -> type[int]:
    """An argparse type: an integer of at least `low`."""

    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"{text} is below {low}")
        return value

    number.__name__ = "integer"  # what argparse calls it in its message
    return number  # type: ignore[return-value]


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(work: list[Part], seed: int, jobs: int) -> Iterator[PartResult]:
    """Run the parts in `jobs` processes (in this one if jobs is 1); yield the results as they come."""
    if jobs == 1:
        yield from (checking.run(part, seed) for part in work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting = [pool.submit(checking.run, part, seed) for part in work]
        yield from (done.result() for done in as_completed(waiting))


def collect(names: list[str], instances: int, seed: int, jobs: int) -> list[CheckResult]:
    """The result of each of `names`, telling on stderr as each theorem is finished."""
    work = checking.parts(names, instances)
    left = {name: sum(part.theorem == name for part in work) for name in names}
    results: dict[str, list[PartResult]] = {name: [] for name in names}
    for result in run_all(work, seed, jobs):
        name = result.part.theorem
        results[name].append(result)
        left[name] -= 1
        if not left[name]:
            done = sum(not count for count in left.values())
            seconds = sum(f.seconds for f in results[name])
            print(f"[{done}/{len(names)}] {name} checked ({seconds:.1f} s)", file=sys.stderr, flush=True)
    return [checking.check_result(name, results[name]) for name in names]


def _row(outcome: Outcome) -> str:
    mark = "✓" if outcome.holds else "✗"
    bound = f"{outcome.error:.1e} {'≤' if outcome.holds else '>'} {outcome.tolerance:.0e}"
    if outcome.tolerance == 0 and outcome.error >= 0 and float(outcome.error).is_integer():
        bound = f"{outcome.error:.0f} violations"
    detail = outcome.detail.removeprefix("violations").lstrip(",; ")
    return f"    {mark} {outcome.name:<62} {outcome.instances:>9,}  {bound:<17}  {detail}".rstrip()


def block(found: CheckResult) -> str:
    """The lines of the table on one theorem."""
    theorem = theorems.get(found.theorem)
    heading = f"{theorem.id:<4}{theorem.title}"
    lines = [f"{heading:<66}  {'holds' if found.holds else 'FAILS':<6} {found.seconds:6.1f} s  [{theorem.tag}]"]
    lines += textwrap.wrap(theorem.statement, WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
    lines += [_row(outcome) for outcome in found.outcomes]
    if found.failure:
        lines.append(f"    ✗ the check itself failed: {found.failure}")
    for control in found.controls:
        how = f"noticed by {len(control.noticed_by)} of the facts above"
        if not control.noticed:
            how = f"NOT noticed{f' ({control.failure})' if control.failure else ''}"
        lines.append(f"    {'✓' if control.noticed else '✗'} control: {control.name}: {how}")
    return "\n".join(lines)


def summary(found: list[CheckResult], instances: int) -> str:
    """The last line: how many hold, how many controls were noticed."""
    controls = [control for one in found for control in one.controls]
    return (
        f"{sum(one.holds for one in found)} of {len(found)} theorems hold on {instances:,} instances each; "
        f"{sum(control.noticed for control in controls)} of {len(controls)} broken variants were noticed"
    )


def certified(parser: Parser, only: list[str] | None, out: Path, started: float) -> int:
    """Prove what has certificates, print, write."""
    try:
        from theory.certified import register
    except ImportError:
        parser.error("--certified needs python-flint: pip install --group certified")
    try:
        found = register.certify(only or list(register.MODULES))
    except ValueError as error:
        parser.error(f"--certified --only {error}")
    print("\n".join(map(register.row, found)))
    path = out / "theory" / f"{'-'.join(['certified', *(only or [])])}.json"
    holds = all(one.as_it_should for one in found)
    result = {"holds": holds, "certificates": [register.as_json(one) for one in found]}
    write(parser, out, path, {**result, "manifest": manifest({"theorems": only or [*register.MODULES]}, None, started)})
    print(f"\n{register.summary(found)}; {time.time() - started:.0f} s; {path}")
    return 0 if holds else 1


def write(parser: Parser, out: Path, path: Path, result: dict[str, Any]) -> None:
    """Write the record, or refuse `--out` in one line."""
    try:
        write_json(path, result)
    except OSError as error:
        parser.error(f"--out {out}: cannot write {path.name} there ({error.strerror})")


def main(arguments: list[str] | None = None) -> int:
    """Check, print, write; see the module's docstring."""
    parser = Parser(prog="python -m theory.verify", description="Check the theorems by computation.")
    parser.add_argument("--only", nargs="+", action="extend", metavar="T6", help="theorems by number (default: all)")
    parser.add_argument("--instances", type=at_least(1), default=INSTANCES, help="random instances (default 100000)")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the random instances (default 0)")
    parser.add_argument("--jobs", type=at_least(1), default=cores(), help="processes (default: the cores there are)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="verify.json goes to <out>/theory")
    parser.add_argument(
        "--certified", action="store_true", help="prove instead of sampling (instances, seed, jobs play no part)"
    )
    options = parser.parse_args(arguments)
    started = time.time()
    try:
        asked = {theorems.get(name).id for name in options.only or theorems.REGISTER}
    except ValueError as error:
        parser.error(str(error))
    names = [name for name in theorems.REGISTER if name in asked]
    if options.certified:
        return certified(parser, names if options.only else None, options.out, started)
    found = collect(names, options.instances, options.seed, options.jobs)
    print("\n\n".join(block(one) for one in found))
    path = options.out / "theory" / ("verify.json" if not options.only else f"verify-{'-'.join(names)}.json")
    config = {"theorems": names, "instances": options.instances, "jobs": options.jobs}
    holds = all(one.holds for one in found)
    result = {"holds": holds, "theorems": [checking.as_json(one) for one in found]}
    write(parser, options.out, path, {**result, "manifest": manifest(config, options.seed, started)})
    print(f"\n{summary(found, options.instances)}; {time.time() - started:.0f} s; {path}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
