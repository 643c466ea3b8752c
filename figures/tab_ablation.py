"""What each part of the DS term does, on every task that tried it: one half alone, or one option changed at a time."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd

from figures.contest import Contest, table
from figures.tab_main import rows_for
from rl.results import NotRun, Results


def forms(results: Results) -> list[str]:
    """The forms of the DS term that were run, variants too."""
    return [name for name in results.methods(variants=True) if name.startswith("ds-grpo")]


def options(results: Results, method: str, usual: dict[str, Any]) -> str:
    """The options of `method` that are not `usual`, as text."""
    return ", ".join(f"{key} {value}" for key, value in chosen(results, method).items() if usual.get(key) != value)


def chosen(results: Results, method: str) -> dict[str, Any]:
    """The options that `method` ran with."""
    recorded = next(iter(results.of(method).values())).config["method"]
    return {key: value for key, value in recorded.items() if key != "name"}


def frame(contest: Contest) -> pd.DataFrame:
    """GRPO and every form of the DS term, for each task that has more than one.

    Column options: where they differ from DS-GRPO's. Raises NotRun if no task has more than one form.
    """
    tasks = []
    for name, results in contest.items():
        found = forms(results)
        if found in ([], ["ds-grpo"]):
            continue
        references = tuple(one for one in ("grpo", "ds-grpo") if one in results.methods())
        methods = [one for one in references if one not in found] + found
        data = rows_for(results, methods, references)
        usual = chosen(results, "ds-grpo") if "ds-grpo" in found else {}
        data.insert(0, "task", name)
        data.insert(2, "options", [options(results, one, {} if one == "ds-grpo" else usual) for one in methods])
        tasks.append(data)
    if not tasks:
        raise NotRun(f"{', '.join(contest)}: no form of the DS term but ds-grpo; `paper_repro.sh --full` makes more")
    return pd.concat(tasks, ignore_index=True)


if __name__ == "__main__":
    sys.exit(table("tab_ablation", frame, "Forms of the DS term; held-out problems, 95% intervals over seeds."))
