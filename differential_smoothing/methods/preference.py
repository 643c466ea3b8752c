"""Preference pairs within a group of rollouts: the rarest correct one over the commonest wrong one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from differential_smoothing.advantages.options import OverGroups, check_number
from differential_smoothing.rollouts import (
    CORRECT,
    INCORRECT,
    Rollouts,
    SequenceAggregation,
    aggregate_logps,
    check_choice,
    group_total,
)

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class DivpoConfig(OverGroups):
    """Options of DivPO."""

    beta: float = 0.1
    """DPO's beta. The paper's was not found; .1 is ours."""
    logprob_aggregation: SequenceAggregation = "sum"
    """What rarity is judged by: −log pi of the rollout, or its mean over tokens, which is free of length."""

    def __post_init__(self) -> None:
        check_number("beta", self.beta, 0.0)
        if self.beta == 0:
            raise ValueError("beta=0 must be above 0")
        check_choice("logprob_aggregation", self.logprob_aggregation, SequenceAggregation)

    @property
    def std(self) -> bool:
        """False: there is no group mean and no std."""
        return False

    @property
    def reference(self) -> bool:
        """True: DPO compares with the base."""
        return True

    @property
    def trl(self) -> Mapping[str, Any]:
        """What it asks of TRL, which loads the base for a KL alone; the method takes the KL's gradient back."""
        return {"beta": self.beta, "use_bias_correction_kl": False}


def divpo(rows: Rollouts, config: DivpoConfig) -> torch.Tensor:
    """DivPO online (2501.18101): DPO on one pair a group, made of fresh rollouts. Confidence M. (B, T).

    Chosen: the correct rollout with the least log-prob; rejected: the wrong one with the greatest. With
    h = beta (log pi/pi_ref of the chosen − that of the rejected), DPO's gradient is that of the advantages
    ±beta sigmoid(−h), 0 for all other rollouts (D); at the first step ±beta / 2. The tokens' sum is divided as the loss
    divides it. On top stands beta (1 − x_t), x = pi_ref / pi, which takes back the gradient of TRL's own KL (D). Where
    rewards are 0 and 1, the paper's threshold rho changes nothing. Groups without a pair get nothing. With several
    updates per batch h and x are of the policy that sampled. Raises ValueError if the rows lack the base's log-probs.
    """
    if rows.reference is None:
        raise ValueError("reference=None: this method needs the base's log-prob of each token")
    mask = rows.mask.bool()
    judged, defined = (column.squeeze(1) for column in aggregate_logps(rows, config.logprob_aggregation))
    log_x = (rows.reference - rows.logps).detach().masked_fill(~mask, 0.0)
    chosen = _first(-judged, defined & (rows.correct == CORRECT), rows.groups).to(rows.base.dtype)
    rejected = _first(judged, defined & (rows.correct == INCORRECT), rows.groups).to(rows.base.dtype)
    side = chosen - rejected
    paired = group_total(chosen + rejected, rows.groups) == 2
    h = -config.beta * group_total(side * log_x.sum(dim=1), rows.groups)
    pull = (config.beta * (-h).sigmoid() * side).masked_fill(~paired, 0.0)
    return pull.unsqueeze(1) + config.beta * (1 - log_x.exp())


def _first(score: torch.Tensor, where: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """(B,) bool: in each group the row of the highest score among those where `where` holds, the first of equals."""
    index = groups.unique(return_inverse=True)[1]
    lowest = score.new_full(score.shape, -math.inf)
    highest = lowest.scatter_reduce(0, index, score.masked_fill(~where, -math.inf), "amax")[index]
    number = groups.new_ones(groups.shape).cumsum(0)
    after = len(number) + 1
    tied = number.masked_fill(~(where & (score == highest)), after)
    return number == number.new_full(number.shape, after).scatter_reduce(0, index, tied, "amin")[index]
