"""The experiment's exhibits: drawn from recorded runs alone, refused by name, and saying what the runs say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from recorded import write_experiment

from figures import compare, fig_inference_cost, tab_main, tab_multiplicity
from repro.manifest import ROOT
from rl.results import load

FIGURES = ["fig_countdown_passk", "fig_inference_cost", "fig_training"]
TABLES = ["tab_main", "tab_ablation", "tab_settings", "tab_multiplicity"]


def run(name: str, out: Path, experiment: str = "demo") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"figures.{name}", "--out", str(out), "--experiment", experiment]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("name", "seeds"), [*((name, 3) for name in FIGURES + TABLES), ("fig_training", 1), ("tab_main", 1)]
)
def test_made_from_recorded_runs(tmp_path: Path, name: str, seeds: int) -> None:
    write_experiment(tmp_path, seeds=seeds)
    done = run(name, tmp_path)
    assert done.returncode == 0, done.stderr
    for suffix in (".pdf", ".png", ".csv") if name in FIGURES else (".csv", ".md", ".tex"):
        assert (tmp_path / "figures" / f"{name}{suffix}").stat().st_size > 100


@pytest.mark.parametrize("name", [FIGURES[0], TABLES[0]])
def test_refused_by_name_when_nothing_was_run(tmp_path: Path, name: str) -> None:
    done = run(name, tmp_path, "absent")
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name}: not ")
    assert "absent: not run" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "figures").exists()


def test_tables_say_what_the_runs_say(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    results = load("demo", tmp_path)
    rows = tab_main.frame(results).set_index("method")
    mean = sum(run.problems["C"].mean() for run in results.of("grpo").values()) / 3
    assert rows.loc["grpo", "Pass@1"].startswith(f"{mean:.3f} [")
    assert rows.loc["ds-grpo", "ΔPass@1 to grpo"].startswith("+0.05")
    bins = tab_multiplicity.frame(results)
    assert bins.groupby("method")["problems"].sum().to_dict() == {"base": 40, "grpo": 40, "ds-grpo": 40}


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


def test_distance_of_tables() -> None:
    table = pd.DataFrame({"name": ["a", "b"], "value": [1.0, 2.0]})
    assert compare.distance(table, table) == 0
    assert compare.distance(table.assign(value=[1.0, 2.2]), table) == pytest.approx(0.1)
    assert compare.distance(table, table.assign(name=["a", "c"])) == float("inf")
    assert compare.distance(table, table.iloc[:1]) == float("inf")
