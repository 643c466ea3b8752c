"""Commands side by side, each as soon as what it comes after has succeeded; with their progress and what they said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rl.experiments import runs
from rl.experiments.progress import ProgressReporter, duration

POLL = 0.2  # seconds


@dataclass(frozen=True)
class Job:
    """One command. after: the jobs that must have succeeded. done: whether its work lies there already.

    steps, metrics: of a training run, for its progress. launch: settings for `accelerate launch`; None: one process.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    done: Callable[[], bool]
    after: tuple[str, ...] = ()
    steps: int = 0
    metrics: Path | None = None
    launch: Path | None = None

    @property
    def command(self) -> list[str]:
        """The words that start it."""
        words = [self.module, *self.arguments]
        if self.launch is not None:
            words = ["accelerate.commands.launch", "--config_file", str(self.launch), "-m", *words]
        return [sys.executable, "-m", *words]


@dataclass
class Outcome:
    """What became of the jobs, by name. failed: with the last line that each wrote."""

    ran: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    started: float


def run_jobs(jobs: Sequence[Job], at_once: int, logs: Path, display: ProgressReporter) -> Outcome:
    """Run all, `at_once` side by side, each as soon as what it comes after has succeeded."""
    outcome = Outcome()
    waiting = list(jobs)
    running: list[_Running] = []
    good: set[str] = set()
    clock = _Clock(jobs)
    try:
        while waiting or running:
            for job in list(waiting):
                broken = [name for name in job.after if name in outcome.failed or name in outcome.left_out]
                if broken:
                    waiting.remove(job)
                    outcome.left_out[job.name] = broken[0]
                elif len(running) < at_once and all(name in good for name in job.after):
                    waiting.remove(job)
                    if job.done():
                        good.add(job.name)
                        outcome.skipped.append(job.name)
                        clock.finish(job)
                    else:
                        running.append(_start(job, logs))
                        display.line(f"▶ {job.name}")
            time.sleep(POLL if running else 0.0)
            for one in list(running):
                _show(one, display, clock)
                status = one.process.poll()
                if status is None:
                    continue
                running.remove(one)
                one.log.close()
                clock.finish(one.job)
                seconds = time.monotonic() - one.started
                if status == 0:
                    good.add(one.job.name)
                    outcome.ran.append(one.job.name)
                    display.line(f"✓ {one.job.name} ({duration(seconds)}){clock.eta(at_once)}")
                else:
                    outcome.failed[one.job.name] = _reason(Path(one.log.name), one.job) or f"status {status}"
                    display.line(f"✗ {one.job.name}: {outcome.failed[one.job.name]}")
    finally:
        for one in running:  # interrupted: nothing that was started here stays behind
            one.process.terminate()
            one.process.wait()
            one.log.close()
    return outcome


def _start(job: Job, logs: Path) -> _Running:
    logs.mkdir(parents=True, exist_ok=True)
    log = open(logs / f"{job.name.replace(' ', '-')}.log", "wb")  # noqa: SIM115 (closed when the job ends)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        job.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
    )
    return _Running(job, process, log, time.monotonic())


def _reason(log: Path, job: Job) -> str:
    """What the command itself says last, else the last line there is: a launcher adds its own after it."""
    text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return next((line for line in reversed(lines) if line.startswith(f"{job.module}: ")), lines[-1] if lines else "")


class _Clock:
    """The time that is left: steps of training still to do, at the pace of those that were seen."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left = {job.name: job.steps for job in jobs}
        self._seen: dict[str, tuple[int, float]] = {}
        self._pace: dict[str, float] = {}

    def step(self, job: Job, step: int) -> None:
        self._left[job.name] = job.steps - step
        first, at = self._seen.setdefault(job.name, (step, time.monotonic()))
        if step > first:
            self._pace[job.name] = (time.monotonic() - at) / (step - first)

    def finish(self, job: Job) -> None:
        self._left[job.name] = 0

    def eta(self, at_once: int) -> str:
        """`, ETA 12:00`; empty where nothing is left or no pace is known."""
        left = sum(self._left.values())
        if not left or not self._pace:
            return ""
        pace = sum(self._pace.values()) / len(self._pace)
        return f", ETA {duration(pace * left / min(at_once, sum(value > 0 for value in self._left.values())))}"


def _show(one: _Running, display: ProgressReporter, clock: _Clock) -> None:
    if one.job.metrics is None or not one.job.metrics.is_file():
        return
    rows = runs.Metrics(one.job.metrics).tail()
    if rows:
        clock.step(one.job, rows["step"])
        display.show(one.job.name, rows["step"], one.job.steps, rows)
