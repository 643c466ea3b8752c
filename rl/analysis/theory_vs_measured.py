"""What T11 and T12 predict of methods whose advantages are functions of the rewards, beside what was measured.

T12: which of them end high at Pass@1 and which at large k, in the smallest model where strategies are shared (T9's
uneven one). T11: on a tabular policy none of them moves the diversity of a prompt's correct answers but through its C.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from differential_smoothing.methods.variants import kind
from rl.analysis.comparisons import column, common, correctness, over_seeds, pass_at, seed_means
from rl.analysis.results import ResultError, Results, Run
from theory import strategies, utility, weights

K = 128
MODEL_K = 8
"""What stands for `K` in T9's model of four prompts, where at 64 all but GRPO and DS-GRPO are at 1."""
TIME = 1e10
"""Of T12's flow, by which its limit is reached."""
NEAR = 0.5
"""Two models are compared on the problems whose logit C differ by at most this."""
FEWEST = 20
"""Problems that a comparison at equal C needs."""


def advantages(run: Run) -> weights.Advantages | None:
    """f(r, c) of a run's method with its own options and group size; of DS-GRPO its base's; None for all others."""
    options, size = run.config["method"], int(run.config["train"]["num_generations"])
    match kind(run.method):
        case "grpo":
            return weights.grpo(size)
        case "ds-grpo" if options.get("base", "grpo") == "grpo":
            return weights.grpo(size)
        case "dr-grpo":
            return weights.dr_grpo(size)
        case "f-grpo":
            return weights.f_grpo(size, options["gamma"])
        case "passk-training":
            return weights.passk_training(size, options["k"])
        case "pkpo":
            return weights.pkpo(size, options["k"])
        case "maxrl":
            return weights.maxrl(size, options["unbiased"])
        case "w-reinforce" | "psr" | "nsr":
            return weights.reinforce(size, options["positive"], options["negative"])
        case "bbg":
            return weights.bbg(size, options["k"], options["tau"], options["positive"])
    return None


def covered(results: Results) -> list[str]:
    """The methods that T12 speaks of, variants left out."""
    return [name for name in results.methods() if name == kind(name) and advantages(_any(results, name)) is not None]


def predicted(results: Results) -> pd.DataFrame:
    """T12's limit with each method's own options: rows method, columns pass_1 and pass_k (k = `MODEL_K`)."""
    model = strategies.UNEVEN
    found = {}
    for method in covered(results):
        run = _any(results, method)
        options, base = run.config["method"], advantages(run)
        assert base is not None
        gammas = (options.get("gamma_p", 0.0), options.get("gamma_n", 0.0))
        end = utility.flow(model.log_p0, model.table, base, [TIME], *gammas)[-1]
        success = strategies.success(end, model.table)
        found[method] = [float(strategies.pass_at_k(success, each)) for each in (1, MODEL_K)]
    return pd.DataFrame.from_dict(found, orient="index", columns=["pass_1", "pass_k"]).rename_axis("method")


def measured(results: Results) -> pd.DataFrame:
    """Pass@1 and Pass@`K` of each covered method over the common seeds: columns method, k, seeds, as `over_seeds`."""
    methods = covered(results)
    seeds = common(results, *methods)
    rows = []
    for method in methods:
        for k in (1, K):
            found = over_seeds(seed_means(results, method, seeds, pass_at(k)))
            rows.append({"method": method, "k": k, **found, "seeds": len(seeds)})
    return pd.DataFrame(rows)


def agreement(results: Results) -> list[dict[str, Any]]:
    """Kendall's tau-b between predicted and measured order of the covered methods, at Pass@1 and at Pass@`K`.

    Each with k, methods, seeds, tau over seeds with its 95% t-interval cut at ±1, and p: how often a random order
    agrees as well with the mean over seeds (one-sided). ResultError for fewer than three methods.
    """
    methods = covered(results)
    if len(methods) < 3:
        raise ResultError(f"{results.experiment}: an order needs three methods that T12 speaks of; {methods} were run")
    expected = predicted(results)
    seeds = common(results, *methods)
    rows = []
    for place, each in (("pass_1", 1), ("pass_k", K)):
        there = expected.loc[methods, place].round(6).to_numpy()
        here = np.array([seed_means(results, method, seeds, pass_at(each)) for method in methods])
        taus = [_tau(there, one) for one in here.T]
        rows.append(
            {
                "k": each,
                "methods": len(methods),
                **{name: float(np.clip(value, -1, 1)) for name, value in over_seeds(taus).items()},
                "seeds": len(seeds),
                "p": permutation_p(there, here.mean(axis=1)),
            }
        )
    return rows


def permutation_p(expected: np.ndarray, found: np.ndarray) -> float:
    """The share of orders of `found` (methods,) whose tau with `expected` is at least that of `found` itself."""
    result = stats.permutation_test(
        (found,),
        lambda values: _tau(expected, values),
        permutation_type="pairings",
        alternative="greater",
        n_resamples=9_999,  # all orders of up to seven methods
        rng=0,
        vectorized=False,
    )
    return float(result.pvalue)


def off_orbit(results: Results, method: str, reference: str = "grpo") -> dict[str, Any]:
    """Gini–Simpson of pi_K minus the reference's *at equal C of the same problem*; T11 says 0 on a tabular policy.

    Per seed the intercept of the difference regressed on that of logit C, over problems with several solutions whose
    logit C differ by at most `NEAR`; mean and 95% t-interval over seeds, and the mean number of problems.
    """
    seeds = common(results, method, reference)
    found, counts = [], []
    for seed in seeds:
        value, count = at_equal_success(results.of(method)[seed], results.of(reference)[seed])
        found.append(value)
        counts.append(count)
    return {**over_seeds(found), "seeds": len(seeds), "problems": float(np.mean(counts))}


def at_equal_success(run: Run, reference: Run) -> tuple[float, int]:
    """The intercept of one seed and its number of problems; ResultError for fewer problems than `FEWEST`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.subtract(*(_logit(correctness(one)) for one in (run, reference)))
    y = np.subtract(*(column("gini_simpson")(one) for one in (run, reference)))
    several = column("solutions")(run) > 1
    near = several & np.isfinite(x) & np.isfinite(y) & (np.abs(x) <= NEAR)
    if near.sum() < FEWEST or np.ptp(x[near]) == 0:
        few = f"{near.sum()} problems with several solutions near, and at different, C of {reference.method}"
        raise ResultError(f"{run.evaluation}: {few}")
    return float(np.polynomial.polynomial.polyfit(x[near], y[near], 1)[0]), int(near.sum())


def _logit(c: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(c) - np.log1p(-c))


def _tau(expected: np.ndarray, found: np.ndarray) -> float:
    """Kendall's tau-b; 0 where one of them is constant, which is no order."""
    value = float(stats.kendalltau(expected, found).statistic)
    return 0.0 if np.isnan(value) else value


def _any(results: Results, method: str) -> Run:
    return next(iter(results.of(method).values()))
