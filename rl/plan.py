"""`python -m rl.plan --scale paper`: every run of a scale, what it would cost, and what this machine lacks for it.

The cost is an ESTIMATE, from parameters P, tokens and two assumed utilisations, nothing measured:

- memory of a GPU: trained in full, P × (4 weights + 4 gradients + 8 Adam) bytes in float32, sharded over the GPUs; with
  LoRA 2 P bytes, sharded, the adapter being neglected; besides 2 P for vLLM's own copy and RESERVE for activations
  (with gradient checkpointing) and the cache of keys and values;
- GPU-seconds of training: rollout tokens × 2 P / (PEAK × GENERATING), and prompt and response tokens × 8 P /
  (PEAK × TRAINING): forward 2, backward 4, forward again under gradient checkpointing 2; a quarter on top for loading,
  weights handed to vLLM, waiting. With several iterations or KL, forward passes that are not counted come on top;
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

import torch

from repro.manifest import ROOT
from rl.checkpoint import CheckpointConfig, present
from rl.config import ConfigError, EvalConfig, TrainConfig, load, read
from rl.needs import NeedsConfig
from rl.settings import build

PEAK = 312e12  # FLOP/s in bfloat16 of an A100; an H100 has three times as many
GENERATING, TRAINING = 0.10, 0.35
OVERHEAD = 1.25
RESERVE = 16  # GiB
SCALES = ("cpu", "gpu", "paper")
HUB = ("huggingface.co", 443)
EXPERIMENTS = ROOT / "rl" / "experiments"
EXPLAINED = f"""How the estimates are made (nothing of them was measured), with P parameters:
  GPU-seconds of training = rollout tokens × 2 P / {PEAK * GENERATING:.2g}
    + (prompt and response tokens) × 8 P / {PEAK * TRAINING:.2g}; that is {GENERATING:.0%} and {TRAINING:.0%}
    of {PEAK / 1e12:.0f} TFLOP/s (A100, bfloat16), and a quarter on top for all else
  memory of a GPU = 16 P bytes (float32 weights, gradients, Adam; LoRA: 2 P) over all GPUs + 2 P for vLLM's copy
    + {RESERVE} GiB for activations and the cache of keys and values"""


@dataclass(frozen=True)
class Plan:
    """An experiment file, as far as planning goes. problem: why this version cannot run it, if so.

    needs and checkpoint are None where models are made from scratch on the spot.
    """

    name: str
    path: Path
    methods: tuple[str, ...]
    train: TrainConfig
    evaluate: EvalConfig
    needs: NeedsConfig | None
    checkpoint: CheckpointConfig | None
    problem: str | None


@dataclass(frozen=True)
class Cost:
    """Of one run; estimates. Hours are GPU-hours."""

    memory_gib: float
    """Of each GPU."""
    rollout_tokens: float
    training_hours: float
    evaluation_hours: float


def plan_of(path: Path) -> Plan:
    """What `path` plans. A task that is not known stops no planning; anything else wrong raises ConfigError."""
    values = read(path)
    problem = None
    try:
        load(path)
    except ConfigError as error:
        problem = str(error).removeprefix(f"{path}: ")
        if not problem.startswith("task."):
            raise
    base = values["base"].get("checkpoint")
    return Plan(
        name=values["name"],
        path=path,
        methods=tuple(values["methods"]),
        train=build(TrainConfig, values["train"], "train"),
        evaluate=build(EvalConfig, values["evaluate"], "evaluate"),
        needs=build(NeedsConfig, values["needs"], "needs") if "needs" in values else None,
        checkpoint=build(CheckpointConfig, base, "base.checkpoint") if base else None,
        problem=problem,
    )


def plans(scale: str) -> list[Plan]:
    """The experiments of a scale, in the order of their files' names."""
    return [plan_of(path) for path in sorted((EXPERIMENTS / scale).glob("*.yaml"))]


def cost(plan: Plan) -> Cost:
    """What one run of `plan`, which must say what it needs, costs by the formulas above."""
    needs, train = plan.needs, plan.train
    assert needs is not None
    size = needs.parameters
    lora = plan.checkpoint is not None and plan.checkpoint.lora is not None
    memory = ((2 if lora else 16) * size / needs.gpus + 2 * size) / 2**30 + RESERVE
    seen = train.steps * train.prompts * train.num_generations
    generated = seen / train.num_iterations * needs.response_tokens
    seconds = generated * 2 * size / (PEAK * GENERATING)
    seconds += seen * (needs.prompt_tokens + needs.response_tokens) * 8 * size / (PEAK * TRAINING)
    drawn = needs.problems * plan.evaluate.samples * needs.response_tokens
    evaluation = drawn * 2 * size / (PEAK * GENERATING)
    return Cost(memory, generated, OVERHEAD * seconds / 3600, OVERHEAD * evaluation / 3600)


def missing(plan: Plan) -> list[str]:
    """What this machine lacks for the runs of `plan`, each in a few words; empty if it can begin."""
    needs = plan.needs
    if needs is None:
        return []
    lacks = [f"a setting that works ({plan.problem})"] if plan.problem else []
    have = torch.cuda.device_count()
    if have < needs.gpus:
        lacks.append(f"{needs.gpus} GPUs ({have} here)")
    for index in range(have):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        if memory < 0.9 * needs.gpu_memory_gib:  # a part is always taken
            lacks.append(f"{needs.gpu_memory_gib} GiB on GPU {index} ({memory:.0f} here)")
    if plan.checkpoint is not None and not present(plan.checkpoint):
        if not hub():
            lacks.append(f"the model {plan.checkpoint.model} (no folder, not in the cache, the hub is out of reach)")
        if (free := shutil.disk_usage(ROOT).free / 2**30) < 2.2 * needs.parameters / 2**30:
            lacks.append(f"{2.2 * needs.parameters / 2**30:.0f} GiB of disk for the model ({free:.0f} free)")
    for name in needs.data:
        if not Path(name).is_file() and not hub():
            lacks.append(f"the data {name} (no file, the hub is out of reach)")
    packages = ["vllm"] if plan.train.use_vllm or plan.evaluate.engine == "vllm" else []
    packages += ["deepspeed"] if "zero" in needs.launch else []
    lacks += [f"the package {name}" for name in packages if importlib.util.find_spec(name) is None]
    return lacks


def refusal(plan: Plan) -> str | None:
    """One sentence that says why this machine cannot make the runs of `plan`; None if it can begin."""
    lacks = missing(plan)
    return f"{plan.name} cannot run on this machine, which lacks {'; '.join(lacks)}." if lacks else None


@cache
def hub() -> bool:
    """Whether models and data can be fetched: a connection is tried, once, for three seconds."""
    try:
        socket.create_connection(HUB, timeout=3).close()
    except OSError:
        return False
    return True


def described(plan: Plan) -> str:
    """The plan of one experiment, for readers."""
    train, needs = plan.train, plan.needs
    lines = [f"{plan.name}  ({plan.path.relative_to(EXPERIMENTS)})"]
    rollouts = f"{train.steps:,} steps × {train.prompts} prompts × {train.num_generations} rollouts"
    if needs is None:
        lines += [
            "  model     made from scratch, once per seed",
            f"  each run  {rollouts}",
            f"  methods   {', '.join(plan.methods)}",
        ]
    else:
        model, one = plan.checkpoint, cost(plan)
        kind = "LoRA" if model and model.lora else "full training"
        runs = len(plan.methods) * len(needs.seeds)
        total = runs * one.training_hours + (runs + 1) * one.evaluation_hours
        lines += [
            f"  model     {model.model if model else 'made from scratch'}, {needs.parameters / 1e9:.2f} G parameters",
            f"  data      {', '.join(needs.data)}",
            f"  each run  {rollouts}, {kind}",
            f"  tokens    {one.rollout_tokens / 1e6:,.0f} M, at {needs.response_tokens} to a rollout (assumed)",
            f"  GPUs      {needs.gpus} × {needs.gpu_memory_gib} GiB, {one.memory_gib:.0f} of them used (estimate)",
            f"  launch    {needs.launch}",
            f"  runs      {runs}, and the base model's evaluation",
        ]
        for method in plan.methods:
            for seed in needs.seeds:
                hours = f"{one.training_hours:,.0f} + {one.evaluation_hours:,.0f} GPU-hours"
                lines.append(f"    {method:<18} seed {seed}  {hours} (training + evaluation, estimate)")
        lines.append(
            f"  in all    {total:,.0f} GPU-hours, {total / needs.gpus / 24:,.1f} days on {needs.gpus} GPUs (estimate)"
        )
    lacks = missing(plan)
    return "\n".join(
        [*lines, "  lacks     " + ("\n            ".join(lacks) if lacks else "nothing that can be seen from here")]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 for a plan; with --check, 1 and one sentence if this machine cannot run it."""
    parser = argparse.ArgumentParser(prog="python -m rl.plan", description="What a scale's runs take; nothing is run.")
    parser.add_argument("--scale", default="paper", choices=SCALES)
    parser.add_argument("--check", action="store_true", help="print nothing but why this machine cannot run it, if so")
    options = parser.parse_args(arguments)
    try:
        found = plans(options.scale)
        if options.check:
            reason = next((sentence for plan in found if (sentence := refusal(plan))), None)
            if reason:
                print(f"rl.plan: {reason}", file=sys.stderr)
            return 1 if reason else 0
        print(f"Plan of the scale {options.scale}. Nothing is run.\n")
        for plan in found:
            print(described(plan) + "\n")
        costly = [plan for plan in found if plan.needs]
        if costly:
            print(EXPLAINED)
    except ConfigError as error:
        print(f"rl.plan: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
