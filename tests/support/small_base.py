"""A small Countdown and a base model for it that is made in seconds."""

from __future__ import annotations

from rl.experiments.model_config import BaseConfig
from rl.tasks import countdown

TASK = countdown.CountdownConfig(
    numbers=3, max_number=6, max_target=12, problems=250, validation=20, heldout=30, seed=0
)
BASE = BaseConfig(
    layers=1,
    width=32,
    heads=2,
    feedforward=64,
    steps=60,
    batch=64,
    matrix_learning_rate=0.02,
    learning_rate=1e-2,
    warmup=5,
    weight_decay=0.01,
    skew=1.0,
    effort={"+": 0, "*": 1, "-": 1, "/": 2, "(": 1, "descent": 0.5},
    mistakes=0.0,
)
