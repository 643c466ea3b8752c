"""One stage of the pipeline: a command that is run when it is stale.

A stage is stale when its command, the files it reads, the project source its modules import, or the versions of the
packages that decide numbers have changed since it last finished, or when something that it writes is gone.
"""

from __future__ import annotations

import glob
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.files import write_json
from repro.manifest import ROOT, versions
from repro.sources import closure, digest


@dataclass(frozen=True)
class Stage:
    """What is run, and what it depends on."""

    name: str
    title: str
    command: tuple[str, ...]
    """A module and its arguments."""
    reads: Sequence[Path | str] = ()
    """Files, folders, globs."""
    writes: Sequence[Path | str] = ()
    modules: tuple[str, ...] = ()
    """Further modules whose source counts."""
    absent: str = ""
    """Why it cannot be run; then it is passed over."""

    @property
    def label(self) -> str:
        """For a line on the screen."""
        return f"{self.name:<22} {self.title}".rstrip()


def stage_digest(stage: Stage, root: Path = ROOT) -> str:
    """The hash that decides whether it is stale. Raises FileNotFoundError for an input that does not exist."""
    inputs: list[Path] = []
    for pattern in map(str, stage.reads):
        found = sorted(glob.glob(pattern))
        if not found:
            raise FileNotFoundError(pattern)
        inputs.extend(Path(name) for name in found)
    words = [*stage.command, *(f"{name}={version}" for name, version in versions().items())]
    return digest([*closure([stage.command[0], *stage.modules], root), *inputs], words, root)


def is_fresh(stamp: Path, current: str, writes: Sequence[Path | str]) -> bool:
    """True iff the stage finished with this digest and all that it writes is still there."""
    try:
        recorded = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return recorded.get("digest") == current and all(Path(name).exists() for name in writes)


def run(stage: Stage, out: Path, root: Path = ROOT) -> bool:
    """Run the stage if it is stale, and say so; whether it is done now."""
    if stage.absent:
        print(f"–  {stage.name}: {stage.absent}", flush=True)
        return True
    stamp = out / "stages" / f"{stage.name.replace('/', '-')}.json"
    try:
        current = stage_digest(stage, root)
    except FileNotFoundError as missing:
        print(f"✗ {stage.label}: its input {missing} is missing; run the stage that makes it", file=sys.stderr)
        return False
    if is_fresh(stamp, current, stage.writes):
        print(f"✓ {stage.label} (up to date)", flush=True)
        return True
    print(f"▶ {stage.label}", flush=True)
    stamp.unlink(missing_ok=True)
    started = time.time()
    status = subprocess.call([sys.executable, "-m", *stage.command])
    seconds = time.time() - started
    if status:
        print(f"✗ {stage.label}: failed with status {status} after {seconds:.0f} s", file=sys.stderr, flush=True)
        return False
    absent = [str(name) for name in stage.writes if not Path(name).exists()]
    if absent:
        print(f"✗ {stage.label}: finished, but did not write {', '.join(absent)}", file=sys.stderr, flush=True)
        return False
    write_json(stamp, {"digest": current, "seconds": round(seconds, 1), "title": stage.title})
    print(f"✓ {stage.label} ({seconds:.0f} s)", flush=True)
    return True
