"""Where a theory exhibit's numbers come from: the run at hand, else the committed results; else refused by name."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from figures import style
from repro.manifest import ROOT, missing_fields


class SourceError(ValueError):
    """The numbers behind an exhibit are missing, or cannot be trusted; the message is one line that names the file."""


def table(name: str, out: Path) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """The table `name`, its manifest and its origin (`run at hand` or `results`).

    Read from `<out>/theory/`, else from `results/theory/`. Raises SourceError if it is in neither place, has no
    complete manifest, or is not the file that its manifest was written for.
    """
    places = {"run at hand": Path(out) / "theory", "results": ROOT / "results" / "theory"}
    origin = next((place for place, folder in places.items() if (folder / f"{name}.csv").is_file()), None)
    if origin is None:
        raise SourceError(f"{name}.csv: not computed; `python -m theory.exhibits --only {name}` makes it")
    path, record = places[origin] / f"{name}.csv", places[origin] / f"{name}.json"
    try:
        manifest = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{record}: no manifest that can be read ({error})") from None
    missing = missing_fields(manifest)
    if missing:
        raise SourceError(f"{record}: the manifest lacks {', '.join(missing)}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
        raise SourceError(f"{path}: changed after its manifest was written (checksum differs); compute it again")
    return pd.read_csv(BytesIO(content)), manifest, origin


def figure(
    name: str,
    draw: Callable[[pd.DataFrame], Figure],
    measured: Callable[[Path, str], pd.DataFrame] | None = None,
) -> int:
    """The command line of a theory figure: draw it from its table; 2 and one line if the table is refused.

    measured: rows to add from the trained models under a folder at a scale; raises ValueError to refuse.
    """
    parser = argparse.ArgumentParser(prog=f"python -m figures.{name}")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the run at hand, and where the figure goes")
    if measured is not None:
        parser.add_argument("--scale", default="cpu", choices=["cpu", "gpu", "paper"])
    options = parser.parse_args()
    try:
        data, _, origin = table(name, options.out)
        if measured is not None:
            data = pd.concat([data, measured(options.out, options.scale)], ignore_index=True)
    except ValueError as error:
        print(f"{name}: not drawn: {error}", file=sys.stderr)
        return 2
    style.use()
    style.save(draw(data), name, data, options.out)
    print(f"{name}: drawn from theory ({origin})")
    return 0
