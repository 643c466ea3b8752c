"""UCPO: GRPO's advantages reweighted by how likely each correct rollout is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.options import OverGroups, check_number
from differential_smoothing.rollouts import (
    CORRECT,
    Rollouts,
    SequenceAggregation,
    aggregate_logps,
    check_choice,
    group_total,
)

if TYPE_CHECKING:
    import torch

EPS = 1e-6


@dataclass(frozen=True)
class UcpoConfig(OverGroups):
    """Options of UCPO."""

    tau: float = 0.2
    """The part of the weight that is redistributed, in [0, 1]; .2 in the paper (M), .3 or 1 in its code."""
    logprob_aggregation: SequenceAggregation = "mean"
    """The authors' `mean` makes q nearly flat; `sum`, log pi itself, nearly one-hot."""

    def __post_init__(self) -> None:
        check_number("tau", self.tau, 0.0, 1.0)
        check_choice("logprob_aggregation", self.logprob_aggregation, SequenceAggregation)

    @property
    def active(self) -> bool:
        """Whether anything is redistributed."""
        return self.tau > 0


def ucpo(rows: Rollouts, config: UcpoConfig) -> torch.Tensor:
    """UCPO, the estimator "iq" (Lochab et al., 2605.00365; AnamikaLochab/UCPO). Confidence: code H, paper M.

    Over the c >= 2 correct rollouts, q = softmax of their length-mean log-probs and v_i = 1 / max(q_i, 1e-6):
    A_i [(1 − tau) + tau c v_i / sum v]. Incorrect rollouts, a single correct one, and rollouts without a token that
    counts keep A_i; the sum of a group's advantages stays.
    """
    if not config.active:
        return rows.base
    logp, defined = (column.squeeze(1) for column in aggregate_logps(rows, config.logprob_aggregation))
    who = (rows.correct == CORRECT) & defined
    index = rows.groups.unique(return_inverse=True)[1]
    lowest = logp.new_full(logp.shape, -math.inf)
    highest = lowest.scatter_reduce(0, index, logp.masked_fill(~who, -math.inf), "amax")
    mass = (logp - highest[index]).exp().masked_fill(~who, 0.0)
    inverse = (1 / (mass / group_total(mass, rows.groups)).clamp(min=EPS)).masked_fill(~who, 0.0)
    count = group_total(who.to(rows.base.dtype), rows.groups)
    weight = 1 - config.tau + config.tau * count * (inverse / group_total(inverse, rows.groups))
    return (rows.base * weight).where(who & (count >= 2), rows.base)
