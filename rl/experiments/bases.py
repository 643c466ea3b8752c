"""Where base models lie: a folder by the hash of what makes the model, made or not. No model is loaded here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Protocol

from repro.packages import lacking
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


def base_folder(config: HasBase, seed: int, out: Path) -> Path:
    """Where the base model of this task, these settings and this seed lies, made or not."""
    base = config.base
    if isinstance(base, BaseConfig):
        return out / "bases" / f"{config.task.name}-{_hash(_parts(config.task, base, seed))}"
    if base.supervised is None:
        return pretrained_folder(base, out)
    # neither a run's seed nor LoRA, which only runs train, changes the supervised model
    parts = _parts(config.task, dataclasses.replace(base, lora=None), None) | {"origin": _origin(base)}
    return out / "bases" / f"{config.task.name}-{Path(base.model).name}-{_hash(parts)}"


def _parts(task: Any, base: BaseConfig | CheckpointConfig, seed: int | None) -> dict[str, Any]:
    return {"task": dataclasses.asdict(task), "base": base.record(), "seed": seed, "recipe": _RECIPE}


def _hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _origin(checkpoint: CheckpointConfig) -> list[str]:
    """What names the pretrained weights."""
    if checkpoint.package is not None:
        return ["package", checkpoint.package, checkpoint.revision]
    return [str(checkpoint.local.resolve())] if checkpoint.local else [checkpoint.model, checkpoint.revision]


def pretrained_folder(checkpoint: CheckpointConfig, out: Path) -> Path:
    """Where `fetch` puts the checkpoint; the same for all seeds, and whatever is trained of it."""
    return out / "bases" / f"{Path(checkpoint.model).name}-{_hash(_origin(checkpoint))}"


def absent(checkpoint: CheckpointConfig) -> str | None:
    """Why the checkpoint is not on this machine, in a few words; None if it is: as an installed package, as a folder,
    or with its weights in the hub's cache."""
    if checkpoint.package is not None:
        return lacking(checkpoint.package, checkpoint.revision, alone=True)
    if checkpoint.local:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(checkpoint.model, "config.json", revision=checkpoint.revision)
    if isinstance(found, str) and any(Path(found).parent.glob("*.safetensors")):
        return None
    return "no folder, not in the cache"
