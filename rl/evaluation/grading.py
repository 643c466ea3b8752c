"""From completions to one row per problem: unbiased Pass@k, diversity, and what an enumeration left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from differential_smoothing.passk import distinct_at_k, pass_at_k
from rl.evaluation.diversity import coverage, gini_simpson_sampled, shannon_entropy
from rl.evaluation.sampled import Completion
from rl.tasks.base import Task

LEVEL = 0.95


def grade_samples(task: Task, problems: Sequence[Any], drawn: Sequence[Sequence[Completion]]) -> pd.DataFrame:
    """One row per completion: problem (id), sample, text, canonical, correct (NA: unscorable), reason, tokens,
    finished, logp (nats), verbatim (see `Completion`)."""
    rows = []
    for problem, completions in zip(problems, drawn):
        for number, one in enumerate(completions):
            verdict = task.verify(problem, one.text)
            rows.append(
                {
                    "problem": problem.id,
                    "sample": number,
                    "text": one.text,
                    "canonical": verdict.canonical,
                    "correct": verdict.correct,
                    "reason": verdict.reason,
                    "tokens": one.tokens,
                    "finished": one.finished,
                    "logp": one.logp,
                    "verbatim": one.verbatim,
                }
            )
    return pd.DataFrame(rows).astype({"correct": "boolean"})


def per_problem(
    samples: pd.DataFrame, ks: Sequence[int], solutions: Mapping[str, Set[str]] | None = None
) -> pd.DataFrame:
    """One row per problem from `grade_samples` samples, in their order; unscorable ones count as not correct.

    Columns: problem, n, c, C = c/n, passk_{k} and distinct_{k} (both unbiased), coverage_{k} (the share that is found
    of the canonical answers which `solutions` lists by problem; others are not counted), gini_simpson (unbiased) and
    entropy (nats, plug-in) of the correct answers, logp_correct and logp_incorrect (mean log-probs). Raises ValueError
    if a k exceeds n.
    """
    rows = []
    for name, group in samples.groupby("problem", sort=False):
        right = group["correct"].fillna(False).astype(bool)
        wrong = group["correct"].eq(False).fillna(False).astype(bool)
        counts = Counter(group.loc[right, "canonical"])
        n, c = len(group), int(right.sum())
        row = {"problem": name, "n": n, "c": c, "C": c / n}
        row |= {f"passk_{k}": pass_at_k(n, c, k) for k in ks}
        row |= {f"distinct_{k}": distinct_at_k(n, counts, k) for k in ks}
        if solutions is not None:
            listed = solutions[str(name)]
            found = {form: count for form, count in counts.items() if form in listed}
            row |= {f"coverage_{k}": coverage(n, found, k, len(listed)) for k in ks}
        shares = np.array(list(counts.values())) / max(c, 1)
        row["gini_simpson"] = gini_simpson_sampled(counts)
        row["entropy"] = shannon_entropy(shares) if c else np.nan
        row["logp_correct"] = group.loc[right, "logp"].mean()
        row["logp_incorrect"] = group.loc[wrong, "logp"].mean()
        rows.append(row)
    return pd.DataFrame(rows)


def upper_bound(found: int, n: int, level: float = LEVEL) -> float:
    """One-sided Clopper–Pearson bound on a probability that showed itself `found` times out of `n`; 1 for n = 0."""
    return float(beta.ppf(level, found + 1, n - found)) if found < n else 1.0


def unlisted_mass_bound(samples: pd.DataFrame, listed: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    """By problem, what the enumeration `listed` (solution strings by problem) lacks, as far as samples show it.

    A correct sample is outside if its text is not listed, or if it is not that text verbatim. Columns: problem, n,
    found (how many are), outside (upper bound, 95%, on the mass of correct
    strings that are not listed).
    """
    unlisted = np.array([text not in listed[name] for name, text in zip(samples["problem"], samples["text"])])
    strays = samples["correct"].fillna(False).astype(bool) & (unlisted | ~samples["verbatim"])
    table = strays.groupby(samples["problem"], sort=False).agg(n="size", found="sum").reset_index()
    table["outside"] = [upper_bound(int(found), int(n)) for found, n in zip(table["found"], table["n"])]
    return table
