"""Checkpoints that somebody else made, in the architectures of the paper's models, train through the usual command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import (
    AutoModelForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from repro.manifest import ROOT
from rl import checkpoint, train
from rl.checkpoint import CheckpointConfig, LoraSettings, load_tokenizer, worded
from rl.config import load
from rl.pretrain import base_model, make_tokenizer
from rl.settings import ConfigError, parse
from rl.tasks import countdown
from rl.threads import one_thread

CPU = ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"
ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config),
    "mistral": (MistralForCausalLM, MistralConfig),
}
TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}{% endfor %}{% if add_generation_prompt %} : {% endif %}"
)
LORA = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": "all-linear"}


def make(folder: Path, architecture: str) -> Path:
    """A checkpoint with random weights that has seen no training, as a stranger would hand it over."""
    one_thread()
    kind, config = ARCHITECTURES[architecture]
    tokenizer = make_tokenizer(countdown.vocabulary(load(CPU, ["task.max_target=12"]).task))
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model: PreTrainedModel = kind(
        config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=64,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    return folder


def experiment(folder: Path, model: Path, **changes: Any) -> Path:
    whole = parse(CPU.read_text()) | {"name": "checkpoint"}
    whole["task"] |= {"max_number": 6, "max_target": 12, "problems": 160, "validation": 10, "heldout": 20}
    whole["train"] |= {"steps": 1, "prompts": 2, "num_generations": 4, "save_every": 1, "validate_every": 0}
    settings = {"model": str(model), "revision": "main", "dtype": "float32", "chat_template": True, "lora": None}
    whole["base"] = {"checkpoint": settings | changes.pop("base", {})}
    whole["train"] |= changes
    path = folder / "checkpoint.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).named_parameters())


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "lora"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_step_of_ds_grpo(architecture: str, lora: dict[str, Any] | None, tmp_path: Path) -> None:
    """With gradient checkpointing; what comes out is a whole model of the same architecture, and it has moved."""
    model = make(tmp_path / "model", architecture)
    path = experiment(
        tmp_path, model, base={"lora": lora}, gradient_checkpointing=True, learning_rate=0.01, max_completion_length=6
    )
    arguments = [str(path), "--method", "ds-grpo", "--seed", "0", "--out", str(tmp_path / "out")]
    assert train.main(arguments) == 0
    made = tmp_path / "out" / "runs" / "checkpoint" / "seed0" / "ds-grpo" / "model"
    assert not list(made.glob("adapter_*"))
    before, after = weights(model), weights(made)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    inside = {name for name in before if "proj" in name}
    assert moved & inside
    assert moved <= inside if lora else moved - inside, "LoRA leaves all but the linear layers as they were"


def test_fetch_links_safetensors_and_no_pickle(tmp_path: Path) -> None:
    model = make(tmp_path / "model", "qwen3")
    config = load(experiment(tmp_path, model))
    base = base_model(config, 0, tmp_path / "out")
    assert base == base_model(config, 1, tmp_path / "out"), "one checkpoint for all seeds"
    assert (base / "model.safetensors").is_symlink()
    assert not (base / "pytorch_model.bin").exists()
    (model / "model.safetensors").rename(model / "elsewhere")
    with pytest.raises(ValueError, match="no safetensors"):
        base_model(config, 0, tmp_path / "another")


def test_prompts_by_chat_template_or_as_they_are(tmp_path: Path) -> None:
    model = make(tmp_path / "model", "qwen2")
    config = load(experiment(tmp_path, model))
    tokenizer = load_tokenizer(model)
    [problem] = countdown.splits(config.task)["train"][:1]
    assert worded([problem], config.base, tokenizer)[0].prompt == problem.prompt + " : "
    plain = CheckpointConfig(str(model), "main", "float32", chat_template=False, lora=None)
    assert worded([problem], plain, tokenizer) == [problem]
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="say false"):
        worded([problem], config.base, tokenizer)


def test_code_of_a_checkpoint_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Spy:
        @staticmethod
        def from_pretrained(*_: Any, **options: Any) -> Any:
            asked.append(options["trust_remote_code"])

    monkeypatch.setattr(checkpoint, "AutoModelForCausalLM", Spy)
    checkpoint.load_model(tmp_path, CheckpointConfig("m", "main", "bfloat16", chat_template=False, lora=None))
    assert asked == [False]


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ({"dtype": "float16"}, "base.checkpoint.dtype: 'float16' is not possible"),
        ({"lora": {**LORA, "rank": 0}}, "base.checkpoint.lora.rank: 0 must be at least 1"),
        ({"lora": {"rang": 4}}, "base.checkpoint.lora.rang: no such setting; did you mean 'rank'?"),
        ({"modle": "x"}, "base.checkpoint.modle: no such setting; did you mean 'model'?"),
        ({"model": ""}, "base.checkpoint.model"),
    ],
)
def test_wrong_settings_are_named(base: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(experiment(tmp_path, tmp_path, base=base))
    assert said in str(error.value)


def test_record_holds_the_checkpoint_and_nothing_of_one_where_there_is_none(tmp_path: Path) -> None:
    found = load(experiment(tmp_path, tmp_path, base={"lora": LORA})).record()["base"]
    assert found["revision"] == "main"
    assert found["lora"] == vars(LoraSettings(4, 8, 0.0, "all-linear"))
    assert set(load(CPU).record("grpo")) == {"name", "scale", "task", "base", "train", "evaluate", "method"}
    assert set(load(CPU).record()["base"]) == set(parse(CPU.read_text())["base"])
