"""What each part of the DS term does, on every task that tried it: one half alone, or one option changed at a time."""

from __future__ import annotations

import sys

import pandas as pd

from figures.baselines import EXPERIMENTS, Compared
from figures.command import table
from figures.describe import options
from figures.tab_main import rows_for
from rl.analysis.reads import Experiments
from rl.analysis.results import NotRun

READS = (Experiments(EXPERIMENTS),)


def frame(compared: Compared) -> pd.DataFrame:
    """GRPO and every form of the DS term, for each task that has more than one.

    Column options: where they differ from DS-GRPO's. Raises NotRun if no task has more than one form.
    """
    tasks = []
    for name, results in compared.items():
        found = [one for one in results.methods(variants=True) if one.startswith("ds-grpo")]
        if found in ([], ["ds-grpo"]):
            continue
        references = tuple(one for one in ("grpo", "ds-grpo") if one in results.methods())
        methods = [one for one in references if one not in found] + found
        data = rows_for(results, methods, references)
        runs = {one: next(iter(results.of(one).values())) for one in methods}
        usual = runs["ds-grpo"].config["method"] if "ds-grpo" in runs else {}
        data.insert(0, "task", name)
        data.insert(2, "options", [options(run, {} if one == "ds-grpo" else usual) for one, run in runs.items()])
        tasks.append(data)
    if not tasks:
        raise NotRun(f"{', '.join(compared)}: no form of the DS term but ds-grpo; `paper_repro.sh --full` makes more")
    return pd.concat(tasks, ignore_index=True)


if __name__ == "__main__":
    sys.exit(table("tab_ablation", READS, frame, "Forms of the DS term; held-out problems, 95% intervals over seeds."))
