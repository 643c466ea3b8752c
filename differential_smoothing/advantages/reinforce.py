"""Fixed advantages for correct and for incorrect rollouts, without mean or std; and the same weighted by difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from differential_smoothing.advantages.groups import tally
from differential_smoothing.advantages.options import OverGroups, check_number, check_whole
from differential_smoothing.rollouts import Rollouts

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ReinforceConfig(OverGroups):
    """Options of W-REINFORCE, PSR and NSR."""

    positive: float = 0.1
    """lambda⁺: what a correct rollout earns; .1 in the authors' README (1 in their YAML)."""
    negative: float = 1.0
    """lambda⁻: what an incorrect rollout pays; 1 in the paper."""

    def __post_init__(self) -> None:
        check_number("positive", self.positive, 0.0)
        check_number("negative", self.negative, 0.0)
        if self.positive == self.negative == 0:
            raise ValueError("positive=0 and negative=0: every advantage would be 0")

    @property
    def std(self) -> bool:
        """False: the advantages are fixed, never divided by a std."""
        return False

    @property
    def whole_groups(self) -> bool:
        """False: a rollout's advantage is decided by its own reward."""
        return False


def reinforce(rows: Rollouts, config: ReinforceConfig) -> torch.Tensor:
    """W-REINFORCE, and with one weight 0 PSR or NSR (Zhu et al., 2506.01347), (B,). Confidence H.

    lambda⁺ if correct, −lambda⁻ if incorrect; no mean, no std, no KL. Groups whose rewards are all equal train too. In
    the mean only lambda⁺ + lambda⁻ counts: PSR, NSR and W-REINFORCE have one expected step on-policy, and differ in
    noise (D). The authors delete the rows of the class without weight, which changes the divisor of a token mean; here
    they stay, with advantage 0. Unscorable rows get 0.
    """
    group = tally(rows)
    value = config.positive * group.reward - config.negative * (1 - group.reward)
    return value.masked_fill(~group.scored, 0.0)


@dataclass(frozen=True)
class BbgConfig(OverGroups):
    """Options of BBG."""

    k: int = 16
    """Of Pass@k; it may exceed the group size. 16 in the paper."""
    tau: float = 0.01
    """Groups with u < tau (N + 1) are dropped; .01 in the paper."""
    positive: float = 0.1
    """lambda⁺ of the W-REINFORCE advantages below it."""

    def __post_init__(self) -> None:
        check_whole("k", self.k, 1)
        check_number("tau", self.tau, 0.0)
        check_number("positive", self.positive, 0.0)

    @property
    def std(self) -> bool:
        """False: the advantages are fixed, never divided by a std."""
        return False


def bbg(rows: Rollouts, config: BbgConfig) -> torch.Tensor:
    """BBG (2606.15455) on W-REINFORCE: u(c) / u(1) (lambda⁺ if correct, −1 if incorrect), (B,). Confidence M.

    u(c) = k prod_{j=1}^{k−1} (N−c+j) / (N+1+j) is the mean of k (1−p)^(k−1), the gradient of Pass@k, under the
    posterior Beta(c+1, N−c+1) of p (D). Groups with u(c) < tau (N + 1) get 0. The formula is from a reimplementation;
    its first two values agree with the paper's table. The authors also draw prompts by it, which is not part of this.
    Dividing by u(1) only sets the scale. Unscorable rows get 0.
    """
    group = tally(rows)
    utility, unit = rows.base.new_full(rows.base.shape, config.k), rows.base.new_full(rows.base.shape, config.k)
    for j in range(1, config.k):
        utility = utility * (group.size - group.right + j) / (group.size + 1 + j)
        unit = unit * (group.size - 1 + j) / (group.size + 1 + j)
    value = config.positive * group.reward - (1 - group.reward)
    dropped = utility < config.tau * (group.size + 1)
    return (utility / unit * value).masked_fill(~group.scored | dropped, 0.0)
