"""Differential smoothing, the paper's contribution: unlikely correct answers earn more, unlikely mistakes less.

advantage form (Eq. 6)   A_i - gamma_p log pi_old(y_i|x)  if correct,   A_i + gamma_n log pi_old(y_i|x)  otherwise
reward form    (Eq. 4)   the same term added to the reward, before the group is centered and divided by its std

A method is a base advantage A_i, made from rewards, plus a term, made from log-probs. The two are separate: this is
the term, and A_i is what the rows bring along, GRPO's or another (`methods.BASES`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from differential_smoothing.advantages.options import check_flag
from differential_smoothing.rollouts import (
    CORRECT,
    INCORRECT,
    Aggregation,
    Rollouts,
    aggregate_logps,
    check_choice,
    group_mean,
    has_spread,
    normalize,
)

if TYPE_CHECKING:
    import torch

ApplyTo = Literal["advantage", "reward"]
ZeroVarianceGroups = Literal["keep", "zero"]


@dataclass(frozen=True)
class SmoothingConfig:
    """The options of the DS term. gamma means something only together with all the others: record them with it."""

    gamma_p: float = 0.0
    """Strength on correct rollouts, >= 0."""
    gamma_n: float = 0.0
    """Strength on incorrect rollouts, >= 0."""
    logprob_aggregation: Aggregation = "sum"
    """How token log-probs become the rollout's, see `rollouts.aggregate_logps`."""
    apply_to: ApplyTo = "advantage"
    """What the term is added to."""
    center: bool = False
    """Whether to subtract from the log-prob its mean over the group's correct rollouts (T6's self-centered form,
    on-policy), over its incorrect ones likewise; with `token`, position by position."""
    std: bool = True
    """Whether the base advantages, or rewards with the term, are divided by their group's std (in TRL:
    `scale_rewards`)."""
    zero_variance_groups: ZeroVarianceGroups = "keep"
    """What groups get whose rewards are all equal: `keep` the term, or advantage `zero`."""

    def __post_init__(self) -> None:
        for name in ("gamma_p", "gamma_n"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a finite number >= 0")
        choices = {
            "logprob_aggregation": Aggregation,
            "apply_to": ApplyTo,
            "zero_variance_groups": ZeroVarianceGroups,
        }
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)
        for name in ("center", "std"):
            check_flag(name, getattr(self, name))
        if self.logprob_aggregation == "token" and self.apply_to == "reward":
            raise ValueError("logprob_aggregation='token' cannot go with apply_to='reward': a rollout has one reward")

    @property
    def active(self) -> bool:
        """Whether the term can change anything."""
        return self.gamma_p > 0 or self.gamma_n > 0

    @property
    def whole_groups(self) -> bool:
        """Whether a row's advantage depends on other rows of its group, beyond the base advantage."""
        return self.apply_to == "reward" or self.center or self.zero_variance_groups == "zero"


def ds_term(rows: Rollouts, config: SmoothingConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """The term, and the rollouts that it is for; both (B, 1), or (B, T) for the aggregation `token`.

    It is made from log-probs and correctness alone. Rows that are unscorable, or without a token that counts, get none.
    """
    logp, defined = aggregate_logps(rows, config.logprob_aggregation)
    correct = (rows.correct == CORRECT).unsqueeze(1) & defined
    incorrect = (rows.correct == INCORRECT).unsqueeze(1) & defined
    if config.center:
        means = [group_mean(logp, who, rows.groups) for who in (correct, incorrect)]
        logp = logp - means[0].where(correct, means[1])
    term = (-config.gamma_p * logp).where(correct, config.gamma_n * logp)
    return term, (correct & (config.gamma_p > 0)) | (incorrect & (config.gamma_n > 0))


def smooth(rows: Rollouts, config: SmoothingConfig) -> torch.Tensor:
    """The advantages with the DS term: (B,), or (B, T) for the aggregation `token`.

    With both gammas 0 the base advantages come back bit for bit.
    """
    if not config.active:
        return rows.base
    term, touched = ds_term(rows, config)
    before = (rows.rewards if config.apply_to == "reward" else rows.base).unsqueeze(1)
    shaped = (before + term).where(touched, before)
    if config.logprob_aggregation != "token":
        shaped = shaped.squeeze(1)
    if config.apply_to == "reward":
        shaped = normalize(shaped, rows.groups, config.std)
    if config.zero_variance_groups == "zero":
        flat = ~has_spread(rows.rewards, rows.groups)
        shaped = shaped.masked_fill(flat.view(-1, *[1] * (shaped.dim() - 1)), 0.0)
    return shaped
