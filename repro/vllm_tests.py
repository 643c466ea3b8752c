"""`python -m repro.vllm_tests [--record]`: the tests of vLLM; `--record` writes what ran to results/vllm/manifest.json.

It runs in the environment that `bash paper_repro.sh vllm` makes. Exit code: pytest's.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from repro.files import write_json
from repro.manifest import ROOT, manifest

PLACES = ("tests/vllm", "tests/rl/evaluation/test_sampled.py")
"""All that are marked vllm; other tests need more than is installed."""


class Outcomes:
    """Collects what became of each test: name → outcome, seconds, and what the test itself noted of its numbers."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":  # set-up and tear-down only where they failed
            what = {"outcome": report.outcome, "seconds": round(report.duration, 1)}
            self.found[report.nodeid] = {**what, **dict(report.user_properties)}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m repro.vllm_tests", description="Run the tests of vLLM.")
    parser.add_argument("--record", action="store_true", help="write results/vllm/manifest.json if all passed")
    options = parser.parse_args(arguments)
    started = time.time()
    os.chdir(ROOT)
    outcomes = Outcomes()
    code = int(pytest.main(["-m", "vllm", "-q", *PLACES], plugins=[outcomes]))
    passed = code == 0 and all(one["outcome"] == "passed" for one in outcomes.found.values())
    if options.record and not passed:
        print("repro.vllm_tests: nothing recorded: not every test ran and passed", file=sys.stderr)
        return code or 1
    if options.record:
        path = Path("results/vllm/manifest.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        more = {"cpu_time_s": round(sum(os.times()[:4]), 1), "outcomes": outcomes.found}
        write_json(path, manifest({"tests": list(PLACES), "marker": "vllm"}, None, started, **more))
    return code


if __name__ == "__main__":
    sys.exit(main())
