"""Writing files and folders so that a killed process never leaves half of one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it onto `path` on success, delete it on error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept: writers such as matplotlib and pandas choose their format by it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    temporary.chmod(0o644)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(target: Path, staging: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder to write into; it becomes `target` when all in it is on the disk, and is deleted on error.

    staging: where, if other processes must know the place; then what lies at `target` is replaced. By default the place
    is its own, and a `target` that another process made meanwhile stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if staging is None:
        made = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        made.chmod(0o755)
    else:
        made = staging
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
    try:
        yield made
        for path in sorted(made.rglob("*")):
            sync(path)
        sync(made)
        if staging is not None and target.exists():
            shutil.rmtree(target)
        made.rename(target)
        sync(target.parent)
    except OSError:
        if staging is not None or not target.exists():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON with a final newline; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
