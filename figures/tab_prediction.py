"""T7 put to the test: does the base's gap of log-probs foresee whether a bonus or a penalty raises correctness?"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.cells import estimate, number
from figures.command import table
from rl.analysis.comparisons import over_seeds
from rl.analysis.prediction import across_problems, foreseen, gain, gaps
from rl.analysis.reads import Experiments

READS = (Experiments(EXPERIMENTS),)
PENALTY = {"entropy-bonus": False, "entropy-penalty": True, "logprob-bonus": False, "logprob-penalty": True}


def frame(compared: Compared) -> pd.DataFrame:
    """Rows (task, method): the base's gap, what T7 foresees, the gain in log-odds over GRPO, and whether it fits."""
    rows = []
    for name, results in compared.items():
        measured = {**over_seeds(gaps(results)), "seeds": len(gaps(results))}
        solutions = float(np.mean(next(iter(results.of("base").values())).problems["solutions"]))
        for method in (method for method in results.methods() if method in PENALTY):
            found, problems = gain(results, method), across_problems(results, method)
            rows.append(
                {
                    "task": name,
                    "solutions a problem": number(solutions, ".1f"),
                    "gap E_I − E_K of the base (nats)": estimate(measured, "+"),
                    "foreseen to help": "bonus" if measured["mean"] > 0 else "penalty",
                    "method": method,
                    "seeds": problems["seeds"],
                    "logit C − GRPO's (nats)": estimate(found, "+"),
                    "sign": foreseen(measured, found, PENALTY[method]),
                    "rank correlation across problems": estimate(problems, "+"),
                }
            )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(
        table(
            "tab_prediction",
            READS,
            frame,
            "T7 on trained models: gap of the base's mean log-probs, incorrect minus correct; 95% over seeds.",
        )
    )
