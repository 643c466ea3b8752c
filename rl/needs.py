"""What the runs of an experiment need of a machine: for the plan and for refusing in time; it decides no result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NeedsConfig:
    """Of each run of an experiment; the section `needs` of its YAML. Only `rl.plan` reads it."""

    parameters: float
    """Of the model."""
    gpus: int
    gpu_memory_gib: int
    """Of each GPU."""
    response_tokens: int
    """Assumed mean length of a response; generation stops at train.max_completion_length."""
    prompt_tokens: int
    """Assumed mean length of a prompt."""
    problems: int
    """Held-out problems, over all benchmarks."""
    seeds: tuple[int, ...]
    launch: str
    """Settings for `accelerate launch`: a file in rl/experiments/accelerate."""
    data: tuple[str, ...]
    """Data sets by their names on the hub, or files."""

    def __post_init__(self) -> None:
        if not self.parameters > 0:
            raise ValueError(f"parameters: {self.parameters} must be positive")
        for name in ("gpus", "gpu_memory_gib", "response_tokens", "prompt_tokens", "problems"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
