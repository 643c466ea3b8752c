"""Advantages shaped by the entropy of the policy at each token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.options import OverGroups, check_number
from differential_smoothing.rollouts import Rollouts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class EntropyAdvantageConfig(OverGroups):
    """Options of the entropy-based advantage."""

    alpha: float = 0.4
    """The bonus per nat of entropy; .4 with GRPO."""
    kappa: float = 2.0
    """The bonus is at most |A| / kappa."""

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0.0)
        check_number("kappa", self.kappa, 1.0)

    @property
    def active(self) -> bool:
        """Whether there is a bonus."""
        return self.alpha > 0

    @property
    def whole_groups(self) -> bool:
        """False: a token's bonus needs nothing but its own entropy and its rollout's advantage."""
        return False


def entropy_advantage(rows: Rollouts, config: EntropyAdvantageConfig) -> torch.Tensor:
    """Entropy-based advantage shaping (Cheng et al., 2506.14758): A_i + min(alpha H_t, |A_i| / kappa), (B, T).

    Confidence M. H_t is the entropy of the next-token law in nats, without gradient, of the policy being updated
    (L: that it is not the policy that sampled; the two are the same with one update per batch). With kappa > 1 no sign
    changes. The authors' rewards are ±1, which group normalization undoes.
    Raises ValueError if the rows carry no entropies.
    """
    if not config.active:
        return rows.base
    if rows.entropies is None:
        raise ValueError("entropies=None: this method needs the entropy of each token")
    base = rows.base.unsqueeze(1)
    bonus = (config.alpha * rows.entropies.detach()).minimum(base.abs() / config.kappa)
    return base + bonus.masked_fill(~rows.mask.bool(), 0.0)
