"""Recorded runs are read back whole or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recorded import write_experiment, write_run

from rl.analysis.results import NotRun, ResultError, load


def test_reads_every_run(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    results = load("demo", tmp_path)
    assert results.origin == "local run"
    assert results.methods() == ["base", "grpo", "ds-grpo"]
    assert sorted(results.of("grpo")) == [0, 1, 2]
    run = results.of("ds-grpo")[1]
    assert (run.seed, run.method, len(run.problems), len(run.metrics)) == (1, "ds-grpo", 40, 21)
    assert results.of("base")[0].metrics.empty


def test_variants_are_apart_from_methods(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    write_run(tmp_path, "ds-grpo@token", 0, np.full(40, 0.3))
    results = load("demo", tmp_path)
    assert results.methods() == ["base", "grpo", "ds-grpo"]
    assert results.methods(variants=True) == ["base", "grpo", "ds-grpo", "ds-grpo@token"]
    assert list(results.of("ds-grpo@token")) == [0]


def test_nothing_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotRun, match="absent: not run; no experiment of the scale cpu is called so"):
        load("absent", tmp_path)
    with pytest.raises(NotRun, match=r"maze-17: not run; `python -m rl.sweep rl/experiments/gpu/maze-17.yaml "):
        load("maze-17", tmp_path, "gpu")
    write_run(tmp_path, "grpo", 0, np.full(5, 0.3))
    with pytest.raises(NotRun, match="demo: no evaluated run of base"):
        load("demo", tmp_path).of("base")


@pytest.mark.parametrize("field", ["seed", "commit", "versions", "config"])
def test_a_result_without_a_full_manifest_is_refused_by_name(tmp_path: Path, field: str) -> None:
    write_experiment(tmp_path, seeds=1)
    path = tmp_path / "runs/demo/seed0/grpo/eval-heldout.json"
    content = json.loads(path.read_text())
    del content["manifest"][field]
    path.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=rf"grpo.eval-heldout.json: .*lacks {field}"):
        load("demo", tmp_path)


def test_runs_of_another_config_are_refused_by_name(tmp_path: Path) -> None:
    write_run(tmp_path, "base", 0, np.full(5, 0.2))
    write_run(tmp_path, "grpo", 0, np.full(5, 0.3), shared={"train": {"steps": 99}})
    with pytest.raises(ResultError, match=r"seed0.grpo.eval-heldout.json: its `train` differs"):
        load("demo", tmp_path)


def test_run_from_before_a_setting_stands_beside_one_with_its_earlier_value(tmp_path: Path) -> None:
    task, train = {"numbers": 3}, {"steps": 20}
    write_run(tmp_path, "grpo", 0, np.array([0.5]), shared={"task": task, "train": train})
    write_run(tmp_path, "grpo", 1, np.array([0.5]), shared={"task": {**task, "split": "drawn"}, "train": train})
    write_run(tmp_path, "grpo", 2, np.array([0.5]), shared={"task": task, "train": {**train, "heldout_every": 0}})
    assert len(load("demo", tmp_path).runs) == 3
    write_run(tmp_path, "grpo", 3, np.array([0.5]), shared={"task": {**task, "split": "shuffled"}, "train": train})
    with pytest.raises(ResultError, match=r"seed3.grpo.eval-heldout.json: its `task` differs"):
        load("demo", tmp_path)


def test_a_missing_table_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, np.full(5, 0.3))
    (folder / "eval-heldout.parquet").unlink()
    with pytest.raises(ResultError, match=r"eval-heldout\.parquet: missing"):
        load("demo", tmp_path)


def test_a_truncated_summary_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, np.full(5, 0.3))
    path = folder / "eval-heldout.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(ResultError, match="cannot be read"):
        load("demo", tmp_path)


def test_options_of_older_runs_have_todays_names(tmp_path: Path) -> None:
    older = {"gamma_p": 0.3, "reduction": "mean", "place": "reward", "centring": "group", "flat_groups": "zero"}
    write_run(tmp_path, "ds-grpo", 0, np.full(5, 0.3), options=older)
    write_run(tmp_path, "ds-grpo", 1, np.full(5, 0.3), options={**older, "centring": "none"})
    first, second = load("demo", tmp_path).of("ds-grpo").values()
    options = {"logprob_aggregation": "mean", "apply_to": "reward", "zero_variance_groups": "zero", "gamma_p": 0.3}
    assert first.config["method"] == {"name": "ds-grpo", **options, "center": True}
    assert second.config["method"]["center"] is False
    assert first.manifest["config"]["method"]["reduction"] == "mean"  # what was recorded stays
