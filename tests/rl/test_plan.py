"""The plan of a scale: every run named, estimates that follow from the settings, what is missing, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from trl import GRPOConfig

from repro.manifest import ROOT
from rl import plan, sweep
from rl.checkpoint import LoraSettings
from rl.plan import cost, missing, plans, refusal
from rl.train import grpo_config

PAPER = {one.name: one for one in plans("paper")}
MODELS = {
    "countdown-qwen25-3b": "Qwen/Qwen2.5-3B-Instruct",
    "qwen25-math-15b": "Qwen/Qwen2.5-Math-1.5B",
    "qwen25-math-7b": "Qwen/Qwen2.5-Math-7B",
    "qwen3-17b": "Qwen/Qwen3-1.7B",
    "ministral-8b": "mistralai/Ministral-8B-Instruct-2410",
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "hub", lambda: False)


def test_the_models_of_the_paper_are_planned() -> None:
    assert {name: one.checkpoint.model for name, one in PAPER.items() if one.checkpoint} == MODELS
    for one in PAPER.values():
        assert {"grpo", "ds-grpo", "entropy-bonus", "entropy-penalty"} <= set(one.methods)
        assert one.needs is not None
        assert (ROOT / "rl" / "experiments" / one.needs.launch).is_file()


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
    assert one.checkpoint is not None
    small = dataclasses.replace(one.checkpoint, lora=LoraSettings(16, 32, 0.0, "all-linear"))
    assert cost(dataclasses.replace(one, checkpoint=small)).memory_gib < cost(one).memory_gib
    # by hand: 16 bytes × 1.54e9 over 8 GPUs, 2 bytes × 1.54e9 on each, 16 GiB
    assert cost(one).memory_gib == pytest.approx((2 * 1.54e9 + 2 * 1.54e9) / 2**30 + 16)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(plan, "present", lambda checkpoint: False)
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: None)
    one = PAPER["qwen25-math-7b"]
    assert one.needs is not None
    zero = dataclasses.replace(one, needs=dataclasses.replace(one.needs, launch="accelerate/zero3-1x8.yaml"))
    said = "; ".join(missing(zero))
    for word in ("8 GPUs (0 here)", "Qwen/Qwen2.5-Math-7B", "math-ai/aime24", "package vllm", "package deepspeed"):
        assert word in said
    sentence = refusal(one)
    assert sentence is not None
    assert sentence.startswith("qwen25-math-7b cannot run on this machine, which lacks 8 GPUs") or one.problem
    assert "\n" not in sentence


def test_nothing_is_missing_where_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        total_memory = 80 * 2**30

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    monkeypatch.setattr(plan, "present", lambda checkpoint: True)
    monkeypatch.setattr(plan, "hub", lambda: True)
    monkeypatch.setattr(plan.importlib.util, "find_spec", lambda name: object())
    one = dataclasses.replace(PAPER["qwen25-math-7b"], problem=None)
    assert missing(one) == []
    assert refusal(one) is None


@pytest.mark.parametrize("scale", plan.SCALES)
def test_a_dry_run_names_every_run(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["--scale", scale]) == 0
    said = capsys.readouterr().out
    for one in plans(scale):
        assert one.name in said
        for method in one.methods:
            seeds = one.needs.seeds if one.needs else ()
            assert method in said
            assert said.count(f"{method:<18} seed") >= len(seeds)
    assert ("estimate" in said) == (scale == "paper")


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
    needs = "{parameters: 1e9, gpus: 8, gpu_memory_gib: 80, response_tokens: 1, prompt_tokens: 1, problems: 1, "
    cpu = ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"
    path.write_text(f"extends: {cpu}\nname: needy\nneeds: {needs} seeds: [0], launch: x.yaml, data: []}}\n")
    assert sweep.main([str(path), "--methods", "grpo", "--seeds", "0", "--out", str(tmp_path)]) == 1
    assert "needy cannot run on this machine, which lacks 8 GPUs (0 here)." in capsys.readouterr().err
