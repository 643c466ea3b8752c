"""`python -m rl.plan --scale paper`: every run of a scale, what it would cost, and what this machine lacks for it.

The cost is an ESTIMATE, from parameters P, tokens and two assumed utilizations, nothing measured:

- memory of a GPU: trained in full, P × (4 weights + 4 gradients + 8 Adam) bytes in float32, sharded over the GPUs; with
  LoRA 2 P bytes, sharded, the adapter being neglected; besides 2 P for vLLM's own copy and RESERVE for activations
  (with gradient checkpointing) and the cache of keys and values;
- GPU-seconds of training: rollout tokens × 2 P / (PEAK × GENERATING), and prompt and response tokens × 8 P /
  (PEAK × TRAINING): forward 2, backward 4, forward again under gradient checkpointing 2; a quarter on top for loading,
  weights handed to vLLM, waiting. With several iterations or KL, forward passes that are not counted come on top;
- disk: 4 P bytes for a final model; 12 P (weights, Adam) for each of three checkpoints, neglected with LoRA;
- evaluation: problems × samples × response tokens × 2 P / (PEAK × GENERATING).
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from repro.manifest import ROOT
from repro.names import nearest
from rl import tasks
from rl.experiments.bases import absent
from rl.experiments.config import SCALES, ConfigError, Experiment, load
from rl.experiments.model_config import CheckpointConfig
from rl.tasks._rows import Data

PEAK = 312e12  # FLOP/s in bfloat16 of an A100; an H100 has three times as many
GENERATING, TRAINING = 0.10, 0.35
OVERHEAD = 1.25
RESERVE = 16  # GiB
HUB = ("huggingface.co", 443)
GOT = {
    "vllm": "paper_repro.sh installs it into .venv-vllm before the first run",
    "deepspeed": "`.venv-vllm/bin/python -m pip install deepspeed` after `bash paper_repro.sh vllm`",
}
EXPERIMENTS = ROOT / "rl" / "experiments"
EXPLAINED = f"""How the estimates are made (nothing of them was measured), with P parameters:
  GPU-seconds of training = rollout tokens × 2 P / {PEAK * GENERATING:.2g}
    + (prompt and response tokens) × 8 P / {PEAK * TRAINING:.2g}; that is {GENERATING:.0%} and {TRAINING:.0%}
    of {PEAK / 1e12:.0f} TFLOP/s (A100, bfloat16), and a quarter on top for all else
  memory of a GPU = 16 P bytes (float32 weights, gradients, Adam; LoRA: 2 P) over all GPUs + 2 P for vLLM's copy
    + {RESERVE} GiB for activations and the cache of keys and values
  disk = 4 P bytes for each final model, and while a run trains 3 checkpoints of 12 P (weights, Adam; LoRA: none)"""


@dataclass(frozen=True)
class Cost:
    """Of one run; estimates. Hours are GPU-hours."""

    memory_gib: float
    """Of each GPU."""
    rollout_tokens: float
    training_hours: float
    evaluation_hours: float
    disk_gib: float
    """Of the final model."""
    saving_gib: float
    """Of the checkpoints while it trains: two are kept, a third is being written."""


def experiments(scale: str) -> dict[Path, Experiment]:
    """The experiments of a scale by their files, in the order of these. Raises ConfigError."""
    return {path: load(path) for path in sorted((EXPERIMENTS / scale).glob("*.yaml"))}


def cost(config: Experiment) -> Cost:
    """What one run of `config`, which must say what it needs, costs by the formulas above."""
    needs, train = config.needs, config.train
    assert needs is not None
    size = needs.parameters
    lora = isinstance(config.base, CheckpointConfig) and config.base.lora is not None
    memory = ((2 if lora else 16) * size / needs.gpus + 2 * size) / 2**30 + RESERVE
    seen = train.steps * train.prompts * train.num_generations
    generated = seen / train.num_iterations * needs.response_tokens
    seconds = generated * 2 * size / (PEAK * GENERATING)
    seconds += seen * (needs.prompt_tokens + needs.response_tokens) * 8 * size / (PEAK * TRAINING)
    drawn = needs.problems * config.evaluate.samples * needs.response_tokens
    evaluation = drawn * 2 * size / (PEAK * GENERATING)
    hours, more = OVERHEAD * seconds / 3600, OVERHEAD * evaluation / 3600
    kept = (0 if lora else 3 * 12) * size / 2**30
    return Cost(memory, generated, hours, more, 4 * size / 2**30, kept)


def data_of(config: Experiment) -> list[Data]:
    """The data sets from outside that `config` reads."""
    task = tasks.get(config.task.name)
    return task.data(config.task) if task.data else []


def missing(config: Experiment, packages: bool = True) -> list[str]:
    """What this machine lacks for the runs of `config`, each in a few words; empty if it can begin.

    packages: whether those that are to be installed count too.
    """
    needs = config.needs
    lacks = _model(config)
    if needs is None:
        return lacks
    import torch

    have = torch.cuda.device_count()
    if have < needs.gpus:
        lacks.insert(0, f"{needs.gpus} GPUs ({have} here)")
    for index in range(have):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        if memory < 0.9 * needs.gpu_memory_gib:  # a part is always taken
            lacks.append(f"{needs.gpu_memory_gib} GiB on GPU {index} ({memory:.0f} here)")
    for data in data_of(config):
        if problem := data.problem():
            lacks.append(f"the data {data.repository} ({problem})")
        elif data.file is None and not hub():
            lacks.append(f"the data {data.repository} (no file, the hub is out of reach)")
    if packages:
        wanted = ["vllm"] if config.train.use_vllm or config.evaluate.engine == "vllm" else []
        wanted += ["deepspeed"] if "zero" in needs.launch else []
        lacks += [f"the package {name} ({GOT[name]})" for name in wanted if importlib.util.find_spec(name) is None]
    return lacks


def _model(config: Experiment) -> list[str]:
    """What this machine lacks to load the pretrained model, if there is one."""
    base, needs = config.base, config.needs
    reason = absent(base) if isinstance(base, CheckpointConfig) else None
    if reason is None or not isinstance(base, CheckpointConfig):
        return []
    lacks = []
    if base.package is not None:
        lacks.append(reason)
    elif not hub():
        lacks.append(f"the model {base.model} ({reason}, the hub is out of reach)")
    if needs is not None and (free := shutil.disk_usage(ROOT).free / 2**30) < 2.2 * needs.parameters / 2**30:
        lacks.append(f"{2.2 * needs.parameters / 2**30:.0f} GiB of disk for the model ({free:.0f} free)")
    return lacks


def refusal(config: Experiment, packages: bool = True) -> str | None:
    """One sentence that says why this machine cannot make the runs of `config`; None if it can begin."""
    lacks = missing(config, packages)
    return f"{config.name} cannot run on this machine, which lacks {'; '.join(lacks)}." if lacks else None


@cache
def hub() -> bool:
    """Whether models and data can be fetched: a connection is tried, once, for three seconds."""
    try:
        socket.create_connection(HUB, timeout=3).close()
    except OSError:
        return False
    return True


def described(path: Path, config: Experiment) -> str:
    """The plan of one experiment, for readers."""
    train, needs, base = config.train, config.needs, config.base
    lines = [f"{config.name}  ({path.relative_to(EXPERIMENTS)})"]
    rollouts = f"{train.steps:,} steps × {train.prompts} prompts × {train.num_generations} rollouts"
    model = "made from scratch, once per seed"
    if isinstance(base, CheckpointConfig):
        model = f"{base.model} at {base.revision}"
        model += f" of the package {base.package}" if base.package else ""
        model += f", {base.supervised.steps} supervised steps" if base.supervised else ""
    if needs is None:
        lines += [
            f"  model     {model}",
            f"  each run  {rollouts}",
            f"  methods   {', '.join(config.methods)}",
        ]
    else:
        one, seeds = cost(config), needs.seeds
        kind = "LoRA" if isinstance(base, CheckpointConfig) and base.lora else "full training"
        runs = len(config.methods) * len(seeds)
        training, evaluation = runs * one.training_hours, (runs + len(seeds)) * one.evaluation_hours
        days = (training / needs.gpus + evaluation) / 24
        data = "\n            ".join(
            f"{data.repository}, {data.file or data.revision or 'commit to be named'}" for data in data_of(config)
        )
        lines += [
            f"  model     {model}, {needs.parameters / 1e9:.2f} G parameters",
            f"  data      {data or 'generated'}",
            f"  each run  {rollouts}, {kind}",
            f"  tokens    {one.rollout_tokens / 1e6:,.0f} M, at {needs.response_tokens} to a rollout (assumed)",
            f"  GPUs      {needs.gpus} × {needs.gpu_memory_gib} GiB, {one.memory_gib:.0f} of them used (estimate)",
            f"  launch    {needs.launch}",
            f"  disk      {one.disk_gib * runs:,.0f} GiB of final models, {one.saving_gib:,.0f} more for checkpoints "
            "(estimate)",
            f"  runs      {runs}, and the base model's evaluation with each seed",
        ]
        for method in config.methods:
            for seed in seeds:
                hours = f"{one.training_hours:,.0f} + {one.evaluation_hours:,.0f} GPU-hours"
                lines.append(f"    {method:<18} seed {seed}  {hours} (training + evaluation, estimate)")
        lines.append(
            f"  in all    {training + evaluation:,.0f} GPU-hours, {days:,.1f} days on {needs.gpus} GPUs, "
            "evaluations on one of them (estimate)"
        )
    lacks = missing(config)
    return "\n".join(
        [*lines, "  lacks     " + ("\n            ".join(lacks) if lacks else "nothing that can be seen from here")]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 for a plan; with --check, 1 and one sentence if this machine cannot run it."""
    parser = argparse.ArgumentParser(prog="python -m rl.plan", description="What a scale's runs take; nothing is run.")
    parser.add_argument("names", nargs="*", metavar="EXPERIMENT", help="by the name in its YAML (default: all)")
    parser.add_argument("--scale", default="paper", choices=SCALES)
    parser.add_argument("--check", action="store_true", help="print nothing but why this machine cannot run it, if so")
    parser.add_argument("--packages-later", action="store_true", help="with --check: packages are installed afterwards")
    options = parser.parse_args(arguments)
    try:
        found = experiments(options.scale)
        known = {config.name: path for path, config in found.items()}
        for name in options.names:
            if name not in known:
                raise ConfigError(f"{name}: no experiment of the scale {options.scale}{nearest(name, known)}")
        found = {known[name]: found[known[name]] for name in options.names or known}
        if options.check:
            reasons = (refusal(config, not options.packages_later) for config in found.values())
            reason = next((sentence for sentence in reasons if sentence), None)
            if reason:
                print(f"rl.plan: {reason}", file=sys.stderr)
            return 1 if reason else 0
        print(f"Plan of the scale {options.scale}. Nothing is run.\n")
        for path, config in found.items():
            print(described(path, config) + "\n")
        if any(config.needs for config in found.values()):
            print(EXPLAINED)
    except ConfigError as error:
        print(f"rl.plan: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
