"""Settings of the model that training starts from: made from scratch, or a pretrained one, with or without LoRA."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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
class CheckpointConfig:
    """model: a name on the hub or a folder. revision: on the hub, best a commit; it means nothing for a folder.

    dtype: of the weights in memory; `train.bf16` computes in bfloat16 whatever they are. chat_template: whether a
    prompt is put as the user's turn, by the tokenizer's own template. lora: None trains every weight.
    """

    model: str
    revision: str
    dtype: Literal["float32", "bfloat16"]
    chat_template: bool
    lora: LoraSettings | None

    def __post_init__(self) -> None:
        if not self.model or not self.revision:
            raise ValueError("model: a name or a folder, and a revision, are needed")

    @property
    def local(self) -> Path | None:
        """The folder, if `model` is one."""
        path = Path(self.model).expanduser()
        return path if path.is_dir() else None
