"""What T7 foresees of an entropy bonus or penalty, from the base model alone, and how well that came out.

T7: a small bonus raises correctness iff correct answers are on average less likely under the base than incorrect ones.
The quantity is the gap E_{pi0|I}[log pi0] − E_{pi0|K}[log pi0] in nats: positive foresees a bonus, negative a penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from rl.analysis.comparisons import common, over_seeds
from rl.analysis.results import Results, Run
from rl.analysis.verdicts import OPPOSITE, Status, status


def gap(base: Run) -> np.ndarray:
    """E_{pi0|I}[log pi0] − E_{pi0|K}[log pi0] of each held-out problem, (problems,), nats.

    NaN where the base gave no correct answer any mass, or no incorrect one was sampled.
    """
    incorrect, correct = (base.problems[f"logp_{which}"].to_numpy(dtype=float) for which in ("incorrect", "correct"))
    return np.asarray(incorrect - correct)


def gaps(results: Results) -> list[float]:
    """The mean gap over problems of each base model, in the order of the seeds."""
    return [float(np.nanmean(gap(run))) for _, run in sorted(results.of("base").items())]


def gain(results: Results, method: str) -> dict[str, Any]:
    """logit C(method) − logit C(GRPO), C the mean over problems: mean and 95% t-interval over common seeds."""
    seeds = common(results, method, "grpo")
    found = [_logit(results.of(method)[seed]) - _logit(results.of("grpo")[seed]) for seed in seeds]
    return {**over_seeds(found), "seeds": len(seeds)}


def _logit(run: Run) -> float:
    mean = float(run.problems["C"].mean())
    return float(np.log(mean) - np.log1p(-mean))


def across_problems(results: Results, method: str) -> dict[str, Any]:
    """Whether problems with a larger gap gain more by `method`: per seed, then over seeds.

    rho: Spearman's correlation of the base's gap with C(method) − C(GRPO), mean and 95% t-interval over seeds; T7
    foresees a positive one for a bonus, a negative one for a penalty. A seed without any variation counts as 0.
    """
    seeds = common(results, method, "grpo", "base")
    found = []
    for seed in seeds:
        x = gap(results.of("base")[seed])
        runs = (results.of(name)[seed].problems["C"].to_numpy() for name in (method, "grpo"))
        y = np.subtract(*runs)
        defined = ~np.isnan(x)
        varied = np.ptp(x[defined]) > 0 and np.ptp(y[defined]) > 0
        found.append(float(stats.spearmanr(x[defined], y[defined]).statistic) if varied else 0.0)
    return {**over_seeds(found), "seeds": len(seeds)}


def foreseen(gap_interval: dict[str, float], gain_interval: dict[str, float], penalty: bool) -> str:
    """`as foreseen`, `against`, or `undecided` where the interval of the gap or of the gain includes 0."""
    expected, found = (status(one["low"], one["high"]) for one in (gap_interval, gain_interval))
    if Status.UNDECIDED in (expected, found):
        return "undecided"
    return "as foreseen" if found == (OPPOSITE[expected] if penalty else expected) else "against"
