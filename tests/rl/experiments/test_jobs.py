"""Jobs: side by side, in their order, done work skipped, failures contained and named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rl.experiments import jobs
from rl.experiments.jobs import Job, run_jobs
from rl.experiments.progress import ProgressReporter

STUB = """
import sys, time
from pathlib import Path
name, folder, seconds, status = sys.argv[1:]
log = Path(folder) / "log"
with open(log, "a") as handle: handle.write(f"start {name}\\n")
time.sleep(float(seconds))
with open(log, "a") as handle: handle.write(f"end {name}\\n")
print("working"); print(f"{name} says why", file=sys.stderr)
sys.exit(int(status))
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that notes when it starts and ends."""
    (tmp_path / "job_stub.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def job(folder: Path, name: str, after: tuple[str, ...] = (), seconds: float = 0, status: int = 0) -> Job:
    arguments = (name, str(folder), str(seconds), str(status))
    return Job(name, "job_stub", arguments, (folder / f"done {name}").exists, after)


def lines(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines() if (folder / "log").exists() else []


def test_failure_stops_only_what_comes_after_it(stub: Path) -> None:
    listed = [
        job(stub, "good base"),
        job(stub, "bad base", status=3),
        job(stub, "a", ("good base",)),
        job(stub, "b", ("bad base",)),
        job(stub, "evaluation of b", ("b",)),
        job(stub, "evaluation of a", ("a",)),
    ]
    with ProgressReporter() as display:
        outcome = run_jobs(listed, 2, stub / "logs", display)
    assert outcome.ran == ["good base", "a", "evaluation of a"]
    assert outcome.failed == {"bad base": "bad base says why"}
    assert outcome.left_out == {"b": "bad base", "evaluation of b": "b"}
    assert "start b" not in lines(stub)
    assert lines(stub).index("end good base") < lines(stub).index("start a")
    assert (stub / "logs" / "bad-base.log").read_text() == "working\nbad base says why\n"


def test_at_most_so_many_side_by_side(stub: Path) -> None:
    for at_once, most in ((1, 1), (2, 2)):
        (stub / "log").unlink(missing_ok=True)
        with ProgressReporter() as display:
            outcome = run_jobs([job(stub, str(i), seconds=0.5) for i in range(3)], at_once, stub / "logs", display)
        assert len(outcome.ran) == 3
        running = highest = 0
        for line in lines(stub):
            running += 1 if line.startswith("start") else -1
            highest = max(highest, running)
        assert highest == most


def test_done_work_is_skipped_and_what_follows_it_is_not(stub: Path) -> None:
    (stub / "done base").touch()
    with ProgressReporter() as display:
        outcome = run_jobs([job(stub, "base"), job(stub, "a", ("base",))], 1, stub / "logs", display)
    assert (outcome.skipped, outcome.ran) == (["base"], ["a"])
    assert lines(stub) == ["start a", "end a"]


def test_interrupt_leaves_no_process_behind(stub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        if lines(stub):
            raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "_show", interrupt)
    with ProgressReporter() as display, pytest.raises(KeyboardInterrupt):
        run_jobs([job(stub, "long", seconds=3)], 1, stub / "logs", display)
    time.sleep(3.5)
    assert lines(stub) == ["start long"]
