"""The plan of a scale: every run named, estimates that follow from the settings, what is missing, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from trl import GRPOConfig

from repro.manifest import ROOT
from rl import plan, sweep
from rl.experiments.config import Experiment, load
from rl.experiments.model_config import CheckpointConfig, LoraSettings
from rl.plan import cost, data_of, experiments, missing, refusal
from rl.training.run import grpo_config

PAPER = {one.name: one for one in experiments("paper").values()}
MODELS = {
    "countdown-qwen25-3b": "Qwen/Qwen2.5-3B-Instruct",
    "qwen25-math-15b": "Qwen/Qwen2.5-Math-1.5B",
    "qwen25-math-7b": "Qwen/Qwen2.5-Math-7B",
    "qwen3-17b": "Qwen/Qwen3-1.7B",
    "ministral-8b": "mistralai/Ministral-8B-Instruct-2410",
}


def base_of(one: Experiment) -> CheckpointConfig:
    assert isinstance(one.base, CheckpointConfig)
    return one.base


NEEDY = """
extends: {cpu}
name: needy
needs:
  parameters: 1e9
  gpus: 8
  gpu_memory_gib: 80
  response_tokens: 1
  prompt_tokens: 1
  problems: 1
  seeds: [0]
  launch: accelerate/fsdp-1x8.yaml
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "hub", lambda: False)


def test_the_models_of_the_paper_are_planned() -> None:
    assert {name: base_of(one).model for name, one in PAPER.items()} == MODELS
    for one in PAPER.values():
        assert {"grpo", "ds-grpo", "entropy-bonus", "entropy-penalty"} <= set(one.methods)
        assert one.needs is not None
        assert one.needs.launch_file.is_file()
        assert one.needs.seeds == (0, 1, 2)


@pytest.mark.parametrize("path", experiments("paper"), ids=lambda path: path.stem)
def test_a_short_try_has_settings_that_work(path: Path) -> None:
    """As docs/paper_scale.md says it is made."""
    tried = load(path, ["train.steps=8", "train.save_every=8"])
    assert tried.train.steps % tried.train.window == 0


@pytest.mark.parametrize("name", MODELS)
def test_rollouts_divide_among_the_gpus(name: str, tmp_path: Path) -> None:
    one = PAPER[name]
    assert one.needs is not None
    for gpus in (one.needs.gpus, 2 * one.needs.gpus):
        settings = dataclasses.replace(one.train, bf16=False, use_vllm=False, trl={})
        args: GRPOConfig = grpo_config(settings, 0, True, tmp_path, gpus)
        assert args.per_device_train_batch_size * gpus * args.gradient_accumulation_steps == (
            one.train.prompts * one.train.num_generations
        )


def test_costs_follow_from_size_and_tokens() -> None:
    one = PAPER["qwen25-math-15b"]
    assert one.needs is not None
    twice = dataclasses.replace(one, needs=dataclasses.replace(one.needs, parameters=2 * one.needs.parameters))
    assert cost(twice).training_hours == pytest.approx(2 * cost(one).training_hours)
    assert cost(twice).evaluation_hours == pytest.approx(2 * cost(one).evaluation_hours)
    assert cost(one).rollout_tokens == 2016 * 32 * 8 * 800
    assert cost(one).disk_gib == pytest.approx(4 * 1.54e9 / 2**30)
    assert cost(one).saving_gib == pytest.approx(9 * cost(one).disk_gib)
    small = dataclasses.replace(base_of(one), lora=LoraSettings(16, 32, 0.0, "all-linear"))
    assert cost(dataclasses.replace(one, base=small)).memory_gib < cost(one).memory_gib
    # by hand: 16 bytes × 1.54e9 over 8 GPUs, 2 bytes × 1.54e9 on each, 16 GiB
    assert cost(one).memory_gib == pytest.approx((2 * 1.54e9 + 2 * 1.54e9) / 2**30 + 16)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(plan, "absent", lambda checkpoint: "no folder")
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: None)
    one = PAPER["qwen25-math-7b"]
    assert one.needs is not None
    zero = dataclasses.replace(one, needs=dataclasses.replace(one.needs, launch="accelerate/zero3-1x8.yaml"))
    said = "; ".join(missing(zero))
    for word in ("8 GPUs (0 here)", "Qwen/Qwen2.5-Math-7B", "package vllm", "package deepspeed"):
        assert word in said
    assert "the data math-ai/aime24 (task.revisions.aime24 names no commit)" in said
    sentence = refusal(one)
    assert sentence is not None
    assert sentence.startswith("qwen25-math-7b cannot run on this machine, which lacks 8 GPUs")
    assert "\n" not in sentence
    assert "the package" not in str(refusal(zero, packages=False))


def test_data_is_there_as_a_file_or_at_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = PAPER["countdown-qwen25-3b"]
    (tmp_path / "rows.jsonl").touch()
    for task, said in (
        ({}, "(task.revision names no commit)"),
        ({"revision": "main"}, "(task.revision: 'main' is no commit)"),
        ({"revision": "0" * 40}, "(no file, the hub is out of reach)"),
        ({"file": "nowhere.jsonl"}, "(no file nowhere.jsonl)"),
        ({"file": str(tmp_path / "rows.jsonl")}, None),
    ):
        lacks = missing(dataclasses.replace(one, task=dataclasses.replace(one.task, **task)))
        assert [lack for lack in lacks if "the data" in lack] == (
            [f"the data Jiayi-Pan/Countdown-Tasks-3to4 {said}"] if said else []
        )


def test_nothing_is_missing_where_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 80 * 2**30

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    monkeypatch.setattr(plan, "absent", lambda checkpoint: None)
    monkeypatch.setattr(plan, "hub", lambda: True)
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: object())
    one = PAPER["qwen25-math-7b"]
    pinned = dict.fromkeys((*one.task.train, *one.task.benchmarks), "0" * 40)
    one = dataclasses.replace(one, task=dataclasses.replace(one.task, revisions=pinned))
    assert missing(one) == []
    assert refusal(one) is None


@pytest.mark.parametrize("scale", plan.SCALES)
def test_a_dry_run_names_every_run(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--scale", scale]) == 0
    said = capsys.readouterr().out
    for one in experiments(scale).values():
        assert one.name in said
        assert all(data.repository in said for data in data_of(one))
        for method in one.methods:
            seeds = one.needs.seeds if one.needs else ()
            assert method in said
            assert said.count(f"{method:<18} seed") >= len(seeds)
    assert ("estimate" in said) == (scale == "paper")


def test_one_experiment_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--scale", "paper", "qwen3-17b"]) == 0
    said = capsys.readouterr().out
    assert "Qwen/Qwen3-1.7B" in said
    assert "Qwen/Qwen2.5" not in said
    assert plan.main(["qwen3-17"]) == 2
    assert "qwen3-17: no experiment of the scale paper; did you mean 'qwen3-17b'?" in capsys.readouterr().err


def test_without_the_gpus_it_refuses_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert plan.main(["--scale", "paper", "--check"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "cannot run on this machine" in said.err
    assert plan.main(["--scale", "cpu", "--check"]) == 0


def test_a_sweep_refuses_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    path = tmp_path / "needy.yaml"
    path.write_text(NEEDY.format(cpu=ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"))
    asked = [str(path), "--methods", "grpo", "--seeds", "0", "--out", str(tmp_path)]
    assert sweep.main(asked) == 1
    assert "needy cannot run on this machine, which lacks 8 GPUs (0 here)." in capsys.readouterr().err
    for change, said in (
        ("needs.launch=accelerate/fsdp-2x8.yaml", "accelerate/fsdp-2x8.yaml is for 2 machines"),
        ("needs.launch=accelerate/fsdp.yaml", "launch: accelerate/fsdp.yaml is no file under rl/experiments"),
        ("needs.seeds=[]", "seeds: names none"),
    ):
        assert sweep.main([*asked, "--set", change]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
