"""Pretrained models: any causal language model of Hugging Face, by name and revision, by folder, or from a package.

Only JSON, text, templates and safetensors are taken of it, never pickles; code that comes with a model is never run. A
package ships its model as a GGUF file: that is dequantized once, into the same files that the hub would give.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro.files import whole_folder, write_json
from repro.manifest import manifest
from repro.packages import need
from rl.experiments import runs
from rl.experiments.bases import pretrained_folder
from rl.experiments.model_config import CheckpointConfig
from rl.models.answer_positions import score_answers_alone
from rl.models.master_adamw import MasterAdamW
from rl.tasks._rows import say_left_out

TAKEN = ("*.json", "*.safetensors", "*.txt", "*.jinja", "tokenizer.model")
LEFT = "consolidated*"  # some models come with the same weights a second time, for another program
SAFELY: dict[str, Any] = {"trust_remote_code": False, "use_safetensors": True}
"""How every model is loaded: none of its code is run, none of its pickles is read."""
T = TypeVar("T")


def fetch(checkpoint: CheckpointConfig, out: Path) -> Path:
    """The folder of the checkpoint under `out`; made now unless it is there. It appears whole or not at all.

    Files of a folder or of the hub are linked, those of a package written. Raises ValueError if there are no
    safetensors or the package is missing, OSError if the hub cannot be reached.
    """
    folder = pretrained_folder(checkpoint, out)
    if (folder / "manifest.json").exists():
        return folder
    started = time.time()
    shipped = _shipped(checkpoint)
    source = None if shipped else checkpoint.local or _download(checkpoint)
    with whole_folder(folder) as made:
        if shipped:
            _dequantize(shipped, made)
            more = {"gguf": _checksum(shipped)}
        else:
            assert source is not None
            _link(source, made, checkpoint.model)
            more = {}
        named = {"model": Path(checkpoint.model).name if checkpoint.local else checkpoint.model}
        settings = {**named, "revision": checkpoint.revision, "package": checkpoint.package}
        write_json(made / "manifest.json", manifest(settings, None, started, weights=runs.weights(made), **more))
    return folder


def _link(source: Path, made: Path, model: str) -> None:
    found = {path for pattern in TAKEN for path in source.glob(pattern)} - set(source.glob(LEFT))
    files = sorted(path for path in found if path.name != "manifest.json")
    if not any(path.suffix == ".safetensors" for path in files):
        raise ValueError(f"model: {model} holds no safetensors; other formats of weights are not read")
    for path in files:
        (made / path.name).symlink_to(path.resolve())


def _shipped(checkpoint: CheckpointConfig) -> Path | None:
    """The GGUF file of the checkpoint's package, None without a package. Raises ValueError if something is missing."""
    if checkpoint.package is None:
        return None
    # alone: such a package would bring another engine with it
    need("base.checkpoint.package", checkpoint.package, checkpoint.revision, alone=True)
    need("base.checkpoint.package", "gguf")
    listed = importlib.metadata.distribution(checkpoint.package).files or ()
    found = [Path(str(one.locate())) for one in listed if one.suffix == ".gguf"]
    if len(found) != 1:
        raise ValueError(f"base.checkpoint.package: {checkpoint.package} ships {len(found)} GGUF files, wanted one")
    return found[0]


def _dequantize(shipped: Path, made: Path) -> None:
    """Write model and tokenizer of the GGUF file into `made`, in float32: nothing that the file holds is rounded."""
    how: dict[str, Any] = {"gguf_file": shipped.name, "trust_remote_code": False}
    model: Any = AutoModelForCausalLM.from_pretrained(shipped.parent, dtype=torch.float32, **how)
    # the weights are plain numbers now; what says otherwise would make transformers refuse to save them
    model.hf_quantizer, model.is_quantized = None, False
    del model.config.quantization_config
    model.save_pretrained(made)
    AutoTokenizer.from_pretrained(shipped.parent, **how).save_pretrained(made)


def _checksum(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _download(checkpoint: CheckpointConfig) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            checkpoint.model, revision=checkpoint.revision, allow_patterns=list(TAKEN), ignore_patterns=[LEFT]
        )
    )


def load_model(folder: Path, base: object, use_cpu: bool = True) -> Any:
    """The model in `folder` as it is to be trained: in float32 if it was made here, else as its `base` says."""
    if not isinstance(base, CheckpointConfig):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **SAFELY)
    # On a CPU torch's fused attention took a third of a step of SmolLM2-135M in bfloat16, plain products a thirtieth.
    how = {"attn_implementation": "eager"} if use_cpu else {}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, base.dtype), **SAFELY, **how)


def prepare(trainer: Any, base: object, use_cpu: bool) -> None:
    """Fit a trainer of TRL, before it trains, to a pretrained model: in what it steps, and which logits it computes.

    Raises ValueError if its optimizer cannot step in float32.
    """
    if not isinstance(base, CheckpointConfig):
        return
    step_in_float32(trainer)
    if use_cpu:
        score_answers_alone(trainer.model.get_base_model() if base.lora else trainer.model)


def step_in_float32(trainer: Any) -> None:
    """Let `trainer`, before it trains, step in float32 where the weights that it trains are in bfloat16.

    Raises ValueError if its optimizer is not AdamW.
    """
    if all(one.dtype == torch.float32 for one in trainer.model.parameters() if one.requires_grad):
        return
    kind, options = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    if kind is not torch.optim.AdamW:
        raise ValueError(f"train.optim: {kind.__name__} cannot step in float32 for weights in bfloat16; AdamW can")
    trainer.optimizer_cls_and_kwargs = (MasterAdamW, options)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`, padding on the left; without a padding token of its own, the end of sequence pads."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def render_prompts(problems: Sequence[T], base: object, tokenizer: Any) -> list[T]:
    """`problems` with their prompts as the model is to see them, token by token: nothing is put before them later.

    By the tokenizer's chat template where `base` asks for it; otherwise as they are, after the token (if any) with
    which this tokenizer begins a sequence. A problem that holds one of the tokenizer's special tokens could end the
    user's turn and speak as somebody else: it is left out, and standard error says how many were. Braces and `{{ }}` in
    problems are text.
    """
    if not isinstance(base, CheckpointConfig):
        return list(problems)
    if base.chat_template and not tokenizer.chat_template:
        raise ValueError(f"base.checkpoint.chat_template: the tokenizer of {base.model} has none; say false")

    before = tokenizer.bos_token if tokenizer("x")["input_ids"][0] == tokenizer.bos_token_id else ""

    def put(problem: Any) -> Any:
        if not base.chat_template:
            text = before + problem.prompt
        elif base.system_message:
            text = _rendered(tokenizer, [{"role": "user", "content": problem.prompt}])
        else:
            text = before + _later_turn(tokenizer, problem.prompt, base.model)
        return dataclasses.replace(problem, prompt=text)

    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    special = re.compile("|".join(map(re.escape, {*tokenizer.all_special_tokens, *added})) or r"(?!)")
    kept = [problem for problem in problems if not special.search(problem.prompt)]  # type: ignore[attr-defined]
    say_left_out(base.model, len(kept), {"hold special tokens": len(problems) - len(kept)}, "problems")
    return [put(problem) for problem in kept]


def _rendered(tokenizer: Any, turns: list[dict[str, str]], prompt: bool = True) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt))


def _later_turn(tokenizer: Any, question: str, model: str) -> str:
    """`question` as a later user's turn: what the template puts at the head of a chat, a system message, is not there.

    Raises ValueError where a template writes earlier turns otherwise once there is a later one.
    """
    earlier = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    head = _rendered(tokenizer, earlier, prompt=False)
    whole = _rendered(tokenizer, [*earlier, {"role": "user", "content": question}])
    if not whole.startswith(head):
        raise ValueError(f"base.checkpoint.system_message: the chat template of {model} does not allow false; say true")
    return whole.removeprefix(head)


def adapter(base: object) -> Any:
    """peft's settings for `base`, None where every weight is trained."""
    if not (isinstance(base, CheckpointConfig) and base.lora):
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=base.lora.rank,
        lora_alpha=base.lora.alpha,
        lora_dropout=base.lora.dropout,
        target_modules=base.lora.targets,
        task_type="CAUSAL_LM",
    )


def merge_adapter(folder: Path, base: Path) -> None:
    """Replace the LoRA adapter in `folder`, if it holds one, by the whole model: `base` with the adapter merged in."""
    if not (folder / "adapter_config.json").is_file():
        return
    from peft import PeftModel

    whole = AutoModelForCausalLM.from_pretrained(base, dtype="auto", **SAFELY)
    merged = PeftModel.from_pretrained(whole, folder).merge_and_unload()
    for path in folder.glob("adapter_*"):
        path.unlink()
    merged.save_pretrained(folder)
