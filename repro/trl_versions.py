"""`python -m repro.trl_versions [VERSION …] [--record]`: which releases of TRL the library works with, by its tests.

Each release is installed alone beside this environment's other packages, into `<out>/trl/`, and comes first there.
`--record` writes each outcome, with its manifest, to results/trl/releases.json and the table to docs/compatibility.md;
releases that were tried before keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.files import write_json, write_text
from repro.manifest import ROOT, manifest

RELEASES: tuple[str, ...] = ("1.16.0", "1.15.0", "1.14.2", "1.14.1", "1.14.0", "1.13.0", "1.12.0", "1.11.0", "1.10.0")
RELEASES += ("1.9.2", "1.9.1", "1.9.0", "1.8.0", "1.7.1")
"""All of the promised range, and older ones that fail: the end of the range was seen."""
SUITES = {
    "contract": "tests/differential_smoothing/test_trl_contract.py",
    "trainer": "tests/differential_smoothing/test_trainer.py",
    "end to end": "tests/end_to_end/test_example_trl.py",
}
RECORD = ROOT / "results" / "trl" / "releases.json"
PAGE = ROOT / "docs" / "compatibility.md"
MARKS = ("<!-- table -->\n", "<!-- end of table -->\n")


def install(release: str, folder: Path) -> None:
    """Put this release alone into `folder`, unless it is there."""
    if (folder / "trl").is_dir():
        return
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--target", str(folder), f"trl=={release}"], check=True)


def outcome(release: str, suite: str, folder: Path) -> dict[str, Any]:
    """How many tests of a suite passed with this release, and what failed: name → the error in one line."""
    report = folder / f"{suite.replace(' ', '-')}.xml"
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    script = "import sys, trl; sys.exit(trl.__version__ != sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, release], env={**os.environ, "PYTHONPATH": path}, check=True)
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
    subprocess.run(
        [*pytest, "--junitxml", str(report), SUITES[suite]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
    )
    passed = 0
    failed: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error")]
        passed += not len(case)
        failed |= {str(case.get("name")): str(child.get("message")).splitlines()[0] for child in bad}
    return {"passed": passed, "failed": failed}


def table(releases: Mapping[str, Mapping[str, Any]]) -> str:
    """The recorded outcomes in Markdown, a release a row."""
    lines = [f"| TRL | {' | '.join(SUITES)} |", f"| --- |{' --- |' * len(SUITES)}"]
    for release, one in releases.items():
        cells = [
            f"{suite['passed']} passed" + (f", {len(suite['failed'])} failed" if suite["failed"] else "")
            for suite in one["outcomes"].values()
        ]
        lines.append(f"| {release} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def works(outcomes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether every test of every suite passed."""
    return all(suite["passed"] and not suite["failed"] for suite in outcomes.values())


def record(release: str, outcomes: Mapping[str, Any], started: float) -> None:
    """Keep what was found for this release, and write the page's table anew, newest release first."""
    known = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    made = manifest({"suites": SUITES}, None, started, outcomes=outcomes)
    known[release] = {**made, "versions": {**made["versions"], "trl": release}}  # not this process's own
    newest_first = sorted(known, key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    known = {name: known[name] for name in newest_first}
    write_json(RECORD, known)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    write_text(PAGE, before + MARKS[0] + table(known) + MARKS[1] + rest.partition(MARKS[1])[2])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.trl_versions", description="Try releases of TRL.")
    parser.add_argument(
        "versions", nargs="*", default=list(RELEASES), help="by default the promised range and around it"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where releases are installed")
    parser.add_argument("--record", action="store_true", help="write results/trl/releases.json and the page's table")
    options = parser.parse_args(arguments)
    for release in options.versions:
        started = time.time()
        folder = options.out.resolve() / "trl" / release
        install(release, folder)
        outcomes = {suite: outcome(release, suite, folder) for suite in SUITES}
        print(f"{release}: {'works' if works(outcomes) else 'does not work'}", flush=True)
        if options.record:
            record(release, outcomes, started)
    return 0


if __name__ == "__main__":
    sys.exit(main())
