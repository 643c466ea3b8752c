"""Runs of the saturated protocol made for tests: the files of real ones, with effects chosen here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from recorded import write_run

from rl.analysis import protocol

EFFECTS = {"grpo": 0.0, "ds-grpo": 0.03, "entropy-bonus": 0.001, "entropy-penalty": -0.03}
PROBLEMS = np.append(np.random.default_rng(0).beta(1, 2, 40) * 0.8, np.zeros(10))
STEPS = range(0, 21, 2)


def write(out: Path, method: str, seed: int, effect: float, experiment: str = protocol.EXPERIMENT) -> None:
    """A run that rises to its end in 20 steps, evaluated every other one; Pass@1 follows, Pass@8 and more fall."""
    rng = np.random.default_rng([seed, len(method)])
    c = np.clip(PROBLEMS * (1 + 0.01 * (seed - 10) + rng.normal(0, 0.005)) + effect, 0, 1)
    folder = write_run(out, method, seed, c, experiment)
    late = [(f"p{i}", step, value) for step in (18, 20) for i, value in enumerate(c)]
    pd.DataFrame(late, columns=["problem", "step", "C"]).to_parquet(folder / "heldout-steps.parquet")
    rows = []
    for step in STEPS:
        level = float(c.mean()) * (0.5 + step / 40)
        row = {"step": step, "val/pass@1": level, "heldout/pass@1": level}
        rows.append(row | {f"heldout/pass@{k}": 0.9 + effect - step / 100 for k in (8, 128, 1024)})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_saturated(out: Path) -> None:
    """Four whole seeds; MaxRL and the pair for two, and a control for these."""
    for seed in range(10, 14):
        write_run(out, "base", seed, PROBLEMS, protocol.EXPERIMENT)
        for method, effect in EFFECTS.items():
            write(out, method, seed, effect)
    for seed in (10, 11):
        for method, effect in (("maxrl", 0.0), ("ds-grpo@maxrl", 0.05)):
            write(out, method, seed, effect)
        write(out, "grpo", seed, 0.02, "countdown-saturated-lr3")
