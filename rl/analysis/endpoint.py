"""The endpoint of long runs: the mean over the exact evaluations of the last fifth of the steps, and its spread.

`python -m rl.analysis.endpoint EXPERIMENT` says how many seeds a protocol needs, from the spread of its primary
differences alone: no mean and no sign is shown, so that looking at it does not spoil what follows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from differential_smoothing.passk import pass_at_k_exact
from rl.analysis.comparisons import Quantity, common, correctness
from rl.analysis.results import ResultError, Results, Run, load
from rl.analysis.statistics import power_of_equality

# docs/protocols/countdown-saturated.md
MARGIN, POWER, FEWEST, MOST = 0.01, 0.9, 8, 16
PRIMARY = (("ds-grpo", "grpo"), ("ds-grpo", "entropy-bonus"), ("ds-grpo", "entropy-penalty"))
KS = (1, 1024)


def at_end(of: Callable[[np.ndarray], np.ndarray]) -> Quantity:
    """A function of C for each held-out problem, its mean over the evaluations of the run's last fifth.

    Of a base model, which has no training, that of its one evaluation. Raises ResultError, naming the run, where it was
    recorded without evaluations along it.
    """

    def quantity(run: Run) -> np.ndarray:
        if run.method == "base":
            return of(correctness(run))
        if run.trajectory.empty:
            raise ResultError(f"{run.evaluation}: without evaluations along the run; set train.heldout_every")
        table = run.trajectory.astype({"problem": str})
        mean = pd.Series(of(table["C"].to_numpy(dtype=float)), table["problem"]).groupby(level=0).mean()
        return mean.loc[run.problems["problem"].astype(str)].to_numpy()

    return quantity


def at_endpoint(k: int) -> Quantity:
    """Pass@k of each held-out problem at the endpoint (see `at_end`)."""
    return at_end(lambda c: pass_at_k_exact(c, k))


def area_at_endpoint(largest: int) -> Quantity:
    """The area under Pass@k of each held-out problem at the endpoint (see `passk_area`)."""
    return at_end(lambda c: passk_area(c, largest))


def passk_area(c: np.ndarray, largest: int) -> np.ndarray:
    """Mean of 1 − (1 − C)^k over log k from 0 to log `largest`, elementwise: every k counts by its order of size."""
    logs = np.linspace(0, np.log(largest), 65)
    with np.errstate(divide="ignore"):
        values = -np.expm1(np.exp(logs)[:, None] * np.log1p(-np.asarray(c, dtype=float)))
    return np.asarray(np.trapezoid(values, logs, axis=0) / logs[-1])


def spread(results: Results, method: str, reference: str, k: int) -> tuple[float, int]:
    """The standard deviation over common seeds of the difference at the endpoint, and how many seeds there are."""
    seeds = common(results, method, reference)
    quantity = at_endpoint(k)
    found = [quantity(results.of(method)[s]).mean() - quantity(results.of(reference)[s]).mean() for s in seeds]
    if len(found) < 2:
        raise ResultError(f"{results.experiment}: one seed of {method} and {reference} has no spread")
    return float(np.std(found, ddof=1)), len(found)


def seeds_needed(sd: float) -> int:
    """The least number of seeds, within the protocol's bounds, whose test of equality has its power."""
    enough = (n for n in range(FEWEST, MOST) if power_of_equality(n, sd, MARGIN) >= POWER)
    return next(enough, MOST)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print spreads and the number of seeds; 2 and one line if runs are missing."""
    parser = argparse.ArgumentParser(
        prog="python -m rl.analysis.endpoint", description="How many seeds a protocol needs."
    )
    parser.add_argument("experiment", nargs="?", default="countdown-saturated")
    parser.add_argument("--out", type=Path, default=Path("build"))
    options = parser.parse_args(arguments)
    try:
        results = load(options.experiment, options.out)
        first = 0.0
        for method, reference in PRIMARY:
            for k in KS:
                sd, seeds = spread(results, method, reference, k)
                print(f"{method} − {reference}, Pass@{k}: sd {sd:.4f} over {seeds} seeds")
                first = max(first, sd) if k == 1 else first
    except ResultError as error:
        print(f"rl.analysis.endpoint: {error}", file=sys.stderr)
        return 2
    print(
        f"{seeds_needed(first)} seeds: power {POWER:g} for equality within {MARGIN:g} at Pass@1, "
        f"not fewer than {FEWEST} nor more than {MOST}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
