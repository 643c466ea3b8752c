"""Recorded runs made for tests: the files that a real run leaves, with numbers chosen here."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from differential_smoothing.passk import distinct_at_k, pass_at_k
from repro.manifest import manifest

SAMPLED_KS = (1, 4, 8)
_DRAWN = 16


def write_run(
    out: Path,
    method: str,
    seed: int,
    correctness: np.ndarray,
    experiment: str = "demo",
    shared: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    gini: np.ndarray | float = 0.5,
    gap: np.ndarray | float = 2.0,
) -> Path:
    """One run folder under `out`, with the given C for each problem; gap: E_I[log pi] − E_K[log pi], nats."""
    folder = out / "runs" / experiment / f"seed{seed}" / method
    folder.mkdir(parents=True)
    parts = {
        "name": experiment,
        "scale": "cpu",
        "task": {"numbers": 3},
        "base": {"layers": 2},
        "train": {"steps": 20, "num_generations": 8},
    }
    config = {**parts, "evaluate": {"ks": [1, 8]}, **(shared or {}), "method": {"name": method, **(options or {})}}
    made = manifest(config, seed, time.time())
    n = len(correctness)
    table = pd.DataFrame(
        {
            "problem": [f"p{i}" for i in range(n)],
            "solutions": np.arange(n) % 9 + 1,
            "strings": np.arange(n) % 9 + 3,
            "C": correctness,
            "gini_simpson": np.full(n, gini),
            "entropy": np.full(n, 2 * gini),
            "coverage_128": np.full(n, 4 * gini),
            "logp_correct": np.full(n, -5.0),
            "logp_incorrect": np.full(n, -5.0) + gap,
        }
    )
    table.to_parquet(folder / "eval-heldout.parquet")
    summary = {"split": "heldout", "mode": "exact", "C": float(correctness.mean()), "problems": n, "manifest": made}
    (folder / "eval-heldout.json").write_text(json.dumps(summary))
    (folder / "manifest.json").write_text(json.dumps(made))
    if method != "base":
        rows = [
            {"step": step, "reward": 0.3 + step / 100, "entropy": 1 - step / 50, "loss": 0.0}
            | (
                {
                    "val/pass@1": 0.3 + step / 100,
                    "val/pass@128": 0.9 - step / 100,
                    "val/pass@1024": 0.95 - step / 200,
                    "val/gini_simpson": 0.6 - step / 100,
                }
                if step % 10 == 0
                else {}
            )
            for step in range(21)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_experiment(out: Path, seeds: int = 3, problems: int = 40, experiment: str = "demo") -> None:
    """base, grpo, ds-grpo: GRPO is sharper than base, DS-GRPO above GRPO everywhere by about .05 in C."""
    rng = np.random.default_rng(0)
    for seed in range(seeds):
        base = rng.beta(1.0, 2.0, problems)
        grpo = np.clip(np.where(base > 0.2, base + 0.2, 0.0), 0, 1)
        smooth = np.clip(grpo + 0.05 + 0.01 * rng.random(problems), 0, 1)
        for method, values, gini in (("base", base, 0.7), ("grpo", grpo, 0.3), ("ds-grpo", smooth, 0.5 + seed / 100)):
            write_run(out, method, seed, values, experiment, gini=gini)


def write_sampled(
    out: Path,
    method: str,
    seed: int,
    counts: np.ndarray,
    experiment: str = "sums",
    scale: str = "cpu",
    benchmarks: tuple[str, ...] = ("level1", "level2"),
    task: str = "linear",
    base: dict[str, Any] | None = None,
    routes: int = 3,
) -> Path:
    """One run whose evaluation drew 16 completions for each problem, `counts` of them right, shared out over `routes`.

    Problems belong to the benchmarks in turn; of the wrong completions one in each problem has no answer.
    """
    folder = out / "runs" / experiment / f"seed{seed}" / method
    folder.mkdir(parents=True)
    parts = {"name": experiment, "scale": scale, "task": {"name": task}, "base": base or {"layers": 2}, "train": {}}
    config = {**parts, "evaluate": {"mode": "sampled", "ks": list(SAMPLED_KS)}, "method": {"name": method}}
    made = manifest(config, seed, time.time())
    table = pd.DataFrame([_sampled_row(f"p{i}", int(c), routes) for i, c in enumerate(counts)])
    table["benchmark"] = [benchmarks[i % len(benchmarks)] for i in range(len(counts))]
    table.to_parquet(folder / "eval-heldout.parquet")
    summary = {"split": "heldout", "mode": "sampled", "C": float(table["C"].mean()), "parameters": 149440}
    summary |= {"benchmarks": {str(name): _reasons(part["c"]) for name, part in table.groupby("benchmark")}}
    summary |= {**_reasons(table["c"]), "manifest": made}
    (folder / "eval-heldout.json").write_text(json.dumps(summary))
    (folder / "manifest.json").write_text(json.dumps(made))
    return folder


def _sampled_row(name: str, right: int, routes: int) -> dict[str, Any]:
    forms = [len(part) for part in np.array_split(np.arange(right), routes)]
    return {
        "problem": name,
        "n": _DRAWN,
        "c": right,
        "C": right / _DRAWN,
        **{f"passk_{k}": pass_at_k(_DRAWN, right, k) for k in SAMPLED_KS},
        **{f"distinct_{k}": distinct_at_k(_DRAWN, forms, k) for k in SAMPLED_KS},
        "gini_simpson": 0.5,
    }


def _reasons(right: pd.Series) -> dict[str, dict[str, int]]:
    wrong = _DRAWN - right
    silent = int((wrong > 0).sum())
    return {"reasons": {"correct": int(right.sum()), "wrong": int(wrong.sum()) - silent, "no answer": silent}}


def write_mathematics(out: Path, seeds: int = 3, problems: int = 12, **more: Any) -> None:
    """base, grpo, ds-grpo, sampled: GRPO has the higher Pass@1 of the first two, DS-GRPO is above both."""
    rng = np.random.default_rng(1)
    for seed in range(seeds):
        base = rng.integers(2, 9, problems)
        grpo = np.where(base > 4, base + 6, 0)
        for method, counts, routes in (("base", base, 4), ("grpo", grpo, 1), ("ds-grpo", grpo + 2, 2)):
            write_sampled(out, method, seed, counts, routes=routes, **more)
