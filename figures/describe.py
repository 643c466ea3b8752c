"""Models and methods of recorded runs, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl.analysis.results import ResultError, Results, Run


def model_name(results: Results) -> str:
    """`Qwen2.5-Math-7B`, or `model made here, 149,440 parameters`; raises ResultError if nothing says how many."""
    run = results.runs[0]
    if "model" in run.config["base"]:
        return Path(run.config["base"]["model"]).name
    if "parameters" not in run.summary:
        raise ResultError(f"{run.evaluation}: does not say how many parameters the model has; evaluate the run again")
    return f"model made here, {run.summary['parameters']:,} parameters"


def options(run: Run, usual: Mapping[str, Any] | None = None) -> str:
    """`gamma_p 0.3, center True`: the options of the run's method, but for those in `usual`; empty for `base`."""
    chosen = run.config.get("method", {}).items()
    left_out = (usual or {}).items()
    return ", ".join(f"{key} {value}" for key, value in chosen if key != "name" and (key, value) not in left_out)
