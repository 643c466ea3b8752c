"""A sweep: which commands, in which order; what is done already; what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import launch_command_parser

from repro.files import write_json
from repro.manifest import ROOT
from rl import sweep
from rl.experiments import runs
from rl.experiments.bases import base_folder
from rl.experiments.config import load
from rl.experiments.identity import eval_key, source_key
from rl.experiments.progress import ProgressReporter, duration
from rl.sweep import jobs_for

CPU = ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"


def test_jobs_of_a_sweep_in_their_order(tmp_path: Path) -> None:
    jobs = jobs_for(load(CPU), CPU, ["grpo", "ds-grpo"], [0, 3], tmp_path, ["train.steps=20"])
    assert [one.name for one in jobs] == [
        "base seed 0",
        "base seed 3",
        *(
            f"{prefix}{method} seed {seed}"
            for seed in (0, 3)
            for method in ("base", "grpo", "ds-grpo")
            for prefix in ("", "evaluation of ")
            if prefix or method != "base"
        ),
    ]
    by_name = {one.name: one for one in jobs}
    assert by_name["ds-grpo seed 3"].after == ("base seed 3",)
    assert by_name["evaluation of ds-grpo seed 3"].after == ("ds-grpo seed 3",)
    assert by_name["evaluation of base seed 3"].after == ("base seed 3",)
    assert all(one.arguments[-2:] == ("--set", "train.steps=20") for one in jobs)
    assert not any(one.done() for one in jobs)


def test_a_pretrained_model_is_made_once_for_all_seeds(tmp_path: Path) -> None:
    path = ROOT / "rl" / "experiments" / "llm" / "countdown.yaml"
    jobs = {one.name: one for one in jobs_for(load(path), path, ["grpo"], [2, 5], tmp_path, [])}
    assert [name for name in jobs if name.startswith("base")] == ["base seed 2"]
    assert jobs["grpo seed 5"].after == ("base seed 2",)
    assert jobs["evaluation of base seed 5"].after == ("base seed 2",)


def test_runs_of_the_paper_are_launched(tmp_path: Path) -> None:
    """Training by accelerate with the settings that `needs` names; the rest in one process."""
    path = ROOT / "rl" / "experiments" / "paper" / "qwen2.5-math-7b.yaml"
    jobs = {one.name: one for one in jobs_for(load(path), path, ["ds-grpo"], [0], tmp_path, [])}
    settings = str(ROOT / "rl" / "experiments" / "accelerate" / "fsdp-1x8.yaml")
    common = ["--seed", "0", "--out", str(tmp_path)]
    launched = jobs["ds-grpo seed 0"].command
    assert launched[:5] == [sys.executable, "-m", "accelerate.commands.launch", "--config_file", settings]
    assert launched[5:] == ["-m", "rl.train", str(path), "--method", "ds-grpo", *common]
    parsed = launch_command_parser().parse_args(launched[3:])
    assert (parsed.module, parsed.training_script, parsed.config_file) == (True, "rl.train", settings)
    assert parsed.training_script_args == launched[7:]
    for name, module in (("base seed 0", "rl.pretrain"), ("evaluation of ds-grpo seed 0", "rl.evaluate")):
        assert jobs[name].command[:3] == [sys.executable, "-m", module]
    [alone] = [one for one in jobs_for(load(CPU), CPU, ["grpo"], [0], tmp_path, []) if one.name == "grpo seed 0"]
    assert alone.command[:3] == [sys.executable, "-m", "rl.train"]


def test_done_follows_settings_source_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(CPU)

    def state(*sets: str) -> list[bool]:
        return [one.done() for one in jobs_for(load(CPU, sets), CPU, ["grpo"], [0], tmp_path, sets)]

    base = base_folder(config, 0, tmp_path)
    base.mkdir(parents=True)
    (base / "model.safetensors").write_bytes(b"base")
    write_json(base / "manifest.json", {})
    assert state() == [True, False, False, False]

    folder = runs.folder_of(tmp_path, "countdown", 0, "grpo")
    folder.mkdir(parents=True)
    runs.prepare(folder, config.record("grpo"), 0, source_key(config, "grpo"), tmp_path / "earlier")
    write_json(folder / "manifest.json", {})
    (folder / "model").mkdir()
    (folder / "model" / "model.safetensors").write_bytes(b"trained")
    assert state() == [True, False, True, False]

    key = eval_key(config.record("grpo"), 0, runs.weights(folder / "model"))
    write_json(folder / "eval-heldout.json", {"key": key})
    (folder / "eval-heldout.parquet").touch()
    assert state() == [True, False, True, True]

    assert state("evaluate.samples=1") == [True, False, True, False]  # evaluated anew, not trained anew
    assert state("train.learning_rate=2e-4") == [True, False, False, False]
    assert state("methods.ds-grpo.gamma_p=0.9") == [True, False, True, True]  # another method's option
    assert state("base.steps=999") == [False, False, False, False]
    (folder / "model" / "model.safetensors").write_bytes(b"other")
    assert state() == [True, False, True, False]
    found = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**found, "source": "older"}))
    assert state() == [True, False, False, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "grpo,ds-grp", "--seeds", "0"], "did you mean 'ds-grpo'"),
        (["--methods", "grpo", "--seeds", "0,x"], "--seeds: 'x' is not a whole number"),
        (["--methods", "grpo", "--seeds", ","], "--seeds: names none"),
        (["--methods", "grpo", "--seeds", "0", "--jobs", "0"], "--jobs 0"),
        (["--methods", "grpo", "--seeds", "0", "--set", "train.stes=1"], "did you mean 'steps'"),
    ],
)
def test_wrong_requests(arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([str(CPU), *arguments, "--out", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.strip().splitlines()) == 1


def test_progress_away_from_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReporter() as display:
        for step in (1, 2, 3, 3):
            display.show("grpo seed 0", step, 3, {"reward": 0.25, "entropy": None})
    lines_shown = capsys.readouterr().err.splitlines()
    assert lines_shown == ["grpo seed 0: step 1/3  reward 0.250", "grpo seed 0: step 3/3  reward 0.250"]
    assert [duration(seconds) for seconds in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]
