"""Settings of the model that training starts from: made from scratch, or a pretrained one, with or without LoRA."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class BaseConfig:
    """The base model and its supervised stage: Muon and AdamW with linear warmup and linear decay to zero."""

    layers: int
    width: int
    heads: int
    feedforward: int
    steps: int
    batch: int
    matrix_learning_rate: float
    """Muon's, for the matrices inside the layers."""
    learning_rate: float
    """AdamW's, for embeddings, norms and biases."""
    warmup: int
    weight_decay: float
    """Of the matrices inside the layers."""
    skew: float
    """Solutions are drawn with probability ∝ exp(−skew · effort); 0 draws each string of a problem alike."""
    effort: dict[str, float]
    """What ways of writing cost, by the task's names for them (`effort` of the task says what each means)."""
    mistakes: float
    """The share of a problem's supervised answers that is its mistake, where the task knows one."""
    loss: Literal["cross-entropy", "gem"] = "cross-entropy"
    """What the supervised stage minimizes. `gem`: GEM-linear (2408.16673), which keeps more of the answers' variety."""
    gem_beta: float = 0.7
    """GEM's b, in (0, 1]; .7 in the paper. Probabilities go to those of the examples to the power b, normalized; 1 is
    cross-entropy."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "feedforward", "steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width}: must be an even multiple of heads={self.heads}")
        if not 0 <= self.warmup < self.steps:
            raise ValueError(f"warmup={self.warmup}: must lie between 0 and steps={self.steps}")
        if not 0 <= self.mistakes < 1:
            raise ValueError(f"mistakes={self.mistakes}: must lie in [0, 1)")
        for name in ("matrix_learning_rate", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be positive")
        if self.loss not in ("cross-entropy", "gem"):
            raise ValueError(f"loss={self.loss!r}: must be cross-entropy or gem")
        if not 0 < self.gem_beta <= 1:
            raise ValueError(f"gem_beta={self.gem_beta}: must lie in (0, 1]")

    def record(self) -> dict[str, Any]:
        """All settings that decide the model; those of GEM only with GEM, so that older records stay what they are."""
        found = dataclasses.asdict(self)
        return found if self.loss == "gem" else {key: found[key] for key in found if key not in ("loss", "gem_beta")}


@dataclass(frozen=True)
class LoraSettings:
    """LoRA through peft: rank, alpha, dropout, and the linear layers that get it (`all-linear`: all but the head)."""

    rank: int
    alpha: int
    dropout: float
    targets: str

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: {self.dropout} must lie in [0, 1)")


@dataclass(frozen=True)
class SupervisedConfig:
    """Supervised training of a pretrained model on correct answers, by TRL's SFTTrainer and AdamW.

    The result is the base of every run, whatever its method and seed.
    """

    steps: int
    batch: int
    learning_rate: float
    lr_scheduler_type: str
    """By its name in transformers: `linear`, `constant`, …"""
    warmup: int
    """Steps over which the learning rate rises."""
    seed: int
    """Of the answers that are drawn; another seed gives another base."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if not 0 <= self.warmup < self.steps:
            raise ValueError(f"warmup: {self.warmup} must lie between 0 and steps={self.steps}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: {self.learning_rate} must be positive")
        if self.seed < 0:
            raise ValueError(f"seed: {self.seed} must not be negative")


@dataclass(frozen=True)
class CheckpointConfig:
    """A pretrained model, and what is trained of it."""

    model: str
    """A name on the hub, or a folder."""
    revision: str
    """On the hub, best a commit; the version of `package`, if that is given; it means nothing for a folder."""
    dtype: Literal["float32", "bfloat16"]
    """Of the weights in memory. If they are trained in bfloat16, the optimizer steps in float32 (`MasterAdamW`).
    `train.bf16` computes in bfloat16 whatever they are."""
    chat_template: bool
    """Whether a prompt is put as the user's turn, by the tokenizer's own template."""
    lora: LoraSettings | None
    """None trains every weight."""
    package: str | None = None
    """A Python package that ships the model as a GGUF file, which is read in place of the hub or a folder."""
    system_message: bool = True
    """With `chat_template`: whether the template's own system message, if it has one, begins the prompt."""
    supervised: SupervisedConfig | None = None
    """None: reinforcement learning begins with the pretrained model as it is."""

    def __post_init__(self) -> None:
        if not self.model or not self.revision:
            raise ValueError("model: a name or a folder, and a revision, are needed")

    def record(self) -> dict[str, Any]:
        """All settings."""
        return dataclasses.asdict(self)

    @property
    def local(self) -> Path | None:
        """The folder, if `model` is one."""
        path = Path(self.model).expanduser()
        return path if path.is_dir() and self.package is None else None
