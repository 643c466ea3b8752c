"""The supervised stage of a pretrained model, and training in bfloat16 with float32 copies."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import chat
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from repro.manifest import ROOT
from rl import tasks
from rl.evaluation.exact import evaluate_exact
from rl.evaluation.grading import grade_samples
from rl.evaluation.sampled import Sampling, complete
from rl.experiments import runs
from rl.experiments.bases import base_folder
from rl.experiments.config import Experiment, load
from rl.experiments.model_config import CheckpointConfig, LoraSettings, SupervisedConfig
from rl.experiments.yaml_loader import ConfigError, parse
from rl.models import finetune, pretrained
from rl.models.from_scratch import base_model
from rl.models.master_adamw import MasterAdamW
from rl.models.supervised import IGNORED
from rl.tasks import countdown_sentence
from rl.training import run
from rl.training.threads import one_thread

CPU = ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"
STAGE = SupervisedConfig(steps=20, batch=16, learning_rate=0.02, lr_scheduler_type="linear", warmup=2, seed=0)


def experiment(folder: Path, model: Path, stage: SupervisedConfig | None = STAGE, **base: Any) -> Experiment:
    """Countdown in one sentence on the tiny chat model at `model`."""
    whole = parse(CPU.read_text()) | {"name": "sentence"}
    whole["task"] = {"name": "countdown-sentence", "numbers": 2, "max_number": 6, "max_target": 12}
    whole["task"] |= {"problems": 50, "validation": 5, "heldout": 10, "seed": 0}
    whole["base"] = {"checkpoint": {"model": str(model), "revision": "main", "dtype": "float32", "chat_template": True}}
    whole["base"]["checkpoint"] |= {"lora": None, "supervised": stage and dataclasses.asdict(stage)} | base
    whole["train"] |= {"steps": 4, "prompts": 2, "num_generations": 4, "save_every": 2, "validate_every": 0}
    whole["train"] |= {"max_completion_length": 8, "learning_rate": 1e-4}
    path = folder / "sentence.yaml"
    path.write_text(yaml.safe_dump(whole))
    return load(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    one_thread()
    return chat.model(tmp_path_factory.mktemp("chat"))


def test_the_stage_teaches_the_answers_and_is_made_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment(tmp_path, model)
    folder = base_model(config, 0, tmp_path / "out")
    made = json.loads((folder / "manifest.json").read_text())
    assert made["loss"] < 3.5 < torch.log(torch.tensor(261.0)), "nats per token; it began at log 261"
    assert made["origin"] == runs.weights(model)
    assert made["seed"] == STAGE.seed
    assert pretrained.load_tokenizer(folder).chat_template == chat.CHATML

    again = finetune.finetuned(experiment(tmp_path, model), tmp_path / "another")
    assert again != folder
    assert runs.weights(again) == runs.weights(folder), "the same settings give the same model"
    monkeypatch.setattr(finetune, "supervise", None)
    assert base_model(config, 7, tmp_path / "out") == folder, "found; it is the base of every seed"


def test_what_makes_another_base(model: Path, tmp_path: Path) -> None:
    config = experiment(tmp_path, model)
    here = base_folder(config, 0, tmp_path)

    def other(**change: Any) -> Path:
        base = config.base
        assert isinstance(base, CheckpointConfig)
        return base_folder(dataclasses.replace(config, base=dataclasses.replace(base, **change)), 0, tmp_path)

    assert other(supervised=dataclasses.replace(STAGE, seed=1)) != here
    assert other(dtype="bfloat16") != here
    assert other(system_message=False) != here
    assert other(lora=LoraSettings(4, 8, 0.0, "all-linear")) == here
    assert other(supervised=None) == pretrained.pretrained_folder(config.base, tmp_path)  # type: ignore[arg-type]
    train = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=8))
    assert base_folder(train, 3, tmp_path) == here


def test_the_loss_is_on_answers_alone_which_are_all_correct(model: Path, tmp_path: Path) -> None:
    config, words = experiment(tmp_path, model), pretrained.load_tokenizer(model)
    task = tasks.get("countdown-sentence")
    problems = pretrained.render_prompts(task.splits(config.task)["train"], config.base, words)
    rows = finetune.examples(task, problems, words, STAGE)
    assert len(rows) == STAGE.steps * STAGE.batch
    asked = {one.prompt: one for one in problems}
    seen = set()
    for row in rows:
        first = next(at for at, label in enumerate(row["labels"]) if label != IGNORED)
        assert row["labels"][first:] == row["input_ids"][first:]
        prompt, answer = words.decode(row["input_ids"][:first]), words.decode(row["input_ids"][first:-1])
        assert row["input_ids"][-1] == words.eos_token_id
        assert countdown_sentence.verify(asked[prompt], answer).correct
        seen.add((prompt, answer))
    every = {(one.prompt, text) for one in problems for text in task.answers(one)}
    assert len(seen) > 0.8 * len(every), "each answer is drawn alike"
    assert rows != finetune.examples(task, problems, words, dataclasses.replace(STAGE, seed=1))
    with pytest.raises(ValueError, match="knows no answers"):
        finetune.examples(tasks.get("math"), problems, words, STAGE)


def test_a_loss_that_is_not_finite_is_said(model: Path, tmp_path: Path) -> None:
    config = experiment(tmp_path, model, dataclasses.replace(STAGE, learning_rate=1e30, warmup=0))
    with pytest.raises(ValueError, match=r"supervised.learning_rate: 1e\+30: the loss is"):
        base_model(config, 0, tmp_path / "out")
    assert not list((tmp_path / "out" / "bases").glob("countdown-*"))


def test_exact_evaluation_agrees_with_sampling(model: Path, tmp_path: Path) -> None:
    """Of the supervised model as runs hold it: answers are cut into many tokens each, attention is plain."""
    config = experiment(tmp_path, model, dataclasses.replace(STAGE, steps=300, batch=32))
    folder = base_model(config, 0, tmp_path / "out")
    network, words = pretrained.load_model(folder, config.base), pretrained.load_tokenizer(folder)
    task = tasks.get("countdown-sentence")
    problems = pretrained.render_prompts(task.splits(config.task)["train"], config.base, words)[:20]
    known = {one.id: task.solutions(one) for one in problems}  # type: ignore[misc]
    exact = evaluate_exact(network, words, problems, (1, 8), lambda one: known[one.id])
    assert exact["C"].mean() > 0.05, "enough to compare"
    how = Sampling(n=200, temperature=1.0, top_p=1.0, top_k=0, max_tokens=8, seed=0)
    samples = grade_samples(task, problems, complete((network, words), [one.prompt for one in problems], how))
    listed = {one.id: frozenset(text for form in known[one.id].values() for text in form) for one in problems}
    known_text = [text in listed[name] for name, text in zip(samples["problem"], samples["text"])]
    inside = samples["verbatim"] & np.array(known_text)
    error = (exact["C"] * (1 - exact["C"]) / how.n).sum() ** 0.5 / len(problems)
    assert abs(inside.mean() - exact["C"].mean()) < 4 * error
    assert samples["correct"][inside].all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "base.checkpoint.supervised.steps: 0 must be at least 1"),
        ({"warmup": 20}, "base.checkpoint.supervised.warmup: 20 must lie between 0 and steps=20"),
        ({"learning_rate": 0.0}, "base.checkpoint.supervised.learning_rate: 0.0 must be positive"),
        ({"seed": -1}, "base.checkpoint.supervised.seed: -1 must not be negative"),
        ({"bach": 3}, "base.checkpoint.supervised.bach: no such setting; did you mean 'batch'?"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        experiment(tmp_path, tmp_path, None, supervised=dataclasses.asdict(STAGE) | change)
    assert said in str(error.value)


def quadratic(optimizer: torch.optim.Optimizer, weight: torch.Tensor, steps: int) -> torch.Tensor:
    for _ in range(steps):
        (weight.float() - 1.0).square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return weight.detach().clone()


def test_small_steps_add_up_in_float32_and_are_lost_in_bfloat16() -> None:
    start = torch.tensor([2.0, -3.0, 0.5])
    options = {"lr": 1e-4, "weight_decay": 0.0}
    weights = {name: start.to(torch.bfloat16).requires_grad_() for name in ("masters", "bare")}
    whole = start.clone().requires_grad_()
    found = quadratic(MasterAdamW([weights["masters"]], **options), weights["masters"], 500)
    bare = quadratic(torch.optim.AdamW([weights["bare"]], **options), weights["bare"], 500)
    exact = quadratic(torch.optim.AdamW([whole], **options), whole, 500)
    assert torch.equal(bare[:2].float(), start[:2])
    assert torch.allclose(found.float(), exact, atol=0.01)
    assert not torch.equal(found.float(), start)


def test_the_state_holds_the_copies() -> None:
    """Loaded into another optimizer, it goes on to the bit: nothing is rounded on the way."""
    weight = torch.tensor([2.0, -3.0]).to(torch.bfloat16).requires_grad_()
    first = MasterAdamW([{"params": [weight], "weight_decay": 0.1}], lr=1e-3)
    quadratic(first, weight, 3)
    other = weight.detach().clone().requires_grad_()
    second = MasterAdamW([{"params": [other], "weight_decay": 0.1}], lr=1e-3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    quadratic(first, weight, 3)
    quadratic(second, other, 3)
    assert torch.equal(first.masters[0], second.masters[0])


def test_a_run_in_bfloat16_moves_and_resumes_to_the_bit(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = experiment(tmp_path, model, dtype="bfloat16")
    run.train(config, "ds-grpo", 0, tmp_path / "whole")
    whole = load_file(runs.folder_of(tmp_path / "whole", "sentence", 0, "ds-grpo") / "model" / "model.safetensors")
    assert {value.dtype for value in whole.values()} == {torch.bfloat16}
    base = load_file(base_folder(config, 0, tmp_path / "whole") / "model.safetensors")
    assert any(not torch.equal(base[name], whole[name]) for name in whole)

    write = run.Recorder._write

    def killed(self: run.Recorder, state: Any, row: dict[str, Any]) -> None:
        if state.global_step == 3:
            raise KeyboardInterrupt
        write(self, state, row)

    with monkeypatch.context() as patch:
        patch.setattr(run.Recorder, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            run.train(config, "ds-grpo", 0, tmp_path / "cut")
    folder = runs.folder_of(tmp_path / "cut", "sentence", 0, "ds-grpo")
    state = torch.load(folder / "checkpoints" / "step-2" / "optimizer.pt", weights_only=True)
    assert {one.dtype for one in state["masters"]} == {torch.float32}
    run.train(config, "ds-grpo", 0, tmp_path / "cut")
    assert 0.1 < json.loads((folder / "manifest.json").read_text())["peak_memory_gib"] < 64
    resumed = load_file(folder / "model" / "model.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_another_optimizer_is_refused(model: Path, tmp_path: Path) -> None:
    config = experiment(tmp_path, model, dtype="bfloat16")
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, optim="sgd"))
    with pytest.raises(ValueError, match=r"train\.optim: SGD cannot step in float32"):
        run.train(config, "grpo", 0, tmp_path / "out")
