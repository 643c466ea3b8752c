"""`python -m theory.tables`: compute the table behind each figure of the theory, with its manifest.

Writes `<out>/theory/<fig>.csv` and beside it `<fig>.json`: the manifest, with the sha256 of the CSV, without which
`figures/` refuses to draw. Figures are the modules `theory/table_data/fig_*.py`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import io
import pkgutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from repro.files import write_json, write_text
from repro.manifest import manifest
from repro.names import nearest
from theory import table_data


def names() -> list[str]:
    """The figures that have a module in `theory.table_data`, sorted."""
    return sorted(found.name for found in pkgutil.iter_modules(table_data.__path__) if found.name.startswith("fig_"))


def to_csv(columns: Mapping[str, Any]) -> str:
    """The columns as CSV text, floats as `%.8g`, NaN as an empty cell.

    Raises ValueError, naming the column, if one is not a vector, has another length than the first, or holds infinity.
    """
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    first, length = next(((name, array.size) for name, array in arrays.items()), ("", 0))
    if not length:
        raise ValueError(f"columns={list(columns)}: the table is empty")
    for name, array in arrays.items():
        if array.ndim != 1 or array.size != length:
            raise ValueError(f"column {name!r} has shape {array.shape}, column {first!r} has {length} rows")
        if array.dtype.kind == "f" and np.isinf(array).any():
            raise ValueError(f"column {name!r} holds an infinite value")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(arrays)
    writer.writerows(zip(*([_cell(value) for value in array.tolist()] for array in arrays.values())))
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.8g}"
    return str(value)


def write(name: str, out: Path) -> Path:
    """Compute the table of figure `name`, write it and its manifest to `<out>/theory/`; return the CSV's path."""
    started = time.time()
    module = importlib.import_module(f"{table_data.__name__}.{name}")
    text = to_csv(module.table())
    path = Path(out) / "theory" / f"{name}.csv"
    record = path.with_suffix(".json")
    # Gone until the new table lies there: a run killed in between leaves a table that is refused, not a wrong pair.
    record.unlink(missing_ok=True)
    write_text(path, text)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    write_json(record, manifest(module.CONFIG, module.CONFIG.get("seed"), started, sha256=digest))
    return path


def main() -> int:
    """Write the tables asked for (default: all), a line each; 2 for a name that no figure has."""
    parser = argparse.ArgumentParser(prog="python -m theory.tables", description="Compute the tables behind figures.")
    parser.add_argument("--only", nargs="+", action="extend", metavar="FIG", help="figures by name (default: all)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="tables go to <out>/theory")
    options = parser.parse_args()
    chosen = options.only or names()
    unknown = next((name for name in chosen if name not in names()), None)
    if unknown:
        parser.exit(2, f"{parser.prog}: no figure {unknown!r}{nearest(unknown, names())}\n")
    for name in chosen:
        started = time.time()
        path = write(name, options.out)
        print(f"{name}: {path} ({time.time() - started:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
