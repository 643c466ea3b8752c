"""`python -m figures.compare`: hold a new run against the committed results: same theory, overlapping intervals."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.manifest import ROOT
from rl.analysis.comparisons import Quantity, column, interval, pass_at
from rl.analysis.results import ResultError, Results, load

CLOSE = 1e-5  # of theory's numbers across processors, relative to the largest in the column
LARGE_K = 1024  # of exact evaluations, which have every k


def compare_theory(new: Path, old: Path) -> list[tuple[bool, str]]:
    """(agrees, line) for the verification and for each table that both folders hold."""
    lines = []
    records = [folder / "verify.json" for folder in (new, old)]
    if all(path.is_file() for path in records):
        held = [{t["id"]: t["holds"] for t in json.loads(path.read_text())["theorems"]} for path in records]
        changed = [name for name in held[1] if held[0].get(name) != held[1][name]]
        lines.append((not changed, f"theorems: {', '.join(changed) or 'the same ones hold'}"))
    for path in sorted(new.glob("*.csv")):
        if (old / path.name).is_file():
            apart = distance(pd.read_csv(path), pd.read_csv(old / path.name))
            lines.append((apart <= CLOSE, f"{path.stem}: largest relative difference {apart:.1e}"))
    return lines


def distance(new: pd.DataFrame, old: pd.DataFrame) -> float:
    """The largest difference of two tables' numbers, relative to their column; infinite if shape or texts differ."""
    if list(new.columns) != list(old.columns) or len(new) != len(old):
        return float("inf")
    worst = 0.0
    for name in new.columns:
        if pd.api.types.is_numeric_dtype(old[name]) and pd.api.types.is_numeric_dtype(new[name]):
            a, b = new[name].to_numpy(float), old[name].to_numpy(float)
            if (np.isnan(a) != np.isnan(b)).any():
                return float("inf")
            scale = max(float(np.nanmax(np.abs(b), initial=0.0)), 1e-12)
            worst = max(worst, float(np.nanmax(np.abs(a - b), initial=0.0)) / scale)
        elif not new[name].astype(str).equals(old[name].astype(str)):
            return float("inf")
    return worst


def quantities(*compared: Results) -> dict[str, Quantity]:
    """What is compared: Pass@1, Pass@k for a large k that all have, diversity."""
    large = min(LARGE_K if one.runs[0].exact else one.runs[0].ks[-1] for one in compared)
    return {"Pass@1": pass_at(1), f"Pass@{large}": pass_at(large), "Gini–Simpson": column("gini_simpson")}


def compare_runs(new: Results, old: Results) -> list[tuple[bool, str]]:
    """(agrees, line) for every method that both have: intervals of each quantity overlap."""
    lines = []
    for method in (name for name in new.methods() if name in old.methods()):
        for name, quantity in quantities(new, old).items():
            ours, theirs = (interval([quantity(run) for run in which.of(method).values()]) for which in (new, old))
            agrees = ours["low"] <= theirs["high"] and theirs["low"] <= ours["high"]
            lines.append((agrees, f"{new.experiment}, {method}, {name}: {_show(ours)} against {_show(theirs)}"))
    return lines


def _show(found: dict[str, Any]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> int:
    """Print a line for each comparison; 1 if one disagrees, 2 if there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="python -m figures.compare", description="Compare a run with the results.")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--scale", default="cpu", choices=["cpu", "llm", "gpu", "paper"])
    options = parser.parse_args()
    lines = compare_theory(options.out / "theory", ROOT / "results" / "theory")
    for folder in sorted((options.out / "runs").glob("*/")):
        try:
            old = load(folder.name, None, options.scale)
            lines += compare_runs(load(folder.name, options.out, options.scale), old)
        except ResultError as error:
            print(f"–  {folder.name}: not compared: {error}")
    for agrees, line in lines:
        print("✓ " if agrees else "✗ ", line)
    if not lines:
        print(f"figures.compare: {options.out} and results/ have nothing in common", file=sys.stderr)
        return 2
    return 0 if all(agrees for agrees, _ in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
