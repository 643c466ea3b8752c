"""Theory beside measurement, from recorded runs: the numbers drawn are theirs, and too few methods are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawing import make
from recorded import write_run

from figures import fig_theory_vs_measured, tab_theory_vs_measured
from figures.baselines import EXPERIMENTS
from rl.analysis.reads import Experiments, Place
from rl.analysis.results import NotRun, Results, load

OPTIONS = {"grpo": {}, "passk-training": {"k": 2}, "maxrl": {"unbiased": False}}
TASK = "maze-looped"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """On one task the order of T12, GRPO's answers less diverse than the others' by .1. Elsewhere two methods."""
    rng = np.random.default_rng(0)
    for experiment in EXPERIMENTS:
        for seed in range(3):
            hard, easy = rng.uniform(0.001, 0.002, 30), rng.uniform(0.75, 0.8, 30)
            for place, (method, options) in enumerate(list(OPTIONS.items())[: 3 if experiment == TASK else 2]):
                c = np.concatenate([hard * (1 + place), easy - rng.uniform(0.02, 0.021, 30) * place])
                gini = 0.4 if method == "grpo" else 0.5
                write_run(tmp_path, method, seed, c, experiment, options=options, gini=gini)
    return tmp_path


def loaded(out: Path) -> dict[str, Results]:
    return Experiments(EXPERIMENTS).load(Place(out))


def test_both_are_made(out: Path) -> None:
    assert make("fig_theory_vs_measured", "--out", out) == 0
    assert make("tab_theory_vs_measured", "--out", out) == 0
    assert (out / "figures" / "fig_theory_vs_measured.png").stat().st_size > 10_000


def test_the_numbers_are_those_of_the_runs(out: Path) -> None:
    rows = fig_theory_vs_measured.frame(loaded(out)).set_index(["panel", "task", "method"]).sort_index()
    assert set(rows.index.get_level_values("task")) == {TASK}
    c = np.concatenate([run.problems["C"] for run in load(TASK, out).of("maxrl").values()])
    assert rows.loc[("measured", TASK, "maxrl"), ["x", "y"]].tolist() == pytest.approx(
        [c.mean(), (1 - (1 - c) ** 128).mean()]
    )
    assert rows.loc[("equal C", TASK, "passk-training"), "x"] == pytest.approx(0.1)
    [first, large] = tab_theory_vs_measured.frame(loaded(out))["Kendall's tau"]
    assert (first.numbers[" mean"], large.numbers[" mean"]) == (1, 1)


def test_too_few_methods_are_no_order(out: Path) -> None:
    few = {name: results for name, results in loaded(out).items() if name != TASK}
    with pytest.raises(NotRun, match="none of maze-perfect, maze-misled, countdown has three methods"):
        fig_theory_vs_measured.frame(few)
