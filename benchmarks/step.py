"""`python -m benchmarks.step`: what a training step costs beside plain TRL, and where its time goes.

A plain `GRPOTrainer` and ours take turns, update by update, on the same work in one process: the learning rate is 0 and
each turn is seeded alike, so all generate the same completions. Ratios are of whole turns, paired, hence free of drift.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from differential_smoothing import methods
from differential_smoothing.trl import DSGRPOTrainer
from repro.files import write_json
from repro.manifest import manifest
from rl.models.tabular import BOS, EOS, PAD, tabular_tokenizer
from rl.training.timing import Clock, Watch

PLAIN = "GRPOTrainer"
VARIANTS: dict[str, tuple[str, dict[str, Any]] | None] = {
    PLAIN: None,
    "grpo": ("grpo", {}),
    "ds-grpo": ("ds-grpo", {}),
    "ds-grpo token": ("ds-grpo", {"logprob_aggregation": "token"}),
    "ds-grpo-centered": ("ds-grpo-centered", {}),
    "ds-grpo reward": ("ds-grpo", {"apply_to": "reward"}),
}
SETTINGS: dict[str, dict[str, int]] = {
    "on-policy, one micro-batch": {},
    "on-policy, two micro-batches": {"micro_batches": 2},
    "two iterations per batch": {"num_iterations": 2},
}


@dataclass(frozen=True)
class BenchConfig:
    """prompts x group rollouts per update; a Qwen2 model of this size; `turns` turns of `updates` updates each."""

    prompts: int = 8
    group: int = 8
    prompt_tokens: int = 12
    completion_tokens: int = 16
    vocabulary: int = 32
    layers: int = 4
    width: int = 128
    updates: int = 2
    turns: int = 9
    seed: int = 0
    cpu: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            least = {"seed": 0, "cpu": 0, "group": 2, "vocabulary": 4}.get(field.name, 1)
            if getattr(self, field.name) < least:
                raise ValueError(f"{field.name}={getattr(self, field.name)!r} must be at least {least}")
        if self.updates % 2:
            raise ValueError(f"updates={self.updates!r} must be even: batches are used twice in one of the settings")
        if self.prompts * self.group % 2:
            raise ValueError(f"prompts={self.prompts!r} times group={self.group!r} must be even, to be halved")
        if self.width % 32:
            raise ValueError(f"width={self.width!r} must be a multiple of 32")


PARTS = {
    "_generate": "generation",
    "_calculate_rewards": "rewards",
    "_generate_and_score_completions": "scoring",
    "_get_per_token_logps_and_entropies": "forward passes",
    "_compute_loss": "loss",
    "_shaped": "the method's term",
}


def build(config: BenchConfig, variant: str, setting: dict[str, int], folder: Path) -> tuple[GRPOTrainer, Clock]:
    """A trainer on a random model, and the clock that times it."""
    torch.manual_seed(config.seed)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.width // 32,
            num_key_value_heads=config.width // 32,
            tie_word_embeddings=True,
            bos_token_id=BOS,
            eos_token_id=EOS,
            pad_token_id=PAD,
        )
    )
    words = np.random.default_rng(config.seed).integers(3, config.vocabulary, (config.prompts, config.prompt_tokens))
    on_gpu = torch.cuda.is_available() and not config.cpu
    micro = setting.get("micro_batches", 1)
    args = GRPOConfig(
        str(folder),
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        logging_steps=1,
        use_cpu=config.cpu,
        bf16=on_gpu,
        gradient_checkpointing=False,
        learning_rate=0.0,
        weight_decay=0.0,
        num_generations=config.group,
        per_device_train_batch_size=config.prompts * config.group // micro,
        gradient_accumulation_steps=micro,
        num_iterations=setting.get("num_iterations", 1),
        max_completion_length=config.completion_tokens,
        max_steps=config.updates,
        loss_type="dapo",
        shuffle_dataset=False,
        seed=config.seed,
    )
    entry = VARIANTS[variant]
    kind: Callable[..., GRPOTrainer] = GRPOTrainer
    if entry is not None:
        kind = functools.partial(DSGRPOTrainer, method=methods.get(entry[0], **entry[1]))
    trainer = kind(
        model=model,
        reward_funcs=even_sum,
        args=args,
        train_dataset=Dataset.from_dict({"prompt": [" ".join(f"t{word}" for word in row) for row in words]}),
        processing_class=tabular_tokenizer(config.vocabulary),
    )
    clock = Clock(config.seed)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(clock)
    return trainer, clock


def even_sum(completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
    """A reward that about half of all completions earn."""
    return [float(sum(ids) % 2 == 0) for ids in completion_ids]


def measure(config: BenchConfig, setting: dict[str, int], folder: Path) -> dict[str, dict[str, Any]]:
    """For every variant: seconds per update, ratio to plain TRL with a 95% interval, and milliseconds by part."""
    built = {variant: build(config, variant, setting, folder) for variant in VARIANTS}
    seconds: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    order = list(VARIANTS)
    for turn in range(config.turns + 1):
        for variant in order:
            trainer, clock = built[variant]
            clock.updates.clear()
            trainer.train()
            if turn:  # the first turn warms up
                seconds[variant].append(sum(clock.updates) / config.updates)
        order = order[1:] + order[:1]
    tokens = {variant: trainer.state.num_input_tokens_seen for variant, (trainer, _) in built.items()}
    if len(set(tokens.values())) != 1:
        raise RuntimeError(f"not the same work: tokens generated and read by variant {tokens}")

    found: dict[str, dict[str, Any]] = {}
    plain = np.array(seconds[PLAIN])
    rng = np.random.default_rng(config.seed)
    resampled = rng.integers(0, config.turns, (2000, config.turns))
    for variant, (trainer, clock) in built.items():
        ratios = np.array(seconds[variant]) / plain
        low, high = np.quantile(np.median(ratios[resampled], axis=1), [0.025, 0.975])
        clock.watch = Watch()
        with (
            clock.watch.measuring(trainer, PARTS),
            clock.watch.measuring(trainer.accelerator, {"backward": "backward"}),
        ):
            trainer.train()
        parts = {name: 1000 * value / config.updates for name, value in clock.watch.seconds.items()}
        found[variant] = {
            "seconds_per_update": float(np.median(seconds[variant])),
            "ratio": float(np.median(ratios)),
            "ratio_low": float(low),
            "ratio_high": float(high),
            "milliseconds": dict(sorted(parts.items(), key=lambda item: -item[1])),
        }
    return found


def report(setting: str, found: dict[str, dict[str, Any]]) -> str:
    """A table for people."""
    lines = [f"\n{setting}", f"  {'':<18} {'ms/update':>9}  {'ratio':>6}  95% interval     where the time goes (ms)"]
    for variant, row in found.items():
        parts = ", ".join(f"{name} {value:.1f}" for name, value in row["milliseconds"].items())
        lines.append(
            f"  {variant:<18} {1000 * row['seconds_per_update']:>9.1f}  {row['ratio']:>6.3f}"
            f"  [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]   {parts}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark, print tables, write `<out>/bench/step.json`; 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    for field in dataclasses.fields(BenchConfig):
        name = "--" + field.name.replace("_", "-")
        if field.name == "cpu":
            parser.add_argument(name, action="store_true", help="not the GPU, even if there is one")
        else:
            parser.add_argument(name, type=int, default=field.default)
    parser.add_argument("--out", type=Path, default=Path("build"))
    arguments = vars(parser.parse_args())
    out: Path = arguments.pop("out")
    try:
        config = BenchConfig(**arguments)
    except ValueError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    started = time.time()
    found = {}
    path = out / "bench" / "step.json"
    with tempfile.TemporaryDirectory() as folder:
        for setting, changes in SETTINGS.items():
            found[setting] = measure(config, changes, Path(folder))
            print(report(setting, found[setting]), flush=True)
            write_json(path, {"settings": found, "manifest": manifest(config, config.seed, started)})
    print(f"\nwrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
