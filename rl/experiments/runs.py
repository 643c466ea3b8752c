"""A run folder: what it was asked for, its lock, its metrics, its checkpoints; nothing in it is ever half written.

config.yaml          every setting, the seed, the hash of the code; what a run is known by
metrics.jsonl        one row per step
checkpoints/step-N/  what resuming needs, with the checksum of each file; the two newest are kept
model/               the final model
manifest.json        written last: a folder that has one is finished
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from repro.files import sync, write_json, write_text

_FIRST, _LAST = "config.yaml", "manifest.json"
KEPT = 2  # checkpoints: the newest, and the one to fall back on


class RunError(RuntimeError):
    """A run cannot begin or go on; the message is one line."""


def folder_of(out: Path, experiment: str, seed: int, method: str) -> Path:
    """Where the run of `method` (or `base`) with `seed` lies."""
    return out / "runs" / experiment / f"seed{seed}" / method


def shelf_of(out: Path, experiment: str, seed: int, method: str) -> Path:
    """Where other runs of `method` with `seed` are put that lay in the folder of the run before."""
    return out / "earlier" / experiment / f"seed{seed}" / method


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process alone; it is free again when the process ends, however it ends.

    Raises RunError if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise RunError(f"{folder}: is in use by {holder}; wait for it, or give another --out") from None
        handle.truncate(0)
        handle.write(f"process {os.getpid()}")
        handle.flush()
        yield


def prepare(folder: Path, record: Mapping[str, Any], seed: int, source: str, shelf: Path) -> tuple[bool, list[str]]:
    """Make `folder` ready for the run; whether that very run is finished there already, and what was moved, in lines.

    A folder of the same run is gone on with. Where another run lies there (other settings, other source), it is moved
    to `shelf`, under a name made of what it was asked for; a run that was moved so before comes back when it is asked
    for again. Nothing is deleted. Raises RunError where nothing says whose the files in `folder` are.
    """
    asked, found, lines = _asked(record, seed, source), _found(folder), []
    if found is not None and found != asked:
        place = shelf / _label(found)
        lines.append(f"{folder}: the run there (other: {', '.join(_differences(found, asked))}) now lies in {place}")
        move(_entries(folder), place)
    place = shelf / _label(asked)
    if place.is_dir():
        lines.append(f"{folder}: this run lay in {place}, and is here again")
        move(reversed(_entries(place)), folder)
        place.rmdir()
    if not (folder / _FIRST).is_file():
        write_text(folder / _FIRST, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True))
    return (folder / _LAST).is_file(), lines


def _found(folder: Path) -> dict[str, Any] | None:
    """What the run in `folder` was asked for; None where there is no run."""
    try:
        found = yaml.safe_load((folder / _FIRST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = sorted(path.name for path in folder.iterdir() if path.name != "lock" and not path.name.startswith("."))
        if names:
            raise RunError(
                f"{folder}: holds {names[0]}, and no {_FIRST} says of which run; move the folder away"
            ) from None
        return None
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{folder / _FIRST}: is damaged, so nothing says of which run; move the folder away")
    return found


def _label(asked: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def move(paths: Iterable[Path], target: Path) -> None:
    """Move files and folders into the folder `target`, in this order; killed on the way, the same call does the rest.

    Raises RunError rather than replace what is there.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if (target / path.name).exists():
            raise RunError(f"{target / path.name}: is there already; move it away, and {path} can take its place")
        path.rename(target / path.name)


def _entries(folder: Path) -> list[Path]:
    """All but the lock, manifest.json first: moved away so, and back in reverse, half a run never seems finished."""
    order = {_LAST: 0, _FIRST: 2}
    found = (path for path in folder.iterdir() if path.name != "lock")
    return sorted(found, key=lambda path: (order.get(path.name, 1), path.name))


def is_done(folder: Path, record: Mapping[str, Any], seed: int, source: str) -> bool:
    """Whether `folder` holds this very run, finished."""
    try:
        found = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return False
    return found == _asked(record, seed, source) and (folder / "manifest.json").is_file()


def _asked(record: Mapping[str, Any], seed: int, source: str) -> dict[str, Any]:
    """What decides a training run. How it is evaluated afterwards does not."""
    return {**{key: value for key, value in record.items() if key != "evaluate"}, "seed": seed, "source": source}


def _differences(found: Any, asked: Any, place: str = "") -> list[str]:
    if isinstance(found, dict) and isinstance(asked, dict):
        keys = [*asked, *(key for key in found if key not in asked)]
        inner = (_differences(found.get(key), asked.get(key), f"{place}.{key}".strip(".")) for key in keys)
        return [line for lines in inner for line in lines]
    return [] if found == asked else [place]


class Metrics:
    """The rows of `metrics.jsonl`; each is on its own line and written at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        """All whole rows; what a killed process left of a last one does not count."""
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            try:
                found.append(json.loads(line))
            except ValueError:  # the disk failed under it: the rows before it count
                break
        return found

    def tail(self) -> dict[str, Any]:
        """The last whole row, read from the end of the file; empty if there is none."""
        with open(self.path, "rb") as handle:
            handle.seek(max(0, os.fstat(handle.fileno()).st_size - 8192))
            lines = handle.read().split(b"\n")[:-1]  # what follows the last newline is not whole
        return dict(json.loads(lines[-1])) if lines else {}

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; NaN and infinity are refused."""
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, allow_nan=False) + "\n")

    def truncate(self, step: int) -> list[dict[str, Any]]:
        """Keep the rows up to `step`, drop the others from the file, and return those kept."""
        kept = [row for row in self.rows() if row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row) + "\n" for row in kept))
        return kept

    def sync(self) -> None:
        """Wait until the rows are on the disk."""
        if self.path.is_file():
            sync(self.path)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found whole. state: what was stored beside the files."""

    step: int
    folder: Path
    state: dict[str, Any]


def staging_of(target: Path) -> Path:
    """Where a checkpoint or model is written before it is whole; all processes of a run know it."""
    return target.parent / f".{target.name}.saving"


def write_index(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write the checksums of all files in `folder`, and `state`, into its `checkpoint.json`."""
    files = {str(path.relative_to(folder)): _checksum(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    write_json(folder / "checkpoint.json", {"step": step, "files": files, "state": dict(state)})


def prune(checkpoints: Path, kept: int = KEPT) -> None:
    """Delete all but the newest `kept` checkpoints, and what killed processes left of others."""
    for leftover in checkpoints.glob(".*.saving"):
        shutil.rmtree(leftover, ignore_errors=True)
    for _, folder in _numbered(checkpoints)[kept:]:
        shutil.rmtree(folder, ignore_errors=True)


def latest_valid(checkpoints: Path, rows: int) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, and one line for each newer one that is damaged.

    rows: the last step in the metrics; a checkpoint beyond it would leave a gap there and does not count.
    """
    complaints: list[str] = []
    for step, folder in _numbered(checkpoints):
        problem = _damage(folder)
        if problem is None and step > rows:
            problem = f"metrics.jsonl ends at step {rows}"
        if problem is None:
            state = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))["state"]
            return Checkpoint(step, folder, state), complaints
        complaints.append(f"{folder}: not used, {problem}")
    return None, complaints


def weights(folder: Path) -> str:
    """SHA-256 of the weights of the model in `folder`; raises RunError if it has none."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise RunError(f"{folder}: holds no safetensors")
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in `path`; empty if the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _numbered(checkpoints: Path) -> list[tuple[int, Path]]:
    found = [(int(path.name.removeprefix("step-")), path) for path in checkpoints.glob("step-*") if path.is_dir()]
    return sorted(found, reverse=True)


def _damage(folder: Path) -> str | None:
    try:
        index = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        files = dict(index["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return "checkpoint.json is missing or damaged"
    for name, checksum in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if _checksum(path) != checksum:
            return f"{name} is damaged"
    return None


def _checksum(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
