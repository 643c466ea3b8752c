"""GRPO's advantages reweighted by how hard the problem is, or by how likely each correct rollout is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from rl.baselines.groups import tally
from rl.baselines.options import OverGroups, check_flag, check_number
from rl.rollouts import CORRECT, Rollouts, check_choice, group_total, reduce_logps

EPS = 1e-6


@dataclass(frozen=True)
class MaxRLConfig(OverGroups):
    """unbiased: whether groups without a correct rollout keep their −1, which the paper sets to 0."""

    unbiased: bool = False

    def __post_init__(self) -> None:
        check_flag("unbiased", self.unbiased)


def maxrl(rows: Rollouts, config: MaxRLConfig) -> torch.Tensor:
    """MaxRL (Tajwar et al., 2602.02710; tajwarfahim/maxrl): (r_i − c/N) / (c/N + 1e-6), 0 if c = 0. Confidence H.

    (1/c) sum over correct rollouts of grad log pi is unbiased for sum_{j<=N} (1/j) grad Pass@j (D). Subtracting the
    mean keeps that only if groups with c = 0 get −1 (D); the paper's 0 there is biased.
    """
    group = tally(rows)
    value = (group.reward - group.accuracy) / (group.accuracy + EPS)
    value = torch.where(group.right == 0, -1.0 if config.unbiased else 0.0, value)
    return value.masked_fill(~group.scored, 0.0)


@dataclass(frozen=True)
class FGrpoConfig(OverGroups):
    """gamma: the exponent; .5, 1 and 2 in the paper, mostly .5."""

    gamma: float = 0.5

    def __post_init__(self) -> None:
        check_number("gamma", self.gamma, 0.0)

    @property
    def active(self) -> bool:
        """Whether the weight can differ from 1."""
        return self.gamma > 0


def f_grpo(rows: Rollouts, config: FGrpoConfig) -> torch.Tensor:
    """F-GRPO (Plyusov et al., 2602.06717): (1 − c/N)^gamma A_i. Confidence H; the ddof of A's std is not stated.

    It lowers the mean step: the authors' control is GRPO with the learning rate times .68.
    """
    if not config.active:
        return rows.base
    group = tally(rows)
    return torch.where(group.scored, (1 - group.accuracy) ** config.gamma * rows.base, rows.base)


SequenceReduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class UcpoConfig(OverGroups):
    """tau: the part of the weight that is redistributed, in [0, 1]; .2 in the paper (M), .3 or 1 in its code.

    reduction: of log-probs over tokens. The authors' `mean` makes q nearly flat; `sum`, log pi itself, nearly one-hot.
    """

    tau: float = 0.2
    reduction: SequenceReduction = "mean"

    def __post_init__(self) -> None:
        check_number("tau", self.tau, 0.0, 1.0)
        check_choice("reduction", self.reduction, SequenceReduction)

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
    logp, defined = (column.squeeze(1) for column in reduce_logps(rows, config.reduction))
    who = (rows.correct == CORRECT) & defined
    index = torch.unique(rows.groups, return_inverse=True)[1]
    highest = torch.full_like(logp, -torch.inf).scatter_reduce(0, index, logp.masked_fill(~who, -torch.inf), "amax")
    mass = (logp - highest[index]).exp().masked_fill(~who, 0.0)
    inverse = (1 / (mass / group_total(mass, rows.groups)).clamp(min=EPS)).masked_fill(~who, 0.0)
    count = group_total(who.to(rows.base.dtype), rows.groups)
    weight = 1 - config.tau + config.tau * count * (inverse / group_total(inverse, rows.groups))
    return torch.where(who & (count >= 2), rows.base * weight, rows.base)
