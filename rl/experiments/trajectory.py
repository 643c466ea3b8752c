"""Exact evaluations of the held-out problems along a run: what the mean over its last part is made of.

One evaluation at one step is a noisy endpoint: a run made again differs by more than the evaluation's own error. The
mean over several late steps is steadier, so each is kept, problem by problem.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from repro.files import replacing

LAST_PART = 5  # endpoints and scores are means over the evaluations in the last fifth of the steps
TABLE = "heldout-steps.parquet"


def in_last_part(step: float, steps: float) -> bool:
    """Whether an evaluation at `step` of `steps` counts for the endpoint."""
    return step > steps - steps // LAST_PART


def endpoint_steps(steps: int, every: int) -> list[int]:
    """The steps whose evaluations make the endpoint: the multiples of `every` in the last fifth, and the last step."""
    return sorted({*(step for step in range(0, steps + 1, every) if in_last_part(step, steps)), steps})


def keep(folder: Path, step: int, problems: pd.DataFrame) -> None:
    """Write C of each problem at `step` (columns `problem`, `C` of `problems`) into the run's `heldout/`."""
    with replacing(folder / "heldout" / f"step-{step:06d}.parquet") as temporary:
        problems[["problem", "C"]].astype({"C": "float32"}).to_parquet(temporary, index=False)


def gather(folder: Path, steps: int, every: int) -> None:
    """Put the evaluations that make the endpoint into one table beside the run: columns problem, step, C.

    Raises FileNotFoundError if one of them is missing.
    """
    parts = [
        pd.read_parquet(folder / "heldout" / f"step-{step:06d}.parquet").assign(step=step)
        for step in endpoint_steps(steps, every)
    ]
    table = pd.concat(parts, ignore_index=True)[["problem", "step", "C"]]
    with replacing(folder / TABLE) as temporary:
        table.astype({"problem": "category", "step": "int32"}).to_parquet(temporary, index=False, compression="zstd")
