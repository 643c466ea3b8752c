"""Every setting that the runs behind the other figures and tables had, read from their manifests."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd

from figures.command import table
from rl.analysis.reads import MAIN, Experiment
from rl.analysis.results import Results

READS = (Experiment(MAIN),)


def frame(results: Results) -> pd.DataFrame:
    """Rows (where, setting, value): what all runs share, then each method's own options and cost."""
    shared = next(iter(results.of(results.methods()[0]).values())).config
    rows: list[dict[str, Any]] = []
    for part in ("task", "base", "train", "evaluate"):
        rows += [{"where": part, "setting": key, "value": _text(value)} for key, value in shared[part].items()]
    for method in results.methods():
        runs = results.of(method)
        one = next(iter(runs.values()))
        for key, value in one.config.get("method", {}).items():
            if key != "name":
                rows.append({"where": method, "setting": key, "value": _text(value)})
        rows.append({"where": method, "setting": "seeds", "value": ", ".join(str(seed) for seed in runs)})
        minutes = sum(run.manifest["wall_time_s"] for run in runs.values()) / len(runs) / 60
        rows.append({"where": method, "setting": "wall time of a run (minutes, mean)", "value": f"{minutes:.1f}"})
    versions = ", ".join(f"{name} {version}" for name, version in one.manifest["versions"].items())
    rows.append({"where": "environment", "setting": "versions", "value": versions})
    rows.append({"where": "environment", "setting": "hardware", "value": _text(one.manifest["hardware"])})
    return pd.DataFrame(rows)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(table("tab_settings", READS, frame, "All settings, from the manifests."))
