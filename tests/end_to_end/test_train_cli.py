"""The commands, small and real: base model, training, evaluation, and what figures read of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from child import write_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM

from repro.manifest import ROOT, missing_fields
from rl import train
from rl.analysis.results import load
from rl.experiments.config import load as read
from rl.experiments.runs import Metrics, folder_of
from rl.training import run
from rl.training.resume import prompt_schedule


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600
    )


@pytest.mark.slow
def test_sweep_from_nothing_to_what_figures_read(tmp_path: Path) -> None:
    config, out = write_config(tmp_path), tmp_path / "out"
    arguments = ["rl.sweep", str(config), "--methods", "ds-grpo", "--seeds", "0", "--jobs", "2", "--out", str(out)]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert "4 done, 0 up to date, 0 failed" in done.stdout

    results = load("tiny", out)
    assert results.methods() == ["base", "ds-grpo"]
    trained = results.of("ds-grpo")[0]
    assert missing_fields(trained.manifest) == []
    assert trained.manifest["config"]["method"]["gamma_p"] == 0.3
    assert trained.manifest["command"].startswith("python -m rl.train")
    assert trained.manifest["tokens"] > 0
    assert list(trained.problems["problem"]) == list(results.of("base")[0].problems["problem"])
    assert list(trained.metrics["step"]) == list(range(13))
    for column in ("reward", "entropy", "loss", "grad_norm", "ds_share", "distinct_correct", "completion_length"):
        assert trained.metrics[column].notna().any(), column
    assert trained.metrics.set_index("step")["val/pass@1"].dropna().index.tolist() == [0, 4, 8, 12]
    assert not (trained.folder / "checkpoints").exists() or not list((trained.folder / "checkpoints").iterdir())

    base = next((out / "bases").iterdir())
    before, after = (AutoModelForCausalLM.from_pretrained(path) for path in (base, trained.folder / "model"))
    assert any((a != b).any() for a, b in zip(before.parameters(), after.parameters()))

    (trained.folder / "eval-heldout.parquet").unlink()
    again = command(*arguments)
    assert "1 done, 3 up to date, 0 failed" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "ds-grp"], "did you mean 'ds-grpo'"),
        (["--method", "grpo", "--set", "train.stps=3"], "did you mean 'steps'"),
        (["--method", "grpo", "--set", "train.save_every=3"], "train.save_every: 3 must be a multiple of 2"),
        (["--method", "grpo", "--set", "train.trl={vllm_mod: x}"], "did you mean 'vllm_mode'"),
    ],
)
def test_wrong_requests_are_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path)
    assert train.main([str(config), *arguments, "--seed", "0", "--out", str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_reported_logs_hold_the_term_and_change_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    arguments = [str(config), "--method", "ds-grpo-centered", "--seed", "0", "--out"]
    assert train.main([*arguments, str(tmp_path / "plain")]) == 0
    assert train.main([*arguments, str(tmp_path / "told"), "--report-to", "tensorboard"]) == 0
    name = read(config).name
    plain, told = (folder_of(tmp_path / out, name, 0, "ds-grpo-centered") for out in ("plain", "told"))
    rows = [[{**row, "wall_s": 0} for row in Metrics(one / "metrics.jsonl").rows()] for one in (plain, told)]
    assert rows[0] == rows[1]
    [events] = told.rglob("events.out.tfevents.*")
    found = EventAccumulator(str(events.parent)).Reload()
    assert [one.step for one in found.Scalars("train/loss")] == list(range(1, 13))
    assert [one.step for one in found.Scalars("train/ds_term")] == list(range(1, 13, 2))  # once a generation batch
    assert not list(plain.rglob("events.out.tfevents.*"))


def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "TRACKERS", ("tensorboard", "no_such_tracker"))
    arguments = [str(write_config(tmp_path)), "--method", "grpo", "--seed", "0", "--out", str(tmp_path / "out")]
    assert train.main([*arguments, "--report-to", "no_such_tracker"]) == 2
    assert "`python -m pip install no_such_tracker` brings it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["countdown", "maze-17"])
def test_gpu_experiment_walked_with_a_small_model(name: str, tmp_path: Path) -> None:
    """bf16, four numbers up to 99 or eight by eight cells, the same schema: everything but the size."""
    small = ["task.problems=300", "task.validation=10", "task.heldout=20", "train.steps=2", "train.prompts=4"]
    small += ["base={layers: 1, width: 32, heads: 2, feedforward: 64, steps: 20, batch: 32, warmup: 5}"]
    small += ["train.num_generations=4", "train.save_every=1", "train.validate_every=2"]
    config = read(ROOT / "rl" / "experiments" / "gpu" / f"{name}.yaml", small)
    assert (config.scale, config.train.bf16) == ("gpu", True)
    run.train(config, "ds-grpo-centered", 0, tmp_path)
    folder = folder_of(tmp_path, config.name, 0, "ds-grpo-centered")
    assert [row["step"] for row in Metrics(folder / "metrics.jsonl").rows()] == [0, 1, 2]
    weights = AutoModelForCausalLM.from_pretrained(folder / "model").state_dict()
    assert {value.dtype for value in weights.values()} == {torch.float32}  # the master weights


@pytest.mark.parametrize("name", ["linear", "maze-perfect", "maze-looped", "maze-misled"])
def test_leakfree_experiment_walked_with_a_small_model(name: str, tmp_path: Path) -> None:
    small = ["task.problems=1500", "task.validation=10", "task.heldout=20", "train.steps=3", "train.prompts=4"]
    small += ["base={layers: 1, width: 32, heads: 2, feedforward: 64, steps: 20, batch: 32, warmup: 5}"]
    small += ["train.num_generations=4", "train.save_every=1", "train.validate_every=3"]
    config = read(ROOT / "rl" / "experiments" / "cpu" / f"{name}-leakfree.yaml", small)
    run.train(config, "ds-grpo", 0, tmp_path)
    folder = folder_of(tmp_path, f"{name}-leakfree", 0, "ds-grpo")
    assert [row["step"] for row in Metrics(folder / "metrics.jsonl").rows()] == [0, 1, 2, 3]


def test_wrong_path_and_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([str(tmp_path / "x.yaml"), "--method", "grpo", "--seed", "0"]) == 2
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "file").touch()
    config = write_config(tmp_path)
    assert train.main([str(config), "--method", "grpo", "--seed", "0", "--out", str(tmp_path / "file")]) == 1
    errors = capsys.readouterr().err
    assert "file" in errors
    assert len(errors.strip().splitlines()) == 1


def test_streams_are_permutations_one_after_the_other() -> None:
    problems = list(range(7))
    first = prompt_schedule(problems, 20, seed=0)
    assert [sorted(first[i : i + 7]) for i in (0, 7)] == [problems, problems]
    assert len(first) == 20
    assert prompt_schedule(problems, 14, seed=0) == first[:14]
    assert prompt_schedule(problems, 14, seed=1) != first[:14]
    assert first[:7] != first[7:14]
