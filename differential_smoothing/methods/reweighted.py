"""GRPO's advantages reweighted by the length of each rollout, or by how likely it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.groups import tally
from differential_smoothing.advantages.options import OverGroups, check_number
from differential_smoothing.rollouts import Rollouts, aggregate_logps, group_total

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class XdrConfig(OverGroups):
    """Options of xDr.GRPO."""

    tau_tokens: float = 8.0
    """The temperature in tokens: the draft's tau (.5 and .05) times its maximal length. 8 is ours."""

    def __post_init__(self) -> None:
        check_number("tau_tokens", self.tau_tokens, 0.0)
        if self.tau_tokens == 0:
            raise ValueError("tau_tokens=0 must be above 0")

    @property
    def std(self) -> bool:
        """False: the advantages are Dr. GRPO's."""
        return False


def xdr_grpo(rows: Rollouts, config: XdrConfig) -> torch.Tensor:
    """xDr.GRPO (a draft paper in liv-daliberti/maxent-grpo): N u_i A_i, u = softmax over the group of A T / tau_tokens.

    Confidence H in the code, which no published paper describes. A_i = r_i − mean, T_i the rollout's length in tokens
    that count. Between rollouts of equal length T correct ones weigh exp(T / tau_tokens) times as much as wrong ones,
    the opposite of W-REINFORCE; among correct ones only length decides (D). The sum of a group's advantages is not 0.
    Its loss is Dr. GRPO's, which is the trainer's to set. (B,); unscorable rows keep A_i.
    """
    group = tally(rows)
    length = rows.mask.bool().sum(dim=1).to(rows.base.dtype)
    index = rows.groups.unique(return_inverse=True)[1]
    score = (rows.base * length / config.tau_tokens).masked_fill(~group.scored, -math.inf)
    highest = score.new_full(score.shape, -math.inf).scatter_reduce(0, index, score, "amax")[index]
    mass = (score - highest).exp().masked_fill(~group.scored, 0.0)
    weight = group.size * mass / group_total(mass, rows.groups)
    return (rows.base * weight).where(group.scored, rows.base)


@dataclass(frozen=True)
class RecoConfig(OverGroups):
    """Options of ReCo's advantage."""

    cap: float = 1.0
    """The largest weight. The paper clips its weights, at a value that was not found; 1 is ours."""

    def __post_init__(self) -> None:
        check_number("cap", self.cap, 0.0)
        if self.cap == 0:
            raise ValueError("cap=0 must be above 0")


def reco(rows: Rollouts, config: RecoConfig) -> torch.Tensor:
    """ReCo's advantage (2607.26862): A_i min(1 / (N pibar_i), cap), pibar = exp(mean token log-prob). Confidence M.

    That pibar is the length mean is ours, and so is the cap. Unlikely rollouts weigh more, right or wrong. The paper
    has a token coefficient p(1−p) / (p_old(1−p_old)) besides, which is 1 with one update per batch (D) and not part of
    this. Unscorable rows, and rows without a token that counts, keep A_i. (B,).
    """
    group = tally(rows)
    logp, defined = (column.squeeze(1) for column in aggregate_logps(rows, "mean"))
    weight = ((-logp).exp() / group.size).clamp(max=config.cap)
    return (rows.base * weight).where(group.scored & defined, rows.base)
