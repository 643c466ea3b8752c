"""Where base models lie: a folder by the hash of what makes the model, made or not. No model is loaded here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

from rl.experiments.model_config import BaseConfig, CheckpointConfig

# Part of the cache key: raise it when the same settings would give another model.
_RECIPE = 1


class HasBase(Protocol):
    """What `base_model` needs of an experiment."""

    @property
    def scale(self) -> str: ...

    @property
    def task(self) -> Any: ...

    @property
    def base(self) -> BaseConfig | CheckpointConfig: ...


def _key(config: HasBase, seed: int) -> str:
    parts = {
        "task": dataclasses.asdict(config.task),
        "base": config.base.record(),
        "seed": seed,
        "recipe": _RECIPE,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def base_folder(config: HasBase, seed: int, out: Path) -> Path:
    """Where the base model of this task, these settings and this seed lies, made or not."""
    if isinstance(config.base, CheckpointConfig):
        return pretrained_folder(config.base, out)
    return out / "bases" / f"{config.task.name}-{_key(config, seed)}"


def pretrained_folder(checkpoint: CheckpointConfig, out: Path) -> Path:
    """Where `fetch` puts the checkpoint; the same for all seeds, and whatever is trained of it."""
    where = [str(checkpoint.local.resolve())] if checkpoint.local else [checkpoint.model, checkpoint.revision]
    key = hashlib.sha256(json.dumps(where).encode()).hexdigest()[:16]
    return out / "bases" / f"{Path(checkpoint.model).name}-{key}"


def present(checkpoint: CheckpointConfig) -> bool:
    """Whether the checkpoint lies on this machine: as a folder, or with its weights in the hub's cache."""
    if checkpoint.local:
        return True
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(checkpoint.model, "config.json", revision=checkpoint.revision)
    return isinstance(found, str) and any(Path(found).parent.glob("*.safetensors"))
