"""Base models from scratch for the small scales: tokenizer, small Qwen2, supervised stage on skewed solutions.

A model that was made before with the same task, base settings and seed is found by the hash of these and not made
again. Its folder is an ordinary Hugging Face checkpoint in safetensors.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from repro.files import whole_folder, write_json
from repro.manifest import manifest
from rl import tasks
from rl.experiments.bases import HasBase, base_folder
from rl.experiments.model_config import BaseConfig, CheckpointConfig
from rl.experiments.progress import ProgressReporter
from rl.models import pretrained
from rl.models.finetune import finetuned
from rl.models.muon import Muon
from rl.models.supervised import IGNORED, Examples

# AutoTokenizer rebuilds the tokenizer of any model of type qwen2 as Qwen's own and splits numbers into digits, whatever
# class the folder names; not so if the folder has an auto_map, which it then ignores unless told to trust its code.
_AUTO_MAP = {"AutoTokenizer": ["PreTrainedTokenizerFast", None]}


def make_tokenizer(symbols: list[str]) -> PreTrainedTokenizerFast:
    """One token for each symbol: a number, a word after a backslash, or one character; blanks separate and are
    otherwise ignored.

    Decoding joins symbols by blanks, so two numbers side by side never read as one.
    """
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<eos>", "<unk>", *symbols])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[0-9]+|\\[a-z]+|[^0-9]"), "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        auto_map=_AUTO_MAP,
    )


def make_model(base: BaseConfig, tokenizer: PreTrainedTokenizerFast, positions: int) -> Qwen2ForCausalLM:
    """A Qwen2 with random weights from torch's global random state."""
    ends: dict[str, Any] = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=base.width,
        intermediate_size=base.feedforward,
        num_hidden_layers=base.layers,
        num_attention_heads=base.heads,
        num_key_value_heads=base.heads,
        max_position_embeddings=positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        **ends,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model


def _schedule(base: BaseConfig, step: int) -> float:
    if step < base.warmup:
        return (step + 1) / base.warmup
    return (base.steps - step) / (base.steps - base.warmup)


def supervised_loss(logits: torch.Tensor, labels: torch.Tensor, base: BaseConfig) -> torch.Tensor:
    """Cross-entropy of logits (B, T, V) at labels (B, T), nats per token that counts; or GEM-linear (2408.16673).

    GEM's loss −log p(y) + sum_v q(v) log p(v), q = softmax(z / b) without gradient, has the gradient q − onehot(y) in
    the logits z: that of b times the cross-entropy of softmax(z / b), which is returned (D). Confidence H. The model is
    decoded unscaled.
    """
    if base.loss == "gem":
        logits = logits.float() / base.gem_beta
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    return base.gem_beta * loss if base.loss == "gem" else loss


def supervise(
    model: Qwen2ForCausalLM,
    examples: Examples,
    base: BaseConfig,
    seed: int,
    show: Callable[[int, float], None] = lambda step, loss: None,
) -> float:
    """Train `model` in place on solutions drawn from `examples`; the mean loss of the last tenth, nats per token.

    On a GPU the forward pass is autocast to bfloat16; weights and optimizers are float32 everywhere.

    show: called after each step with the number of steps done and the loss.
    """
    generator = torch.Generator().manual_seed(seed)
    inside = [parameter for parameter in model.model.layers.parameters() if parameter.ndim == 2]
    held = set(map(id, inside))
    others = [parameter for parameter in model.parameters() if id(parameter) not in held]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(inside, lr=base.matrix_learning_rate, weight_decay=base.weight_decay),
        torch.optim.AdamW(others, lr=base.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]
    schedules = [LambdaLR(optimizer, partial(_schedule, base)) for optimizer in optimizers]
    losses: list[float] = []
    model.train()
    for step in range(base.steps):
        tokens, labels = (part.to(model.device) for part in examples.draw(base.batch, generator))
        # Completions are padded on the right and attention is causal: no mask is needed.
        with torch.autocast("cuda", torch.bfloat16, enabled=model.device.type == "cuda"):
            logits = model(input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=examples.kept).logits
        loss = supervised_loss(logits, labels, base)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise ValueError(
                f"matrix_learning_rate={base.matrix_learning_rate}: the loss is {losses[-1]} at step {step}"
            )
        show(step + 1, losses[-1])
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail)


def base_model(config: HasBase, seed: int, out: Path) -> Path:
    """The folder of the base model, made (or fetched) now unless it is there. It appears whole or not at all."""
    if isinstance(config.base, CheckpointConfig):
        return pretrained.fetch(config.base, out) if config.base.supervised is None else finetuned(config, out)
    base = config.base
    folder = base_folder(config, seed, out)
    if (folder / "manifest.json").exists():
        return folder
    started = time.time()
    torch.manual_seed(seed)
    task = tasks.get(config.task.name)
    assert task.from_scratch is not None  # `rl.experiments.config` refuses such settings
    tokenizer = make_tokenizer(task.from_scratch.vocabulary(config.task))
    on_gpu = config.scale != "cpu" and torch.cuda.is_available()
    # At the cpu scale each core has a run of its own; a GPU would stand idle while one core enumerates.
    workers = len(os.sched_getaffinity(0)) if on_gpu else 1
    examples = Examples.build(task, task.splits(config.task)["train"], tokenizer, base, workers)
    model = make_model(base, tokenizer, positions=examples.width)
    if on_gpu:
        model.cuda()  # type: ignore[call-arg]  # the decorated signature is not seen
    with ProgressReporter() as display:

        def show(step: int, loss: float) -> None:
            display.show(f"base seed {seed}", step, base.steps, {"loss": loss})

        loss = supervise(model, examples, base, seed, show)
    with whole_folder(folder) as made:
        model.eval().save_pretrained(made)
        tokenizer.save_pretrained(made)
        settings = {"task": dataclasses.asdict(config.task), "base": base.record()}
        counts = {"tokens": base.steps * base.batch * examples.width, "loss": loss}
        parameters = sum(p.numel() for p in model.parameters())
        write_json(made / "manifest.json", manifest(settings, seed, started, parameters=parameters, **counts))
    return folder
