"""GRPO's advantages reweighted or raised by how many rollouts of the group give the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.groups import same_answer, tally
from differential_smoothing.advantages.options import OverGroups, check_number
from differential_smoothing.rollouts import Rollouts, group_total

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class UarlConfig(OverGroups):
    """Options of UARL."""

    alpha: float = 0.5
    """The exponent, in [0, 1] in the paper, which gives no value that was seen; .5 is ours."""

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0.0, 1.0)

    @property
    def active(self) -> bool:
        """Whether the weight can differ from 1."""
        return self.alpha > 0


def uarl(rows: Rollouts, config: UarlConfig) -> torch.Tensor:
    """Uniqueness-aware RL, "Rewarding the Rare" (2601.08763): A_i f_i^−alpha, (B,). Confidence H.

    f_i: how many scorable rollouts of the group, i among them, give the answer of i. The authors' clusters come from a
    judge model; here they are canonical answers (ours). Wrong rollouts are weighted too, so frequent wrong answers are
    punished less. Where only one answer is right, it is a weight for difficulty, and no diversity (D). Unscorable rows
    keep A_i. Raises ValueError if the rows carry no answers.
    """
    if not config.active:
        return rows.base
    scored = tally(rows).scored
    return (rows.base * (same_answer(rows) + 1) ** -config.alpha).where(scored, rows.base)


@dataclass(frozen=True)
class CueConfig(OverGroups):
    """Options of Cue-GRPO."""

    alpha: float = 1.0
    """The exponent; 1 is ours, the paper's is unverified."""

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0.0)

    @property
    def active(self) -> bool:
        """Whether the weight can differ from 1."""
        return self.alpha > 0


def cue_grpo(rows: Rollouts, config: CueConfig) -> torch.Tensor:
    """Cue-GRPO (2608.03467): A_i f_i^−alpha / (mean of f^−alpha over the correct) on correct rollouts. Confidence M.

    f as in `uarl`, with canonical answers for clusters (ours). Incorrect and unscorable rollouts keep A_i, and so does
    the sum of a group's advantages: weight only moves from frequent to rare correct answers. (B,). Raises ValueError if
    the rows carry no answers.
    """
    if not config.active:
        return rows.base
    group = tally(rows)
    rare = (same_answer(rows) + 1) ** -config.alpha * group.reward
    weight = rare * group.right / group_total(rare, rows.groups)
    return (rows.base * weight).where(group.reward == 1, rows.base)


@dataclass(frozen=True)
class SetpoConfig(OverGroups):
    """Options of SetPO."""

    strength: float = 1.0
    """The coefficient of D; 1 is ours, the paper's was not found."""

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0.0)

    @property
    def active(self) -> bool:
        """Whether the bonus is there."""
        return self.strength > 0


def setpo(rows: Rollouts, config: SetpoConfig) -> torch.Tensor:
    """SetPO (2602.01062) with the kernel k(i, j) = 1 if i and j give the same answer, else 0. Confidence M.

    A_i + strength D_i, D_i = F(S) − F(S without i) over the scorable rollouts S of the group,
    F(S) = −mean_i log(1 + mean_j k(i, j)). The paper's kernel is a similarity of embeddings, its scaling was not found;
    the kernel and the inner mean, which includes j = i, are ours. D rewards rare wrong answers as well as rare right
    ones and has no mean of zero. A group of one rollout has D = 0; unscorable rows keep A_i. (B,). Raises ValueError if
    the rows carry no answers.
    """
    if not config.active:
        return rows.base
    group = tally(rows)
    size, cluster = group.size.unsqueeze(1), same_answer(rows) + 1
    assert rows.answers is not None
    members = (rows.groups.unsqueeze(1) == rows.groups) & group.scored
    others = members.clone().fill_diagonal_(False)
    shared = (rows.answers.unsqueeze(1) == rows.answers).to(rows.base.dtype)
    whole = ((1 + cluster / size).log() * members).sum(dim=1) / group.size
    without = ((1 + (cluster - shared) / (size - 1)).log() * others).sum(dim=1) / (group.size - 1)
    gained = (without - whole).masked_fill(group.size < 2, 0.0)
    return (rows.base + config.strength * gained).where(group.scored, rows.base)
