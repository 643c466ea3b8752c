"""What the runs of an experiment need of a machine: to plan, refuse in time and launch; it decides no result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from repro.manifest import ROOT


@dataclass(frozen=True)
class NeedsConfig:
    """Of each run of an experiment; the section `needs` of its YAML. `rl.plan` and `rl.sweep` read it."""

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
    """Settings for `accelerate launch`: a file under rl/experiments."""

    def __post_init__(self) -> None:
        if not self.parameters > 0:
            raise ValueError(f"parameters: {self.parameters} must be positive")
        for name in ("gpus", "gpu_memory_gib", "response_tokens", "prompt_tokens", "problems"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not self.seeds:
            raise ValueError("seeds: names none")
        if not self.launch_file.is_file():
            raise ValueError(f"launch: {self.launch} is no file under rl/experiments")

    @property
    def launch_file(self) -> Path:
        """Where `launch` lies."""
        return ROOT / "rl" / "experiments" / self.launch
