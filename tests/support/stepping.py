"""The first step of a trainer on two groups of four rollouts that are handed in."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bridge import World, steps
from trl import GRPOTrainer

from differential_smoothing import methods
from differential_smoothing.methods import Method
from differential_smoothing.trl import DSGRPOTrainer

WORLD = World()
BATCH = [0, 0, 3, 4, 1, 3, 0, 2]  # trajectories: two groups of four


def first_step(
    folder: Path,
    method: Any,
    batch: list[int] = BATCH,
    kind: type[GRPOTrainer] = DSGRPOTrainer,
    trainer: dict[str, Any] | None = None,
    **settings: Any,
) -> np.ndarray:
    """The step of the logits (m,). method, trainer: arguments of the trainer; settings: of `GRPOConfig`."""
    settings = {"per_device_train_batch_size": len(batch), "loss_type": "dapo", "max_steps": 1, **settings}
    args = WORLD.settings(folder, **settings)
    made = WORLD.trainer(args, kind, rollout_func=WORLD.handed_in([batch]), method=method, **(trainer or {}))
    return steps(made)[0]


_known: dict[str, np.ndarray] = {}


def plain_step(method: Method, batch: list[int] = BATCH) -> np.ndarray:
    """The on-policy step by `DSGRPOTrainer`, (m,), read-only; each method of the registry is run once on a batch."""
    assert method.advantages is methods.get(method.name).advantages, "a method of the registry"
    key = json.dumps([method.record(), batch], sort_keys=True)
    if key not in _known:
        with tempfile.TemporaryDirectory() as folder:
            _known[key] = first_step(Path(folder), method, batch)
        _known[key].setflags(write=False)
    return _known[key]
