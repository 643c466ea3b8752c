"""Is a method more than another one stopped earlier? Pass@k at equal Pass@1, on isotonic curves along training.

Held-out Pass@1 rises with noise; its isotonic regression on the step is the curve on which stops are read. It always
stops at the start of a plateau, where Pass@k is higher than at the end: a method held against itself (the placebo) says
how much of a difference is due to that. The older `against_early_stopping` reads raw curves of validation problems.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from rl.analysis.comparisons import common, over_seeds
from rl.analysis.results import ResultError, Results, Run
from rl.experiments.trajectory import in_last_part

ROUNDING = 1e-9  # a plateau of an isotonic regression is level up to rounding


@dataclass(frozen=True)
class Path:
    """One run along its training, one entry per evaluation. pass1: its isotonic regression. passk: as measured."""

    step: np.ndarray
    pass1: np.ndarray
    passk: np.ndarray

    @property
    def final(self) -> float:
        """The Pass@1 at the end of the curve."""
        return float(self.pass1[-1])

    @property
    def endpoint(self) -> tuple[float, float]:
        """Pass@1 on the curve and Pass@k, both as means over the evaluations of the last fifth of the steps."""
        last = [in_last_part(step, self.step[-1]) for step in self.step]
        return float(self.pass1[last].mean()), float(self.passk[last].mean())

    def stopped(self, pass1: float) -> tuple[float, float]:
        """The step at which the curve first has `pass1`, and Pass@k there, both linear between evaluations.

        Where it has more from the start, the start; where it never has so much, the start of its last plateau.
        """
        target = min(pass1, self.final)
        after = int(np.flatnonzero(self.pass1 >= target - ROUNDING)[0])
        if after == 0:
            return float(self.step[0]), float(self.passk[0])
        low, high = self.pass1[after - 1 : after + 1]
        share = (target - low) / (high - low)
        before = after - 1
        step, value = (series[before] + share * (series[after] - series[before]) for series in (self.step, self.passk))
        return float(step), float(value)


def path(run: Run, k: int, split: str = "heldout") -> Path:
    """The run's evaluations along training; raises ResultError if it has none with this k."""
    names = ["step", f"{split}/pass@1", f"{split}/pass@{k}"]
    rows = run.metrics.reindex(columns=names).dropna().to_numpy(dtype=float)
    if not len(rows):
        raise ResultError(f"{run.evaluation}: its metrics have no {names[2]}")
    step, pass1, passk = rows.T
    return Path(step, np.asarray(isotonic_regression(pass1).x), passk)


def at_equal_pass1(results: Results, method: str, reference: str, k: int) -> dict[str, Any]:
    """Pass@k of `method` − `reference`, each read where it first has the lower of their two final Pass@1.

    Paired by seed. Keys: those of `over_seeds`, seeds, differences (one a seed), step (of the method) and
    reference_step, means over seeds.
    """

    def compared(ours: Path, theirs: Path) -> tuple[float, float, float]:
        target = min(ours.final, theirs.final)
        (step, value), (other_step, other) = ours.stopped(target), theirs.stopped(target)
        return value - other, step, other_step

    return _over_seeds(_paths(results, method, reference, k), compared)


def end_against_stopped(results: Results, method: str, reference: str, k: int) -> dict[str, Any]:
    """Pass@k of `method` at its endpoint − that of `reference` where it first has the method's Pass@1 there.

    The placebo is a method against itself. Keys as of `at_equal_pass1`; reached: how many of the seeds' references have
    so much Pass@1 at all.
    """

    def compared(ours: Path, theirs: Path) -> tuple[float, float, float]:
        pass1, passk = ours.endpoint
        step, value = theirs.stopped(pass1)
        return passk - value, float(ours.step[-1]), step

    pairs = _paths(results, method, reference, k)
    reached = sum(ours.endpoint[0] <= theirs.final for ours, theirs in pairs)
    return {**_over_seeds(pairs, compared), "reached": reached}


def _paths(results: Results, method: str, reference: str, k: int) -> list[tuple[Path, Path]]:
    """Those of both, for each common seed."""
    ours, theirs = results.of(method), results.of(reference)
    return [(path(ours[seed], k), path(theirs[seed], k)) for seed in common(results, method, reference)]


def _over_seeds(
    pairs: Sequence[tuple[Path, Path]], compared: Callable[[Path, Path], tuple[float, float, float]]
) -> dict[str, Any]:
    differences, steps, reference_steps = zip(*(compared(*pair) for pair in pairs))
    means = {"step": float(np.mean(steps)), "reference_step": float(np.mean(reference_steps))}
    return {**over_seeds(differences), "seeds": len(pairs), "differences": list(differences), **means}


def early_stopped(trace: pd.DataFrame, pass1: float, quantity: str) -> tuple[float, float]:
    """The step at which the validations in `trace` first reach `pass1` in val/pass@1, and `quantity` there.

    Linear between two validations. The first one where it is reached at once; the last one where it never is. trace:
    columns step, val/pass@1 and `quantity`, in the order of steps; raises ResultError if it has no row.
    """
    if trace.empty:
        raise ResultError(f"no validations of val/pass@1 and {quantity}; run it with train.validate_every")
    reached = np.flatnonzero(trace["val/pass@1"].to_numpy() >= pass1)
    after = int(reached[0]) if reached.size else len(trace) - 1
    columns = trace[["step", quantity]].to_numpy(dtype=float)
    if after == 0 or not reached.size:
        step, value = columns[after]
    else:
        below, above = trace["val/pass@1"].to_numpy(dtype=float)[after - 1 : after + 1]
        share = (pass1 - below) / (above - below)
        step, value = columns[after - 1] + share * (columns[after] - columns[after - 1])
    return float(step), float(value)


def against_early_stopping(results: Results, method: str, k: int, reference: str = "grpo") -> dict[str, float]:
    """The Pass@k of `method` at its end minus that of `reference` stopped when it first had the same Pass@1.

    On validation problems, paired by seed: keys mean, low, high (95% t-interval over seeds, NaN for one), seeds, step
    (the reference's, mean over seeds). Raises NotRun if they share no seed, ResultError if one has no such validations.
    """
    name = f"val/pass@{k}"
    seeds = common(results, method, reference)
    differences, steps = [], []
    for seed in seeds:
        ours, theirs = (
            results.of(one)[seed].metrics.reindex(columns=["step", "val/pass@1", name]).dropna()
            for one in (method, reference)
        )
        if ours.empty:
            raise ResultError(f"{results.of(method)[seed].folder}: metrics.jsonl has no {name}; run it again")
        step, value = early_stopped(theirs, float(ours["val/pass@1"].iloc[-1]), name)
        differences.append(float(ours[name].iloc[-1]) - value)
        steps.append(step)
    return {**over_seeds(differences), "seeds": len(seeds), "step": float(np.mean(steps))}
