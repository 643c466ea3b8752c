"""GRPO's advantages reweighted by how hard the problem is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.groups import tally
from differential_smoothing.advantages.options import OverGroups, check_flag, check_number
from differential_smoothing.rollouts import Rollouts

if TYPE_CHECKING:
    import torch

EPS = 1e-6


@dataclass(frozen=True)
class MaxRLConfig(OverGroups):
    """Options of MaxRL."""

    unbiased: bool = False
    """Whether groups without a correct rollout keep their −1, which the paper sets to 0."""

    def __post_init__(self) -> None:
        check_flag("unbiased", self.unbiased)


def maxrl(rows: Rollouts, config: MaxRLConfig) -> torch.Tensor:
    """MaxRL (Tajwar et al., 2602.02710; tajwarfahim/maxrl): (r_i − c/N) / (c/N + 1e-6), 0 if c = 0. Confidence H.

    (1/c) sum over correct rollouts of grad log pi is unbiased for sum_{j<=N} (1/j) grad Pass@j (D). Subtracting the
    mean keeps that only if groups with c = 0 get −1 (D); the paper's 0 there is biased.
    """
    group = tally(rows)
    value = (group.reward - group.accuracy) / (group.accuracy + EPS)
    value = value.masked_fill(group.right == 0, -1.0 if config.unbiased else 0.0)
    return value.masked_fill(~group.scored, 0.0)


@dataclass(frozen=True)
class FGrpoConfig(OverGroups):
    """Options of F-GRPO."""

    gamma: float = 0.5
    """The exponent; .5, 1 and 2 in the paper, mostly .5."""

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
    return ((1 - group.accuracy) ** config.gamma * rows.base).where(group.scored, rows.base)
