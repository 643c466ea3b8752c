"""Over tasks, each counts alike; what is better everywhere improves with probability one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded import write_run

from rl.analysis import across_tasks
from rl.analysis.comparisons import pass_at
from rl.analysis.results import load

LEVELS = {"easy": 0.8, "hard": 0.1}


def test_methods_and_seeds_that_all_tasks_share(tmp_path: Path) -> None:
    for name, level in LEVELS.items():
        for seed in range(3 if name == "easy" else 5):
            for method, more in (("grpo", 0.0), ("ds-grpo", 0.05), ("maxrl", -0.05)):
                if (name, method) != ("hard", "maxrl"):
                    write_run(tmp_path, method, seed, np.full(4, level + more + seed / 1000), name)
    tasks = {name: load(name, tmp_path) for name in LEVELS}
    found = across_tasks.record(tasks, {"pass@1": pass_at(1)})
    assert found is not None
    assert (found["tasks"], found["seeds"]) == (["easy", "hard"], [0, 1, 2])
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == {"grpo", "ds-grpo"}
    assert rows["ds-grpo"]["improvement"] == {"mean": 1, "low": 1, "high": 1}
    assert rows["grpo"]["improvement"]["mean"] == 0.5
    assert rows["grpo"]["iqm"]["mean"] == pytest.approx(np.mean([0.101, 0.102, 0.8, 0.801]))
    assert across_tasks.record({"easy": tasks["easy"]}, {"pass@1": pass_at(1)}) is None
    assert across_tasks.record(tasks, {"pass@1": pass_at(1)}, reference="maxrl") is None
