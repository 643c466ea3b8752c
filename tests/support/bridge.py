"""The bridge from theory to trainer: the theorems' tabular policy goes through the real trainer.

`averaged_step` hands in every group that can be drawn, weighs each by its probability, and returns the expected step of
the logits: what T2 and T10 compute.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from differential_smoothing.trl import DSGRPOTrainer
from rl.models.tabular import BOS, EOS, TabularLM, tabular_lm, tabular_tokenizer


@dataclass(frozen=True)
class World:
    """One prompt. trajectories: token ids, each ended by EOS. p0: their probabilities. correct: which of them are."""

    trajectories: tuple[tuple[int, ...], ...] = (
        (3, EOS),
        (3, 4, EOS),
        (4, 4, 3, EOS),
        (EOS,),
        (4, EOS),
    )
    p0: tuple[float, ...] = (0.2, 0.05, 0.1, 0.35, 0.3)
    correct: tuple[bool, ...] = (True, True, True, False, False)

    @property
    def longest(self) -> int:
        """The maximal length in tokens, end of sequence included."""
        return max(len(trajectory) for trajectory in self.trajectories)

    def model(self) -> TabularLM:
        """A fresh model with the policy p0."""
        return tabular_lm(self.trajectories, np.log(self.p0).tolist())

    def reward(self, completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        """A TRL reward function: 1 for correct trajectories, else 0."""
        return [float(self.correct[self.trajectories.index(tuple(ids))]) for ids in completion_ids]

    def settings(self, folder: Path | str, **changes: Any) -> GRPOConfig:
        """Plain stochastic gradient descent on the processor: no clipping, no decay, no schedule.

        `dr_grpo` divides by the maximal length; a learning rate of that length leaves steps of size 1 (T2's eta).
        """
        settings: dict[str, Any] = {
            "report_to": "none",
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "disable_tqdm": True,
            "save_strategy": "no",
            "logging_strategy": "no",
            "num_generations": 4,
            "per_device_train_batch_size": 4,
            "max_completion_length": self.longest,
            "optim": "sgd",
            "learning_rate": float(self.longest),
            "lr_scheduler_type": "constant",
            "max_grad_norm": 0.0,
            "weight_decay": 0.0,
            "loss_type": "dr_grpo",
            "beta": 0.0,
            "temperature": 1.0,
        }
        return GRPOConfig(str(folder), **{**settings, **changes})

    def trainer(self, args: GRPOConfig, kind: type[GRPOTrainer] = DSGRPOTrainer, **keywords: Any) -> GRPOTrainer:
        """A trainer of this kind on a fresh model; keywords are the trainer's."""
        defaults: dict[str, Any] = {"model": self.model(), "reward_funcs": self.reward}
        rows = args.max_steps * (args.generation_batch_size or 1)
        return kind(
            args=args,
            train_dataset=Dataset.from_dict({"prompt": ["<bos>"] * max(rows, 1)}),
            processing_class=tabular_tokenizer(defaults["model"].config.vocab_size),
            **{**defaults, **keywords},
        )

    def handed_in(self, batches: Iterable[Sequence[int]]) -> Callable[[list[Any], GRPOTrainer], dict[str, Any]]:
        """A TRL rollout function: at its n-th call each process takes its rows of `batches[n]` (trajectory indices)."""
        waiting = iter(batches)

        def rollout(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
            start = trainer.accelerator.process_index * len(prompts)
            mine = list(next(waiting))[start : start + len(prompts)]
            if len(mine) != len(prompts):
                raise ValueError(f"{len(mine)} rollouts were handed in for {len(prompts)} prompts")
            ids = [list(self.trajectories[y]) for y in mine]
            return {"prompt_ids": [[BOS]] * len(mine), "completion_ids": ids, "logprobs": None}

        return rollout


class _Steps(TrainerCallback):
    """Records the step that each update made, and puts the model back."""

    def __init__(self, model: TabularLM) -> None:
        self.start = model.theta.detach().clone()
        self.steps: list[np.ndarray] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        theta = kwargs["model"].theta
        with torch.no_grad():
            self.steps.append((theta - self.start).numpy().copy())
            theta.copy_(self.start)


def steps(trainer: GRPOTrainer) -> np.ndarray:
    """Train; return every update's step of the logits, (updates, m), each taken from the same starting point."""
    record = _Steps(cast(TabularLM, trainer.model))
    trainer.add_callback(record)
    trainer.train()
    return np.array(record.steps)


def all_groups(m: int, size: int, p0: Sequence[float]) -> tuple[list[list[int]], np.ndarray]:
    """Every multiset of `size` trajectories out of `m`, as sorted rows, and its multinomial probability."""
    groups = [list(group) for group in itertools.combinations_with_replacement(range(m), size)]
    counts = np.array([np.bincount(group, minlength=m) for group in groups])
    ways = [math.factorial(size) / math.prod(math.factorial(n) for n in row) for row in counts.tolist()]
    return groups, np.array(ways) * np.prod(np.asarray(p0) ** counts, axis=1)


def averaged_step(world: World, folder: Path | str, size: int, **keywords: Any) -> np.ndarray:
    """The trainer's step (m,) of the logits, averaged over all groups of `size` rollouts with their probabilities.

    keywords: `settings`, a dict of changes to `World.settings`; the others are the trainer's.
    """
    groups, weights = all_groups(len(world.p0), size, world.p0)
    settings = keywords.pop("settings", {})
    args = world.settings(
        folder, num_generations=size, per_device_train_batch_size=size, max_steps=len(groups), **settings
    )
    found = steps(world.trainer(args, rollout_func=world.handed_in(groups), **keywords))
    return weights @ found
