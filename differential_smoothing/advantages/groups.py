"""Counts over groups that the baselines share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.rollouts import CORRECT, UNSCORABLE, Rollouts, group_total

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Tally:
    """Counts for every row, all (B,)."""

    reward: torch.Tensor
    """r_i: 1 if correct, else 0."""
    scored: torch.Tensor
    """Whether the row is scorable."""
    size: torch.Tensor
    """N, the scorable rows of its group."""
    right: torch.Tensor
    """c, the correct ones."""

    @property
    def accuracy(self) -> torch.Tensor:
        """c / N; 0 where no row is scorable."""
        return self.right / self.size.clamp(min=1)

    @property
    def mixed(self) -> torch.Tensor:
        """Whether the group holds correct and incorrect rollouts."""
        return (self.right > 0) & (self.right < self.size)


def tally(rows: Rollouts) -> Tally:
    """Count scorable and correct rollouts by group."""
    scored = rows.correct != UNSCORABLE
    reward = (rows.correct == CORRECT).to(rows.base.dtype)
    size = group_total(scored.to(rows.base.dtype), rows.groups)
    return Tally(reward, scored, size, group_total(reward, rows.groups))


def mates(groups: torch.Tensor) -> torch.Tensor:
    """(B, B) bool: whether two different rows are of one group."""
    same = groups.unsqueeze(1) == groups.unsqueeze(0)
    return same.fill_diagonal_(False)


def same_answer(rows: Rollouts) -> torch.Tensor:
    """For every row, how many other scorable rollouts of its group have its answer, (B,).

    Raises ValueError if the rows carry no answers.
    """
    if rows.answers is None:
        raise ValueError("answers=None: this method compares answers, so the rollouts must carry their ids")
    equal = rows.answers.unsqueeze(1) == rows.answers.unsqueeze(0)
    return (equal & mates(rows.groups) & (rows.correct != UNSCORABLE)).sum(dim=1).to(rows.base.dtype)
