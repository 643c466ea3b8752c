"""The figures of the saturated protocol: made from its runs, with their numbers, and not before its first look."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawing import make
from saturated import EFFECTS, write_saturated

from figures import fig_saturated_pairs, fig_saturated_passk, fig_saturated_paths, fig_saturated_profile
from figures import fig_saturated_training as fig_training
from rl.analysis.protocol import EXPERIMENT
from rl.analysis.reads import Place, Saturated, available
from rl.analysis.results import Results, load

NAMES = ("passk", "training", "paths", "profile", "pairs")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saturated")
    write_saturated(folder)
    return folder


@pytest.fixture
def results(out: Path) -> Results:
    return Saturated().load(Place(out))


@pytest.mark.parametrize("name", NAMES)
def test_made_from_the_runs(out: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(f"fig_saturated_{name}", "--out", out) == 0
    assert f"{EXPERIMENT} (local run)" in capsys.readouterr().out
    assert (out / "figures" / f"fig_saturated_{name}.png").stat().st_size > 10_000


def test_nothing_is_drawn_before_the_first_look(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(out / "runs", tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / EXPERIMENT / "seed13" / "entropy-bonus")
    assert available((Saturated(),), Place(out))
    assert not available((Saturated(),), Place(tmp_path))
    assert make("fig_saturated_pairs", "--out", tmp_path) == 2
    assert "3 seeds are whole; the protocol's first look is after 4" in capsys.readouterr().err


def success(out: Path, method: str) -> np.ndarray:
    """C at the end, (seeds, problems): the runs made for tests do not move in their last fifth."""
    return np.array([run.problems["C"] for _, run in sorted(load(EXPERIMENT, out).of(method).items())])


def test_the_numbers_are_those_of_the_runs(out: Path, results: Results) -> None:
    ours, theirs = (1 - (1 - success(out, method)) ** 1024 for method in ("ds-grpo", "grpo"))
    apart = ours.mean(axis=1) - theirs.mean(axis=1)
    pairs = fig_saturated_pairs.frame(results).set_index(["k", "reference", "seed"]).sort_index()
    assert pairs.loc[(1024, "grpo"), "difference"].tolist() == pytest.approx(apart.tolist())
    curve = fig_saturated_passk.frame(results).set_index(["panel", "method", "k"])
    assert curve.loc[("difference", "ds-grpo", 1024), "mean"] == pytest.approx(apart.mean())
    assert curve.loc[("pass@k", "grpo", 1), "mean"] == pytest.approx(success(out, "grpo").mean())
    profile = fig_saturated_profile.frame(results)
    at = profile[(profile["method"] == "grpo") & (profile["tau"] == 0.5)]["mean"].item()
    assert at == pytest.approx((success(out, "grpo") >= 0.5).mean())


def test_along_training_each_step_is_paired(results: Results) -> None:
    rows = fig_training.frame(results).set_index(["k", "step"])
    assert rows.loc[(128, 20), "mean"] == pytest.approx(EFFECTS["ds-grpo"] - EFFECTS["grpo"])
    assert rows["seeds"].unique().tolist() == [4]


def test_paths_end_where_the_seeds_do(out: Path, results: Results) -> None:
    rows: pd.DataFrame = fig_saturated_paths.frame(results).query("part == 'end' and method == 'ds-grpo'")
    steps = (0.5 + np.array([18, 20]) / 40).mean()
    assert rows["x"].tolist() == pytest.approx((success(out, "ds-grpo").mean(axis=1) * steps).tolist())
    assert len(rows) == 4
