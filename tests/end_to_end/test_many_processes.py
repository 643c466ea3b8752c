"""Launch settings that accelerate itself reads, two processes that it starts, and one of them killed."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import chat
import numpy as np
import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

sys.path.insert(0, str(Path(__file__).parent))

from child import RUN, write_config

from repro.manifest import ROOT
from rl import sweep
from rl.experiments import runs
from rl.experiments.config import load
from rl.experiments.jobs import Outcome, run_jobs
from rl.experiments.progress import ProgressReporter

SETTINGS = ROOT / "rl" / "experiments" / "accelerate"
CPU = SETTINGS / "cpu-2.yaml"
STEPS = ROOT / "tests" / "differential_smoothing" / "two_processes.py"
LAUNCHED = Path(__file__).with_name("launched.py")


def launch(*words: str, status: int = 0) -> str:
    """Run a script in two processes through `accelerate launch`; returns what all of them said."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CPU), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3600)
    assert (done.returncode == 0) == (status == 0), done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "kind", "processes", "machines"),
    [
        ("cpu-2", "MULTI_GPU", 2, 1),
        ("fsdp-1x8", "FSDP", 8, 1),
        ("fsdp-2x8", "FSDP", 16, 2),
        ("zero3-1x8", "DEEPSPEED", 8, 1),
        ("zero3-2x8", "DEEPSPEED", 16, 2),
    ],
)
def test_accelerate_reads_the_settings(name: str, kind: str, processes: int, machines: int) -> None:
    """Its own loader, which refuses unknown keys, and its own merging of settings and command line."""
    path = SETTINGS / f"{name}.yaml"
    found = load_config_from_file(str(path))
    assert (found.distributed_type, found.num_processes, found.num_machines) == (kind, processes, machines)
    if kind == "DEEPSPEED":
        assert found.deepspeed_config["zero_stage"] == 3
        return  # what comes next wants the package deepspeed
    arguments = launch_command_parser().parse_args(["--config_file", str(path), "script.py"])
    merged, _, _ = _validate_launch_command(arguments)
    assert merged.use_fsdp == (kind == "FSDP")
    assert merged.use_cpu == (name == "cpu-2")


def test_every_settings_file_is_tested() -> None:
    assert {path.stem for path in SETTINGS.glob("*.yaml")} == {
        "cpu-2",
        "fsdp-1x8",
        "fsdp-2x8",
        "zero3-1x8",
        "zero3-2x8",
    }


@pytest.mark.slow
def test_two_launched_processes_train_as_one(tmp_path: Path) -> None:
    """The same rollouts: a group that straddles the two, unequal lengths, `dapo` and `dr_grpo`, with and without DS."""
    one = runpy.run_path(str(STEPS))["train_all"](tmp_path / "one", 1)
    (tmp_path / "two").mkdir()
    launch(str(STEPS), str(tmp_path / "two"))
    two = json.loads((tmp_path / "two" / "two.json").read_text())
    assert set(two) == set(one) >= {"grpo", "grpo-dr", "ds", "ds-dr"}
    for name, found in one.items():
        for key, values in found.items():
            np.testing.assert_allclose(two[name][key], values, rtol=0, atol=2e-6, err_msg=f"{name} {key}")


@pytest.mark.slow
def test_a_sweep_launches_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiment of the paper made small, on a tiny chat model; two processes cannot share five rollouts."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    rows = [{"nums": [a, b, 2], "target": a + b + 2} for a in range(3, 9) for b in range(a, 9)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = {"checkpoint": {"model": str(chat.model(tmp_path / "model"))}}
    training = {"steps": 2, "prompts": 2, "gradient_accumulation_steps": 1, "steps_per_generation": 1, "save_every": 1}
    training |= {"max_completion_length": 4, "use_vllm": False, "bf16": False}
    small = {"extends": str(SETTINGS.parent / "paper" / "countdown.yaml"), "name": "launched", "scale": "cpu"}
    small |= {"task": {"file": str(data), "train": 12, "heldout": 5}, "base": base, "train": training}
    path = tmp_path / "launched.yaml"
    path.write_text(yaml.safe_dump(small | {"needs": {"launch": "accelerate/cpu-2.yaml"}}))

    def swept(method: str, *sets: str) -> Outcome:
        jobs = sweep.jobs_for(load(path, sets), path, [method], [0], tmp_path / "out", sets)
        with ProgressReporter() as display:
            wanted = [job for job in jobs if "evaluation" not in job.name]
            return run_jobs(wanted, 1, tmp_path / "logs", display)

    found = swept("ds-grpo")
    assert (found.ran, found.failed) == (["base seed 0", "ds-grpo seed 0"], {})
    folder = runs.folder_of(tmp_path / "out", "launched", 0, "ds-grpo")
    assert [row["step"] for row in runs.Metrics(folder / "metrics.jsonl").rows()] == [1, 2]
    assert (folder / "manifest.json").is_file()
    said = "rl.train: train.prompts: 5 rollouts of a step do not divide among 2 processes"
    assert swept("grpo", "train.prompts=1").failed == {"grpo seed 0": said}


@pytest.mark.slow
def test_one_of_two_killed_ends_the_run_and_it_resumes(tmp_path: Path) -> None:
    config, out = write_config(tmp_path), tmp_path / "out"
    train = [str(config), "--method", "ds-grpo", "--seed", "0", "--out", str(out)]
    said = launch(str(LAUNCHED), "1", "6", *train, status=1)
    assert "SIGKILL" in said or "Signal 9" in said, "the launcher names what ended"
    assert not (out / RUN / "manifest.json").exists()
    assert (out / RUN / "checkpoints" / "step-4").is_dir()

    said = launch(str(LAUNCHED), "-1", "0", *train)
    assert "goes on from step 4" in said
    assert [row["step"] for row in runs.Metrics(out / RUN / "metrics.jsonl").rows()] == list(range(13))
    assert (out / RUN / "manifest.json").is_file()
    assert (out / RUN / "model" / "model.safetensors").is_file()
    assert not list(out.rglob("*.saving"))
