"""The baseline comparison: several tasks at once, from recorded runs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawing import make
from recorded import write_run

from figures import fig_heuristics, fig_pareto, tab_gamma, tab_heuristics, tab_prediction
from figures.baselines import EXPERIMENTS
from rl.analysis.comparisons import compared_methods
from rl.analysis.reads import Experiments, Place
from rl.analysis.results import ResultError, Results

METHODS = {"base": 0.2, "grpo": 0.4, "ds-grpo": 0.5, "entropy-bonus": 0.3, "entropy-penalty": 0.45}
FILES = {
    "fig_across_tasks": ".png",
    "fig_heuristics": ".png",
    "fig_pareto": ".png",
    "tab_ablation": ".md",
    "tab_early_stopping": ".md",
    "tab_equal_success": ".md",
    "tab_heuristics": ".md",
    "tab_prediction": ".md",
}


def load_all(out: Path) -> dict[str, Results]:
    return Experiments(EXPERIMENTS).load(Place(out))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for experiment in list(EXPERIMENTS)[:2]:
        for seed in range(3):
            noise = rng.uniform(-0.05, 0.05, 30)
            for method, mean in METHODS.items():
                write_run(tmp_path, method, seed, mean + noise + seed / 100, experiment)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_made_from_recorded_runs(out: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(name, "--out", out) == 0
    assert "maze-perfect (local run)" in capsys.readouterr().out
    assert (out / "figures" / f"{name}{FILES[name]}").stat().st_size > 100


def test_numbers_are_those_of_the_runs(out: Path) -> None:
    found = load_all(out)
    points = fig_heuristics.frame(found).set_index(["experiment", "method", "k"])
    assert points.loc[("maze-looped", "ds-grpo", 1), "mean"] == pytest.approx(0.1)
    assert points.loc[("maze-looped", "entropy-bonus", 1), "high"] < 0
    traces = fig_pareto.frame(found)
    looped = traces[traces["experiment"] == "maze-looped"]  # what is committed of other experiments is drawn too
    assert set(looped["method"]) == set(METHODS) - {"base"}
    rows = tab_heuristics.frame(found).set_index(["task", "method"])
    assert str(rows.loc[("maze-perfect", "entropy-penalty"), "ds-grpo − it, @1"]).startswith("+0.050")
    assert rows.loc[("maze-perfect", "grpo"), "Δ@1 to grpo"] == ""


def test_a_prediction_that_fails_is_called_that(out: Path) -> None:
    """The runs above: a positive gap foresees the bonus, and the penalty is what helped."""
    rows = tab_prediction.frame(load_all(out)).set_index(["task", "method"])
    assert rows.loc[("maze-perfect", "entropy-bonus"), "foreseen to help"] == "bonus"
    assert rows.loc[("maze-perfect", "entropy-bonus"), "sign"] == "against"
    assert rows.loc[("maze-perfect", "entropy-penalty"), "sign"] == "against"


def test_one_damaged_run_is_not_passed_over(out: Path) -> None:
    table = out / "runs" / "maze-looped" / "seed0" / "grpo" / "eval-heldout.parquet"
    assert isinstance(pd.read_parquet(table), pd.DataFrame)
    table.unlink()
    with pytest.raises(ResultError, match="missing; evaluate the run again"):
        load_all(out)


def test_gamma_stands_beside_what_it_did() -> None:
    """On what is committed: the table's means are those of the logs, and a task without DS-GRPO has no row."""
    [found] = [one.load(Place(Path("nothing-here"))) for one in tab_gamma.READS]
    table = tab_gamma.frame(found)
    rows = table[table["method"] == "ds-grpo"].set_index("task")
    assert {"countdown", "linear", "countdown-gpu"} <= set(rows.index)
    assert set(rows.index) <= set(found)
    countdown = found["countdown"].of("ds-grpo")
    shares = [run.metrics["ds_share"].mean() for run in countdown.values()]
    assert rows.loc["countdown", "the term's share of the advantage"] == pytest.approx(np.mean(shares))
    assert rows.loc["countdown", "gamma_p"] == next(iter(countdown.values())).config["method"]["gamma_p"]
    assert (rows.loc["countdown", "k"], rows.loc["linear", "k"]) == (1024, 64)


def test_a_method_with_fewer_seeds_stands_in_the_table_alone(out: Path) -> None:
    write_run(out, "ucpo", 0, np.full(30, 0.4), "maze-perfect")
    found = load_all(out)
    assert "ucpo" not in compared_methods(found["maze-perfect"])
    assert "ucpo" not in set(fig_heuristics.frame(found)["method"])
    traces = fig_pareto.frame(found)
    assert set(traces[traces["experiment"] == "maze-perfect"]["seeds"]) == {3}
    rows = tab_heuristics.frame(found).set_index(["task", "method"])
    assert rows.loc[("maze-perfect", "ucpo"), "seeds"] == 1


def test_with_one_seed_of_all_every_method_is_drawn(tmp_path: Path) -> None:
    for method, mean in METHODS.items():
        write_run(tmp_path, method, 0, np.full(30, mean), "maze-perfect")
    assert set(compared_methods(load_all(tmp_path)["maze-perfect"])) == set(METHODS)
