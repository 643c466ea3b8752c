"""`python -m repro.stage NAME … -- MODULE ARGUMENTS`: run one stage of the pipeline, if it is stale.

A stage is stale when its command, the files it reads, the project source its modules import, or the versions of the
packages that decide numbers have changed since it last finished, or when something that it writes is gone.
"""

from __future__ import annotations

import argparse
import glob
import json
import subprocess
import sys
import time
from pathlib import Path

from repro.files import write_json
from repro.manifest import versions
from repro.sources import closure, digest


def stage_digest(command: list[str], modules: list[str], reads: list[str]) -> str:
    """The hash that decides whether a stage is stale. Raises FileNotFoundError for an input that does not exist."""
    inputs: list[Path] = []
    for pattern in reads:
        found = sorted(glob.glob(pattern))
        if not found:
            raise FileNotFoundError(pattern)
        inputs.extend(Path(name) for name in found)
    words = [*command, *(f"{name}={version}" for name, version in versions().items())]
    return digest([*closure(modules), *inputs], words)


def is_fresh(stamp: Path, current: str, writes: list[str]) -> bool:
    """True iff the stage finished with this digest and all that it writes is still there."""
    try:
        recorded = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return recorded.get("digest") == current and all(Path(name).exists() for name in writes)


def main() -> int:
    """Run the stage; return the command's exit status, 2 when an input is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.stage", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("name")
    parser.add_argument("--title", default="")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--module", action="append", default=[], help="a further module whose source counts")
    parser.add_argument("--reads", action="append", default=[], help="a file, folder or glob that the stage reads")
    parser.add_argument("--writes", action="append", default=[], help="a file or folder that it makes")
    parser.add_argument("command", nargs="+", metavar="-- MODULE ARGUMENT")
    arguments = parser.parse_args()
    stamp = arguments.out / "stages" / f"{arguments.name.replace('/', '-')}.json"
    label = f"{arguments.name:<22} {arguments.title}"
    try:
        current = stage_digest(arguments.command, [arguments.command[0], *arguments.module], arguments.reads)
    except FileNotFoundError as missing:
        print(f"✗ {label}: its input {missing} is missing; run the stage that makes it", file=sys.stderr)
        return 2
    if is_fresh(stamp, current, arguments.writes):
        print(f"✓ {label} (up to date)", flush=True)
        return 0
    print(f"▶ {label}", flush=True)
    stamp.unlink(missing_ok=True)
    started = time.time()
    status = subprocess.call([sys.executable, "-m", *arguments.command])
    seconds = time.time() - started
    if status:
        print(f"✗ {label}: failed with status {status} after {seconds:.0f} s", file=sys.stderr, flush=True)
        return status
    absent = [name for name in arguments.writes if not Path(name).exists()]
    if absent:
        print(f"✗ {label}: finished, but did not write {', '.join(absent)}", file=sys.stderr, flush=True)
        return 1
    write_json(stamp, {"digest": current, "seconds": round(seconds, 1), "title": arguments.title})
    print(f"✓ {label} ({seconds:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
