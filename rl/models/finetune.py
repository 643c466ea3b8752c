"""The supervised stage of a pretrained model: TRL's SFTTrainer on correct answers, the loss on the answers alone.

A model that was made before with the same task, settings and pretrained weights is found by the hash of these and not
made again. Its folder is an ordinary Hugging Face checkpoint in safetensors, the base of every method and seed.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import SFTConfig, SFTTrainer

from repro.files import whole_folder, write_json
from repro.manifest import manifest
from rl import tasks
from rl.experiments import runs
from rl.experiments.bases import HasBase, base_folder
from rl.experiments.model_config import CheckpointConfig, SupervisedConfig
from rl.experiments.progress import ProgressReporter
from rl.models import pretrained
from rl.models.supervised import IGNORED
from rl.tasks.base import Task

_DRAWN = 0xA55E  # a random stream of its own


def examples(task: Task, problems: Sequence[Any], tokenizer: Any, stage: SupervisedConfig) -> list[dict[str, Any]]:
    """The rows of `stage` in their order: tokens, and labels that are `IGNORED` on prompts.

    Each row is a problem drawn uniformly and one of its answers, drawn uniformly. Prompt and answer are cut into tokens
    apart, as sampling and teacher forcing see them. Raises ValueError if the task knows no answers.
    """
    known = [(problem, answers) for problem in problems if (answers := task.answers(problem))]
    if not known:
        raise ValueError("base.checkpoint.supervised: the task knows no answers to learn from")
    rng = np.random.default_rng([stage.seed, _DRAWN])
    rows = []
    for index in rng.integers(len(known), size=stage.steps * stage.batch):
        problem, answers = known[index]
        prompt, answer = tokenizer([problem.prompt, answers[rng.integers(len(answers))]], add_special_tokens=False)[
            "input_ids"
        ]
        answer = [*answer, tokenizer.eos_token_id]
        rows.append({"input_ids": [*prompt, *answer], "labels": [IGNORED] * len(prompt) + answer})
    return rows


class _Show(TrainerCallback):
    def __init__(self, show: Callable[[int, float], None]) -> None:
        self.show = show

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        if "loss" in event["logs"]:  # not the summary at the end
            self.show(state.global_step, event["logs"]["loss"])


def supervise(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    base: CheckpointConfig,
    use_cpu: bool,
    show: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Train `model` in place on `rows`, as `base.supervised` says.

    Returns the mean loss of the last tenth of the steps, in nats per token of the answers. show: called after each step
    with the number of steps done and the loss. Raises ValueError if that is not finite.
    """
    stage = base.supervised
    assert stage is not None
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder,
            max_steps=stage.steps,
            per_device_train_batch_size=stage.batch,
            learning_rate=stage.learning_rate,
            lr_scheduler_type=stage.lr_scheduler_type,
            warmup_steps=stage.warmup,
            optim="adamw_torch_fused",
            weight_decay=0.0,
            max_grad_norm=1.0,
            seed=stage.seed,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=use_cpu,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},  # tokens and labels are there
            save_strategy="no",
            logging_steps=1,
            logging_nan_inf_filter=False,  # a loss that is not finite shows
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SFTTrainer(model, settings, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
        pretrained.prepare(trainer, base, use_cpu)
        for noisy in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(noisy)
        trainer.add_callback(_Show(show))
        trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    tail = losses[-max(1, len(losses) // 10) :]
    loss = sum(tail) / len(tail)
    if not math.isfinite(loss):
        raise ValueError(f"base.checkpoint.supervised.learning_rate: {stage.learning_rate}: the loss is {loss}")
    return loss


def finetuned(config: HasBase, out: Path) -> Path:
    """The folder of the supervised model, made now unless it is there. It appears whole or not at all."""
    base = config.base
    assert isinstance(base, CheckpointConfig)
    assert base.supervised is not None
    stage = base.supervised
    folder = base_folder(config, 0, out)
    if (folder / "manifest.json").exists():
        return folder
    started = time.time()
    origin = pretrained.fetch(base, out)
    tokenizer = pretrained.load_tokenizer(origin)
    task = tasks.get(config.task.name)
    problems = pretrained.render_prompts(task.splits(config.task)["train"], base, tokenizer)
    rows = examples(task, problems, tokenizer, stage)
    use_cpu = config.scale == "cpu" or not torch.cuda.is_available()
    model = pretrained.load_model(origin, base, use_cpu)
    whole = dataclasses.replace(base, lora=None)  # only runs train an adapter
    with ProgressReporter() as display:

        def show(step: int, loss: float) -> None:
            display.show(f"supervised stage {stage.seed}", step, stage.steps, {"loss": loss})

        loss = supervise(model, tokenizer, rows, whole, use_cpu, show)
    with whole_folder(folder) as made:
        model.eval().save_pretrained(made)
        tokenizer.save_pretrained(made)
        settings = {"task": dataclasses.asdict(config.task), "base": dataclasses.asdict(base)}
        more = {
            "loss": loss,
            "tokens": sum(len(row["input_ids"]) for row in rows),
            "origin": runs.weights(origin),
            "parameters": model.num_parameters(),
        }
        write_json(made / "manifest.json", manifest(settings, stage.seed, started, **more))
    return folder
