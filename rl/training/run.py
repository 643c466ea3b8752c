"""One run, from its base model to its final weights.

Started again after whatever end, it resumes from its last checkpoint and ends as it would have without.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback
from trl import GRPOConfig

from repro.files import write_json
from repro.manifest import manifest
from rl import tasks
from rl.evaluation.exact import Solutions
from rl.evaluation.vllm_engine import colocate_on_cpu, need_vllm
from rl.experiments import runs, trajectory
from rl.experiments.config import OWN, ConfigError, Experiment, TrainConfig
from rl.experiments.identity import source_key
from rl.experiments.progress import ProgressReporter
from rl.experiments.runs import Metrics
from rl.models.from_scratch import base_model
from rl.models.pretrained import adapter, load_model, load_tokenizer, prepare, render_prompts
from rl.tasks._rows import left_out
from rl.training import distributed
from rl.training.resume import ResumableTrainer, prompt_schedule
from rl.training.rewards import Rewards

# name in metrics.jsonl ← name in TRL's log
LOGGED = {
    "loss": "loss",
    "reward": "reward",
    "reward_std": "reward_std",
    "flat_groups": "frac_reward_zero_std",
    "entropy": "entropy",
    "kl": "kl",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "clipped": "clip_ratio/region_mean",
    "ds_share": "ds_share",
    "ds_length_corr": "ds_length_corr",
    "distinct_correct": "distinct_correct",
    "completion_length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
    "tokens": "num_tokens",
    "engine_gap": "sampling/sampling_logp_difference/mean",  # vLLM's log-probs against the trainer's, nats per token
}


class Recorder(TrainerCallback):
    """Writes a row per step, validates, asks for checkpoints, shows progress."""

    def __init__(
        self,
        train: TrainConfig,
        metrics: Metrics,
        evaluations: Mapping[str, tuple[int, Callable[[int], dict[str, float]]]],
        show: Callable[..., None],
    ) -> None:
        self.train = train
        self.metrics = metrics
        self.evaluations = {key: (every, run) for key, (every, run) in evaluations.items() if every}
        """Prefix of the row's keys → every how many steps, and what evaluates at a step."""
        self.show = show
        rows = metrics.rows()
        self.started = time.time() - (rows[-1]["wall_s"] if rows else 0.0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0 and self.evaluations:
            self._write(state, {})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_save = state.global_step % self.train.save_every == 0 and state.global_step < state.max_steps

    def on_log(self, args: Any, state: Any, control: Any, **event: Any) -> None:
        logs = event["logs"]
        if "loss" in logs:  # not the summary at the end
            self._write(state, {name: logs[key] for name, key in LOGGED.items() if key in logs})

    def _write(self, state: Any, values: dict[str, Any]) -> None:
        step = state.global_step
        for prefix, (every, run) in self.evaluations.items():
            if step % every == 0 or step == state.max_steps:
                values |= {f"{prefix}/{key}": value for key, value in run(step).items()}
        values = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
        row = {"step": step, **values, "wall_s": round(time.time() - self.started, 3)}
        if state.is_world_process_zero:
            self.metrics.append(row)
            self.show(step, row)


def grpo_config(
    train: TrainConfig, seed: int, use_cpu: bool, folder: Path, processes: int = 1, report_to: str = "none"
) -> GRPOConfig:
    """TRL's arguments for a run in `folder`. report_to: where TRL sends its logs besides, by TRL's name for it."""
    forwarded = {key: value for key, value in vars(train).items() if key not in OWN}
    rollouts = train.prompts * train.num_generations
    micro, rest = divmod(rollouts, train.gradient_accumulation_steps * processes)
    if rest:
        raise ConfigError(f"train.prompts: {rollouts} rollouts of a step do not divide among {processes} processes")
    return GRPOConfig(
        output_dir=str(folder),
        seed=seed,
        max_steps=train.steps,
        per_device_train_batch_size=micro,
        shuffle_dataset=False,
        save_strategy="no",  # the recorder asks for checkpoints
        logging_steps=1,
        report_to=report_to,
        run_name="-".join(folder.parts[-3:]),  # experiment, seed, method
        disable_tqdm=True,
        use_cpu=use_cpu,
        **forwarded,
        **train.trl,
    )


def exact_evaluations(
    config: Experiment, model: Any, tokenizer: Any, split: str, folder: Path | None = None
) -> Callable[[int], dict[str, float]]:
    """A function of the step that evaluates `model` as it is, exactly, on `split`; means over problems.

    With `folder`, the run's, each problem's C at that step is kept there.
    """
    task = tasks.get(config.task.name)
    problems = render_prompts(task.splits(config.task)[split], config.base, tokenizer)
    if task.solutions is None:
        raise ConfigError(f"train.validate_every: the solutions of {config.task.name} cannot be enumerated; set 0")
    listed = Solutions(tokenizer, problems, task.solutions)

    def run(step: int) -> dict[str, float]:
        frame = listed.evaluate(model, config.train.validation_ks, config.train.temperature)
        if folder is not None:
            trajectory.keep(folder, step, frame)
        means = frame.drop(columns=["problem", "solutions", "strings"]).mean()
        return {str(name).replace("passk_", "pass@"): float(value) for name, value in means.items()}

    return run


def evaluations(
    config: Experiment, model: Any, tokenizer: Any, folder: Path
) -> dict[str, tuple[int, Callable[[int], dict[str, float]]]]:
    """What a run evaluates along the way, as `Recorder` takes it."""
    train = config.train
    found = {}
    if train.validate_every:
        found["val"] = (train.validate_every, exact_evaluations(config, model, tokenizer, "validation"))
    if train.heldout_every:
        found["heldout"] = (train.heldout_every, exact_evaluations(config, model, tokenizer, "heldout", folder))
    return found


def train(config: Experiment, name: str, seed: int, out: Path, report_to: str = "none") -> str:
    """Run (or go on with, or find done) one method; returns a line that says what happened.

    Raises RunError if the folder is taken or holds files of no known run, or a checkpoint cannot be written.
    """
    folder = runs.folder_of(out, config.name, seed, name)
    method = config.method(name)
    record = config.record(name)
    use_cpu = config.scale == "cpu" or not torch.cuda.is_available()
    if config.train.use_vllm:
        need_vllm("train.use_vllm")
        if use_cpu:
            colocate_on_cpu()
    settings = grpo_config(config.train, seed, use_cpu, folder, distributed.processes(), report_to)
    main = settings.process_index == 0
    metrics = Metrics(folder / "metrics.jsonl")
    source = source_key(config, name)
    with contextlib.ExitStack() as held:

        def begin() -> tuple[Path, runs.Checkpoint | None, list[str]] | None:
            held.enter_context(runs.locked(folder))
            done, moved = runs.prepare(folder, record, seed, source, runs.shelf_of(out, config.name, seed, name))
            for line in moved:
                print(line, file=sys.stderr)
            if done:
                return None
            base = base_model(config, seed, out)
            rows = metrics.rows()
            checkpoint, complaints = runs.latest_valid(folder / "checkpoints", rows[-1]["step"] if rows else 0)
            metrics.truncate(checkpoint.step if checkpoint else -1)
            return base, checkpoint, complaints

        begun = distributed.decided(main, begin)
        if begun is None:
            return f"{folder}: done already"
        base, checkpoint, complaints = begun

        tokenizer = load_tokenizer(base)
        task = tasks.get(config.task.name)
        problems = render_prompts(task.splits(config.task)["train"], config.base, tokenizer)
        rewards = Rewards(task, problems)
        chosen = prompt_schedule(
            problems, config.train.steps // config.train.window * _prompts_per_batch(config.train), seed
        )
        with ProgressReporter() as display:
            if main:
                for line in complaints:
                    display.line(line)
                if checkpoint:
                    display.line(f"{folder}: goes on from step {checkpoint.step}")
            trainer = ResumableTrainer(
                load_model(base, config.base, use_cpu),
                rewards.reward,
                settings,
                train_dataset=Dataset.from_list([{"prompt": one.prompt, "problem": one.id} for one in chosen]),
                processing_class=tokenizer,
                peft_config=adapter(config.base),
                method=method,
                answer_key=rewards.answers,
                checkpoints=folder / "checkpoints",
                metrics=metrics,
            )
            prepare(trainer, config.base, use_cpu)
            for noisy in (PrinterCallback, ProgressCallback):
                trainer.remove_callback(noisy)
            label = f"{name} seed {seed}"
            recorder = Recorder(
                config.train,
                metrics,
                evaluations(config, trainer.model, tokenizer, folder),
                lambda step, row: display.show(label, step, config.train.steps, row),
            )
            trainer.add_callback(recorder)
            trainer.resume(checkpoint)
            trainer.save_whole(folder / "model", base)
        if main:
            if config.train.heldout_every:
                trajectory.gather(folder, config.train.steps, config.train.heldout_every)
            more = {
                "tokens": trainer.state.num_input_tokens_seen,
                "source": source,
                "base": runs.weights(base),
                "left_out": left_out(),
                "peak_memory_gib": _peak_memory(),
            }
            if not use_cpu:
                more["peak_gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
            write_json(folder / "manifest.json", manifest(record, seed, recorder.started, **more))
            runs.prune(folder / "checkpoints", kept=0)
    return f"{folder}: {config.train.steps} steps in {time.time() - recorder.started:.0f} s"


def _peak_memory() -> float:
    """GiB of main memory that this process had at most; its files in memory count."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2)


def _prompts_per_batch(train: TrainConfig) -> int:
    return train.prompts * train.steps_per_generation // train.gradient_accumulation_steps
