"""What each part of the DS term does: one half alone, centred, and one option changed at a time."""

from __future__ import annotations

import sys

import pandas as pd

from figures.rl_exhibit import table
from figures.tab_main import rows_for
from rl.results import Results


def frame(results: Results) -> pd.DataFrame:
    """GRPO and every variant of the DS term that was run, each with its options."""
    methods = [name for name in results.methods(variants=True) if name == "grpo" or name.startswith("ds-grpo")]
    data = rows_for(results, methods, tuple(one for one in ("grpo", "ds-grpo") if one in methods))
    options = []
    for method in methods:
        chosen = next(iter(results.of(method).values())).config["method"]
        options.append(", ".join(f"{key} {value}" for key, value in chosen.items() if key != "name"))
    data.insert(1, "options", options)
    return data


if __name__ == "__main__":
    sys.exit(table("tab_ablation", frame, "Variants of the DS term; 95% intervals over seeds."))
