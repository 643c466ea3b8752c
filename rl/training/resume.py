"""Exact resuming on top of TRL: a run that was killed and started again ends as one that never was.

What TRL lacks for that, and what is done here. Its sampler replays its first epoch and shuffles by a generator whose
state is lost: the prompts of all steps are laid out beforehand, as one epoch, unshuffled. Its counter of micro-steps
restarts at zero and its buffer of rollouts is lost: the counter is stored, and a checkpoint is taken only where the
buffer is used up, all others are refused. It writes checkpoints in place: here they get their name when they are whole.
It pickles its arguments beside every checkpoint (`training_args.bin`): that file is never written, and never read.

Bit-identity is claimed for rollouts by transformers, on one thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from differential_smoothing.trl import DSGRPOTrainer
from repro.files import whole_folder
from rl.experiments import runs
from rl.experiments.runs import Checkpoint, Metrics, RunError
from rl.models.pretrained import merge_adapter

T = TypeVar("T")


def prompt_schedule(problems: Sequence[T], count: int, seed: int) -> list[T]:
    """The first `count` of an endless stream of `problems`: permutation after permutation, decided by `seed` alone."""
    rng = np.random.default_rng([seed, 0x5EED])
    order: list[int] = []
    while len(order) < count:
        order.extend(rng.permutation(len(problems)).tolist())
    return [problems[index] for index in order[:count]]


class ResumableTrainer(DSGRPOTrainer):
    """`DSGRPOTrainer` whose checkpoints can be resumed exactly; they lie under `checkpoints`, beside `metrics`."""

    def __init__(self, *args: Any, checkpoints: Path, metrics: Metrics, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.checkpoints = checkpoints
        self.metrics_file = metrics
        self._staging: Path | None = None

    def resume(self, checkpoint: Checkpoint | None) -> None:
        """Train to the end, from the beginning or from `checkpoint`."""
        if checkpoint is None:
            self.train()
            return
        self._step = checkpoint.state["micro_steps"]
        self.train(resume_from_checkpoint=str(checkpoint.folder))

    def save_whole(self, target: Path, base: Path) -> None:
        """Write the final model, whole or not at all; a LoRA adapter is merged into `base`."""
        main = self.accelerator.is_main_process
        with self._staged(target) as staging:
            self.accelerator.wait_for_everyone()
            self.save_model(str(staging))
            self.accelerator.wait_for_everyone()
            if main:
                merge_adapter(staging, base)

    def _staged(self, target: Path) -> contextlib.AbstractContextManager[Path]:
        """Where all processes write what becomes `target`; the main one makes it so."""
        staging = runs.staging_of(target)
        return whole_folder(target, staging) if self.accelerator.is_main_process else contextlib.nullcontext(staging)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write `checkpoints/step-N`, whole or not at all; raises RunError if it cannot be written."""
        step = self.state.global_step
        if self._step % (self.args.steps_per_generation * self.num_iterations):
            raise RunError(f"step {step}: a checkpoint amid a generation batch could not be resumed exactly")
        main = self.accelerator.is_main_process
        target = self.checkpoints / f"step-{step}"
        self.metrics_file.sync()
        try:
            with self._staged(target) as staging:
                self.accelerator.wait_for_everyone()
                self._write(staging, model, trial)
                self.accelerator.wait_for_everyone()
                if main:
                    _unnest(staging)
                    runs.write_index(staging, step, {"micro_steps": self._step})
            if main:
                runs.prune(self.checkpoints)
        except Exception as error:  # torch and safetensors each have their own for a full disk
            left = runs.latest_valid(self.checkpoints, step)[0]
            kept = f"that of step {left.step} is kept" if left else "there is no earlier one"
            raise RunError(
                f"step {step}: the checkpoint could not be written ({_reason(error)}); {kept}; "
                "make room and start the run again, it goes on from there"
            ) from error

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        """As TRL's, but a text is taken as it is: `render_prompts` has put what begins a sequence."""
        if not isinstance(prompts[0], str):
            return super()._tokenize_prompts(prompts)
        encode: Any = self.processing_class
        return encode(text=prompts, add_special_tokens=False)["input_ids"], None, {}

    def _write(self, staging: Path, model: Any, trial: Any) -> None:
        self._staging = staging
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._staging = None

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging) if self._staging else super()._get_output_dir(trial)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """As transformers', without the pickle of the arguments."""
        folder = output_dir or self.args.output_dir
        os.makedirs(folder, exist_ok=True)
        self.accelerator.unwrap_model(self.model).save_pretrained(folder, state_dict=state_dict)
        self._tokenizer.save_pretrained(folder)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the manifest says what the run was."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As TRL's; the rows are kept in `metrics.jsonl`, not also in every checkpoint."""
        super().log(logs, start_time)
        self.state.log_history.clear()


def _unnest(staging: Path) -> None:
    [made] = staging.glob("checkpoint-*")  # transformers' own folder in the one it is given
    for path in made.iterdir():
        path.rename(staging / path.name)
    made.rmdir()


def _reason(error: BaseException) -> str:
    """The first line of the error at the root: the operating system's own word where there is one."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return str(error).splitlines()[0] if str(error) else type(error).__name__
