"""Figures and tables of one experiment: made from recorded runs alone, refused by name, true to the runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from drawing import make
from matplotlib import pyplot as plt
from recorded import write_experiment, write_mathematics, write_run, write_sampled

from figures import (
    compare,
    fig_countdown_passk,
    fig_inference_cost,
    fig_math_passk,
    style,
    tab_ablation,
    tab_main,
    tab_math,
    tab_multiplicity,
)
from repro.manifest import ROOT
from rl.analysis.results import ResultError, load
from rl.experiments.config import read

PLANS = sorted((ROOT / "rl" / "experiments" / "paper").glob("*.yaml"))
FIGURES = ["fig_countdown_passk", "fig_inference_cost", "fig_training"]
TABLES = ["tab_main", "tab_settings", "tab_multiplicity"]


@pytest.mark.parametrize(
    ("name", "seeds"), [*((name, 3) for name in FIGURES + TABLES), ("fig_training", 1), ("tab_main", 1)]
)
def test_made_from_recorded_runs(tmp_path: Path, name: str, seeds: int) -> None:
    write_experiment(tmp_path, seeds=seeds)
    assert make(name, "--out", tmp_path, "--experiment", "demo") == 0
    for suffix in (".pdf", ".png", ".csv") if name in FIGURES else (".csv", ".md", ".tex"):
        assert (tmp_path / "figures" / f"{name}{suffix}").stat().st_size > 100


def test_another_scale_is_an_option_and_has_files_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "figures.tab_main", "--out", str(tmp_path), "--scale", "gpu"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "tab_main: made from countdown-gpu (results)\n", done.stderr
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"tab_main-gpu"}


@pytest.mark.parametrize("name", [FIGURES[0], TABLES[0]])
def test_refused_by_name_when_nothing_was_run(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(name, "--out", tmp_path, "--experiment", "absent") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name}: not made: absent: not run")
    assert not (tmp_path / "figures").exists()


def test_tables_say_what_the_runs_say(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    results = load("demo", tmp_path)
    rows = tab_main.frame(results).set_index("method")
    mean = sum(run.problems["C"].mean() for run in results.of("grpo").values()) / 3
    assert str(rows.loc["grpo", "Pass@1"]).startswith(f"{mean:.3f} [")
    assert str(rows.loc["ds-grpo", "ΔPass@1 to grpo"]).startswith("+0.05")
    bins = tab_multiplicity.frame(results)
    assert bins.groupby("method")["problems"].sum().to_dict() == {"base": 40, "grpo": 40, "ds-grpo": 40}


def test_variants_stand_in_the_ablation_alone(tmp_path: Path) -> None:
    """And there only of tasks that have some, with the options that DS-GRPO itself does not have."""
    write_experiment(tmp_path, experiment="plain")
    options = {
        "ds-grpo": {"gamma_p": 0.3, "logprob_aggregation": "sum"},
        "ds-grpo@token": {"gamma_p": 0.3, "logprob_aggregation": "token"},
    }
    for seed in range(3):
        for method in ("grpo", *options):
            write_run(tmp_path, method, seed, np.full(40, 0.3 + seed / 100), options=options.get(method))
    plain, results = load("plain", tmp_path), load("demo", tmp_path)
    assert "ds-grpo@token" not in set(tab_main.frame(results)["method"])
    ablation = tab_ablation.frame({"plain": plain, "demo": results}).set_index(["task", "method"])
    assert str(ablation.loc[("demo", "ds-grpo@token"), "Pass@1"]).startswith("0.310")
    assert ablation["options"].to_dict() == {
        ("demo", "grpo"): "",
        ("demo", "ds-grpo"): "gamma_p 0.3, logprob_aggregation sum",
        ("demo", "ds-grpo@token"): "logprob_aggregation token",
    }
    with pytest.raises(ResultError, match="plain: no form of the DS term but ds-grpo"):
        tab_ablation.frame({"plain": plain})


def test_better_models_need_fewer_samples(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    factors = fig_inference_cost.frame(load("demo", tmp_path))
    assert (factors["mean"] > 1).all()


def test_compare_sees_the_same_and_the_different(tmp_path: Path) -> None:
    write_experiment(tmp_path / "a")
    write_experiment(tmp_path / "b")
    same = compare.compare_runs(load("demo", tmp_path / "a"), load("demo", tmp_path / "b"))
    assert len(same) == 9
    assert all(agrees for agrees, _ in same)
    for path in (tmp_path / "b" / "runs").rglob("eval-heldout.parquet"):
        table = pd.read_parquet(path)
        table["C"] = table["C"] / 100
        table.to_parquet(path)
    other = compare.compare_runs(load("demo", tmp_path / "a"), load("demo", tmp_path / "b"))
    assert not all(agrees for agrees, _ in other)


def test_compare_takes_the_largest_k_of_sampled_runs(tmp_path: Path) -> None:
    write_mathematics(tmp_path)
    results = load("sums", tmp_path)
    assert list(compare.quantities(results, results)) == ["Pass@1", "Pass@8", "Gini–Simpson"]
    assert all(agrees for agrees, _ in compare.compare_runs(results, results))
    write_experiment(tmp_path)
    assert list(compare.quantities(load("demo", tmp_path))) == ["Pass@1", "Pass@1024", "Gini–Simpson"]


@pytest.mark.parametrize("script", [fig_countdown_passk, fig_inference_cost, tab_main, tab_multiplicity])
def test_what_rests_on_exact_correctness_refuses_sampled_runs(tmp_path: Path, script: ModuleType) -> None:
    write_mathematics(tmp_path)
    with pytest.raises(ResultError, match=r"eval-heldout\.json: (sampled, and|has no 'solutions')"):
        script.frame(load("sums", tmp_path))


def test_mathematics_is_made_from_linear_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mathematics(tmp_path, experiment="linear")
    for name, suffixes in (("fig_math_passk", (".pdf", ".png", ".csv")), ("tab_math", (".csv", ".md", ".tex"))):
        assert make(name, "--out", tmp_path) == 0
        assert capsys.readouterr().out == f"{name}: made from linear (local run)\n"
        for suffix in suffixes:
            assert (tmp_path / "figures" / f"{name}{suffix}").stat().st_size > 100


def test_a_panel_for_each_benchmark(tmp_path: Path) -> None:
    write_mathematics(tmp_path, benchmarks=("math500", "amc23", "aime24", "aime25"), problems=10)
    results = load("sums", tmp_path)
    data = fig_math_passk.frame(results)
    aime = results.of("grpo")[0].problems.query("benchmark == 'aime24'")
    assert len(aime) == 2
    row = data.query("benchmark == 'aime24' and method == 'grpo' and k == 4").iloc[0]
    means = [results.of("grpo")[s].problems.query("benchmark == 'aime24'")["passk_4"].mean() for s in range(3)]
    assert row["mean"] == pytest.approx(sum(means) / 3)
    assert (row["problems"], row["seeds"], row["over"]) == (2, 3, "seeds")
    fig = fig_math_passk.draw(data)
    drawn = [axes for axes in fig.axes if axes.axison]
    assert [axes.get_title() for axes in drawn] == [
        "aime24 (2 problems)",
        "aime25 (2 problems)",
        "amc23 (3 problems)",
        "math500 (3 problems)",
    ]
    for axes in drawn:
        assert [line.get_color() for line in axes.lines] == [style.color(m) for m in fig_math_passk.METHODS]
    assert fig.get_suptitle().startswith("linear equations, model made here, 149,440 parameters; 3 seeds; 95%")
    plt.close(fig)


def test_the_table_of_mathematics_says_what_the_runs_say(tmp_path: Path) -> None:
    write_mathematics(tmp_path)
    results = load("sums", tmp_path)
    rows = tab_math.frame(results, {}, PLANS)
    ours = rows[rows["benchmark"] == "all problems"].set_index("method")
    runs = results.of("ds-grpo").values()
    for name, quantity in (("Pass@1", "C"), ("Pass@k", "passk_8"), ("distinct correct routes in k", "distinct_8")):
        mean = sum(run.problems[quantity].mean() for run in runs) / 3
        assert str(ours.loc["ds-grpo", name]).startswith(f"{mean:.3f} [")
    assert str(ours.loc["ds-grpo", "ΔPass@1 to grpo"]) == "+0.125 [+0.125, +0.125]"
    assert ours.loc["grpo", "ΔPass@k to grpo"] == ""
    level = rows[(rows["benchmark"] == "level2") & (rows["method"] == "base")].iloc[0]
    assert tuple(str(level[one]) for one in ("problems", "seeds", "k")) == ("6", "3", "8")
    assert (str(level["timeouts (%)"]), str(level["no readable answer (%)"])) == ("0", "6.2")  # one of sixteen


def test_every_planned_run_on_mathematics_has_its_row() -> None:
    planned = [read(path) for path in PLANS]
    assert set(tab_math.PAPER) == {one["name"] for one in planned if one["task"]["name"] == "math"}


def test_models_of_the_paper_stand_as_not_run_until_they_are(tmp_path: Path) -> None:
    write_mathematics(tmp_path)
    rows = tab_math.frame(load("sums", tmp_path), {}, PLANS)
    missing = rows[rows["Pass@1"].map(str) == "not run"].set_index("model")
    assert set(missing.index) == {
        "Qwen2.5-Math-1.5B",
        "Qwen2.5-Math-7B",
        "Qwen3-1.7B",
        "Ministral-8B-Instruct-2410",
    }
    seven = missing.loc["Qwen2.5-Math-7B"]
    assert seven["benchmark"] == "math500, amc23, olympiadbench, aime24, aime25"
    assert seven["method"].startswith("base, grpo, ds-grpo, ")
    assert (seven["Pass@k"], seven["seeds"]) == ("", "")

    base = {"model": "Qwen/Qwen2.5-Math-7B"}
    for seed in range(3):
        for method in ("base", "grpo"):
            more = {"experiment": "qwen25-math-7b", "scale": "paper", "task": "math", "base": base}
            write_sampled(tmp_path, method, seed, np.arange(10), benchmarks=("math500", "aime24"), **more)
    recorded = {"qwen25-math-7b": load("qwen25-math-7b", tmp_path, "paper")}
    for asked in (load("sums", tmp_path), *recorded.values()):
        seven = tab_math.frame(asked, recorded, PLANS).query("model == 'Qwen2.5-Math-7B'")
        assert list(seven["method"][:-1]) == ["base", "grpo"] * 3
        assert list(seven["benchmark"][:-1:2]) == ["all problems", "aime24", "math500"]
        assert set(seven["distinct correct routes in k"][:-1]) == {"not told apart"}
        assert str(seven["Pass@1"].iloc[-1]) == "not run"
        assert seven["method"].iloc[-1].startswith("ds-grpo, ")


def test_evaluations_without_what_figures_of_mathematics_show_are_refused(tmp_path: Path) -> None:
    write_mathematics(tmp_path, seeds=1)
    path = tmp_path / "runs/sums/seed0/base/eval-heldout.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"benchmarks": {"level1": {}, "level2": {}}}))
    with pytest.raises(ResultError, match=r"base.eval-heldout\.json: does not count the reasons .* on level1"):
        tab_math.frame(load("sums", tmp_path), {}, PLANS)
    del summary["parameters"]
    path.write_text(json.dumps(summary))
    with pytest.raises(ResultError, match="does not say how many parameters"):
        fig_math_passk.frame(load("sums", tmp_path))


def test_distance_of_tables() -> None:
    table = pd.DataFrame({"name": ["a", "b"], "value": [1.0, 2.0]})
    assert compare.distance(table, table) == 0
    assert compare.distance(table.assign(value=[1.0, 2.2]), table) == pytest.approx(0.1)
    assert compare.distance(table, table.assign(name=["a", "c"])) == float("inf")
    assert compare.distance(table, table.iloc[:1]) == float("inf")
