"""Progress of one or several runs: bars with reward, entropy and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SHOWN = {"reward": "reward", "entropy": "entropy", "val/pass@1": "val C"}
PLAIN_EVERY = 30.0  # seconds between two plain lines of one run


def duration(seconds: float) -> str:
    """`4:05` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressReporter:
    """A context in which runs are shown; the ETA rests on the pace since a run was first seen."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.tty = sys.stderr.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=self.console)
        self._ids: dict[str, TaskID] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._printed: dict[str, float] = {}
        self._shown: dict[str, int] = {}

    def __enter__(self) -> ProgressReporter:
        if self.tty:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.tty:
            self._bars.stop()

    def line(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, soft_wrap=True)

    def show(self, run: str, step: int, total: int, values: Mapping[str, Any]) -> None:
        """The run stands at `step` of `total`, with the newest `values` of its metrics."""
        now = time.monotonic()
        first, begun = self._first.setdefault(run, (now, step))
        pace = (now - first) / (step - begun) if step > begun else None
        eta = f"ETA {duration(pace * (total - step))}" if pace is not None and step < total else ""
        noted = [f"{name} {values[key]:.3f}" for key, name in SHOWN.items() if values.get(key) is not None]
        note = "  ".join([*noted, eta]).strip()
        if self.tty:
            if run not in self._ids:
                self._ids[run] = self._bars.add_task(run, total=total, note="")
            self._bars.update(self._ids[run], completed=step, note=note)
        elif (step == total and self._shown.get(run) != step) or now - self._printed.get(run, -math.inf) >= PLAIN_EVERY:
            self._printed[run], self._shown[run] = now, step
            self.line(f"{run}: step {step}/{total}  {note}")
