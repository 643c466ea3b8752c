"""The global entropy heuristic on sampled rollouts: `r - gamma log pi_old` on every one (T4, cross-entropy form)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.rollouts import UNSCORABLE, Aggregation, Rollouts, aggregate_logps, check_choice, group_mean

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LogprobConfig:
    """Options of the term on all rollouts alike.

    It is always centered by its group: uncentered, it raises every sampled rollout, wrong ones too, and destroys the
    model.
    """

    gamma: float = 0.0
    """Above 0 a bonus on unlikely rollouts, below 0 a penalty."""
    logprob_aggregation: Aggregation = "sum"
    """How token log-probs become the rollout's, see `rollouts.aggregate_logps`."""
    std: bool = True
    """Whether the base advantages are divided by their group's std (in TRL: `scale_rewards`)."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.gamma):
            raise ValueError(f"gamma={self.gamma!r} must be a finite number")
        check_choice("logprob_aggregation", self.logprob_aggregation, Aggregation)
        if not isinstance(self.std, bool):
            raise ValueError(f"std={self.std!r} must be true or false")

    @property
    def active(self) -> bool:
        """Whether the term can change anything."""
        return self.gamma != 0

    @property
    def whole_groups(self) -> bool:
        """Always: the term is centered by its group."""
        return True


def logprob_bonus(rows: Rollouts, config: LogprobConfig) -> torch.Tensor:
    """`A_i - gamma (log pi_old(y_i) - mean over the group's scorable rollouts)`: (B,), or (B, T) for `token`.

    Rows that are unscorable, or without a token that counts, get no term; with gamma 0 the base advantages come back
    bit for bit.
    """
    if not config.active:
        return rows.base
    logp, defined = aggregate_logps(rows, config.logprob_aggregation)
    scored = (rows.correct != UNSCORABLE).unsqueeze(1) & defined
    base = rows.base.unsqueeze(1)
    shaped = (base - config.gamma * (logp - group_mean(logp, scored, rows.groups))).where(scored, base)
    return shaped if config.logprob_aggregation == "token" else shaped.squeeze(1)
