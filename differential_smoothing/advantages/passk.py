"""Objectives of Pass@k: advantages whose expected gradient is that of rho = 1 − (1 − p)^k, or of that divided by a std.

rho(n, c, k) = 1 − C(n−c, k) / C(n, k): the chance that k of n rollouts, drawn without replacement, hold a correct one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from differential_smoothing.advantages.groups import tally
from differential_smoothing.advantages.options import OverGroups, check_whole
from differential_smoothing.rollouts import Rollouts, check_choice

if TYPE_CHECKING:
    import torch

EPS = 1e-6


def none_drawn(size: torch.Tensor, wrong: torch.Tensor, k: int) -> torch.Tensor:
    """C(wrong, k) / C(size, k) = 1 − rho: the chance that k drawn rollouts are all wrong; 0 where wrong < k."""
    chance = size.new_ones(size.shape)
    for drawn in range(k):
        chance = chance * (wrong - drawn).clamp(min=0) / (size - drawn).clamp(min=1)
    return chance


@dataclass(frozen=True)
class PasskConfig(OverGroups):
    """Options of Pass@k training."""

    k: int = 4
    """How many rollouts are taken together. 4 is a default in others' code; the paper's own is unverified."""

    def __post_init__(self) -> None:
        check_whole("k", self.k, 1)


def passk_training(rows: Rollouts, config: PasskConfig) -> torch.Tensor:
    """Pass@k training, closed form (Chen et al., 2508.10751; RUCAIBox/Passk_Training). Confidence H.

    With rho = rho(N, c, k) and sigma = sqrt(rho (1 − rho)) + 1e-6: (1 − rho) / sigma if correct,
    (1 − rho − C(N−c−1, k−1) / C(N−1, k−1)) / sigma otherwise. It is the mean of (max r − rho) / sigma over the
    k-subsets that hold the rollout. Zero if c = 0 or N − c < k. With k = 1 it is GRPO with a std of ddof 0.
    verl's "grpo_passk" is another method (2503.19595).
    """
    group = tally(rows)
    wrong = group.size - group.right
    missed = none_drawn(group.size, wrong, config.k)
    sigma = (missed * (1 - missed)).sqrt() + EPS
    with_wrong = none_drawn(group.size - 1, wrong - 1, config.k - 1)
    value = missed.where(group.reward == 1, missed - with_wrong) / sigma
    return value.masked_fill(~group.scored | (group.right == 0) | (wrong < config.k), 0.0)


Baseline = Literal["none", "loo", "loo-1"]


@dataclass(frozen=True)
class PkpoConfig(OverGroups):
    """Options of PKPO."""

    k: int = 4
    """Of Pass@k."""
    baseline: Baseline = "loo-1"
    """What is subtracted, `loo-1` in the paper. `loo` is the mean of the objective over k-subsets of the other
    rollouts, `loo-1` over (k−1)-subsets, so that incorrect rollouts get exactly 0 and k = 1 has none: there the paper
    takes `loo`."""

    def __post_init__(self) -> None:
        check_whole("k", self.k, 1)
        check_choice("baseline", self.baseline, Baseline)
        if self.baseline == "loo-1" and self.k == 1:
            raise ValueError("k=1 has no baseline 'loo-1' (subsets of no rollout); use baseline='loo'")

    @property
    def std(self) -> bool:
        """False: rewards are transformed, never divided by a std."""
        return False


def pkpo(rows: Rollouts, config: PkpoConfig) -> torch.Tensor:
    """PKPO (Walder and Karkhanis, 2505.15201): N s_i, so that the loss's mean has the gradient sum_i s_i grad log pi.

    none   s_i = k/N if correct, else (k/N) rho(N−1, c, k−1)             Confidence H
    loo    s_i − (k/(N−1)) rho(N−1, c−r_i, k), for N > k                 H; closed form D
    loo-1  (k/N) C(N−c, k−1) / C(N−1, k−1) if correct, else exactly 0    H; closed form D
    All three are unbiased for the gradient of Pass@k (D). Zero where the group is too small. There is no std. `loo-1`
    gives nothing once N − c < k − 1. The paper anneals k from 8 to 1; here k stays.
    """
    group, k = tally(rows), config.k
    wrong = group.size - group.right
    correct = group.reward == 1
    if config.baseline == "loo-1":
        value = (k * none_drawn(group.size - 1, wrong, k - 1)).masked_fill(~correct, 0.0)
    else:
        value = (k * (1 - none_drawn(group.size - 1, wrong - 1, k - 1))).masked_fill(correct, k)
    needed = k
    if config.baseline == "loo":
        others_wrong = wrong.where(correct, wrong - 1)
        share = k * group.size / (group.size - 1).clamp(min=1)
        value = value - share * (1 - none_drawn(group.size - 1, others_wrong, k))
        needed = k + 1
    return value.masked_fill(~group.scored | (group.size < needed), 0.0)
