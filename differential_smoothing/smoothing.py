"""Differential smoothing, the paper's contribution: unlikely correct answers earn more, unlikely mistakes less.

advantage form (Eq. 6)   A_i - gamma_p log pi_old(y_i|x)  if correct,   A_i + gamma_n log pi_old(y_i|x)  otherwise
reward form    (Eq. 4)   the same term added to the reward, before the group is centred and divided by its std

The advantage form goes with any base advantage A_i, not GRPO's alone: a method is a base advantage, made from rewards,
plus a term, made from log-probs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from differential_smoothing.advantages.reweighted import FGrpoConfig, MaxRLConfig, f_grpo, maxrl
from differential_smoothing.rollouts import (
    CORRECT,
    INCORRECT,
    Reduction,
    Rollouts,
    check_choice,
    group_mean,
    has_spread,
    normalise,
    reduce_logps,
)

if TYPE_CHECKING:
    import torch

Place = Literal["advantage", "reward"]
Centring = Literal["none", "group"]
FlatGroups = Literal["keep", "zero"]
Base = Literal["grpo", "maxrl", "f-grpo"]


@dataclass(frozen=True)
class SmoothingConfig:
    """The options of the DS term. gamma means something only together with all the others: record them with it.

    gamma_p, gamma_n: strengths on correct and on incorrect rollouts, both >= 0. reduction: of log-probs over tokens,
    see `rollouts.reduce_logps`. place: what the term is added to. centring: `group` subtracts from the log-prob
    its mean over the group's correct rollouts (T6's mended form, on-policy), over its incorrect ones likewise; with
    `token`, position by position. std: whether advantages are divided by their group's std (in TRL: `scale_rewards`).
    flat_groups: what becomes of groups whose rewards are all equal: `keep` the term, or give them advantage `zero`.
    base: whose advantages the term is added to, each as `advantages.reweighted` has it, with its paper's options.
    """

    gamma_p: float = 0.0
    gamma_n: float = 0.0
    reduction: Reduction = "sum"
    place: Place = "advantage"
    centring: Centring = "none"
    std: bool = True
    flat_groups: FlatGroups = "keep"
    base: Base = "grpo"

    def __post_init__(self) -> None:
        for name in ("gamma_p", "gamma_n"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a finite number >= 0")
        choices = {
            "reduction": Reduction,
            "place": Place,
            "centring": Centring,
            "flat_groups": FlatGroups,
            "base": Base,
        }
        for name, allowed in choices.items():
            check_choice(name, getattr(self, name), allowed)
        if not isinstance(self.std, bool):
            raise ValueError(f"std={self.std!r} must be true or false")
        if self.reduction == "token" and self.place == "reward":
            raise ValueError("reduction='token' cannot go with place='reward': a rollout has one reward")
        if self.base != "grpo" and self.place == "reward":
            raise ValueError(
                f"base={self.base!r} cannot go with place='reward': it is made from the task's own rewards"
            )

    @property
    def active(self) -> bool:
        """Whether TRL's own advantages can be changed."""
        return self.gamma_p > 0 or self.gamma_n > 0 or self.base != "grpo"

    @property
    def whole_groups(self) -> bool:
        """Whether a row's advantage depends on other rows of its group, beyond the base advantage."""
        return self.place == "reward" or self.centring == "group" or self.flat_groups == "zero" or self.base != "grpo"


def base_advantages(rows: Rollouts, base: Base) -> torch.Tensor:
    """The advantages before the term, (B,): TRL's, or those of the method called `base`."""
    if base == "maxrl":
        return maxrl(rows, MaxRLConfig())
    return f_grpo(rows, FGrpoConfig()) if base == "f-grpo" else rows.base


def smooth(rows: Rollouts, config: SmoothingConfig) -> torch.Tensor:
    """The advantages with the DS term: (B,), or (B, T) for the reduction `token`.

    Rows that are unscorable, or without a token that counts, get no term; with both gammas 0 the base advantages come
    back bit for bit.
    """
    if not config.active:
        return rows.base
    logp, defined = reduce_logps(rows, config.reduction)
    correct = (rows.correct == CORRECT).unsqueeze(1) & defined
    incorrect = (rows.correct == INCORRECT).unsqueeze(1) & defined
    if config.centring == "group":
        means = [group_mean(logp, who, rows.groups) for who in (correct, incorrect)]
        logp = logp - means[0].where(correct, means[1])
    term = (-config.gamma_p * logp).where(correct, config.gamma_n * logp)
    touched = (correct & (config.gamma_p > 0)) | (incorrect & (config.gamma_n > 0))

    base = rows.rewards if config.place == "reward" else base_advantages(rows, config.base)
    before = base.unsqueeze(1)
    shaped = (before + term).where(touched, before)
    if config.reduction != "token":
        shaped = shaped.squeeze(1)
    if config.place == "reward":
        shaped = normalise(shaped, rows.groups, config.std)
    if config.flat_groups == "zero":
        flat = ~has_spread(rows.rewards, rows.groups)
        shaped = shaped.masked_fill(flat.view(-1, *[1] * (shaped.dim() - 1)), 0.0)
    return shaped
