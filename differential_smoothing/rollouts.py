"""What a method may look at when it makes advantages: the rows of a generation batch, and means over groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch


Aggregation = Literal["sum", "mean", "token"]
SequenceAggregation = Literal["sum", "mean"]

CORRECT, INCORRECT, UNSCORABLE = 1, 0, -1
STD_EPS = 1e-4  # TRL's: advantages are divided by (std, ddof 1) + 1e-4


@dataclass(frozen=True)
class Rollouts:
    """B rollouts, T token positions. Rows of one group need not stand together."""

    rewards: torch.Tensor
    """(B,), as given by the reward functions; NaN where they all declined."""
    base: torch.Tensor
    """(B,), the advantages that the rewards alone give: GRPO's, unless the method has another base."""
    logps: torch.Tensor
    """(B, T), log-probabilities in nats of the sampled tokens under the policy that sampled them: of its whole
    distribution at the sampling temperature, also where top_p, top_k, min_p or penalties truncated it."""
    mask: torch.Tensor
    """(B, T), true on tokens that count, with the end of sequence."""
    correct: torch.Tensor
    """(B,), integers: CORRECT, INCORRECT or UNSCORABLE."""
    groups: torch.Tensor
    """(B,), integers, one value per group."""
    answers: torch.Tensor | None = None
    """(B,), integers, the same for two rollouts iff they give the same answer; None where nobody said."""
    entropies: torch.Tensor | None = None
    """(B, T), of the next-token distribution at each token, in nats; only for methods that ask for it."""
    seen: torch.Tensor | None = None
    """(B,), how often earlier batches gave the row's answer to its prompt; only for methods that ask for it."""
    reference: torch.Tensor | None = None
    """(B, T), log-probs of the sampled tokens under the base model; only for methods that ask for it."""


def check_choice(name: str, value: object, choices: object) -> None:
    """Raise ValueError unless `value` is one of the values of the Literal type `choices`."""
    if value not in get_args(choices):
        raise ValueError(f"{name}={value!r} must be one of {', '.join(get_args(choices))}")


def aggregate_logps(rows: Rollouts, aggregation: Aggregation) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-prob each rollout is judged by, and where it is defined; both (B, 1), or (B, T) for `token`.

    `sum`: over the tokens that count, log pi(y|x) itself. `mean`: the same divided by their number. `token`: each
    token's own. No gradient flows through it. It is 0 where undefined, whatever `logps` holds there (NaN too).
    """
    mask = rows.mask.bool()
    logps = rows.logps.detach().masked_fill(~mask, 0.0)
    if aggregation == "token":
        return logps, mask
    length = mask.sum(dim=1, keepdim=True)
    total = logps.sum(dim=1, keepdim=True)
    return (total / length.clamp(min=1) if aggregation == "mean" else total), length > 0


def group_mean(value: torch.Tensor, where: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """For every row, the mean of `value` over the rows of its group where `where` holds (0 if there are none).

    value, where: (B, W); each column on its own. groups: (B,). Returns (B, W).
    """
    index = groups.unique(return_inverse=True)[1]
    shape = (len(groups), value.shape[1])  # one slot per row is always enough, and needs no look at the indices
    weight = where.to(value.dtype)
    total = value.new_zeros(shape).index_add_(0, index, value.masked_fill(~where, 0.0))
    count = value.new_zeros(shape).index_add_(0, index, weight)
    return (total / count.clamp(min=1.0))[index]


def normalize(rewards: torch.Tensor, groups: torch.Tensor, std: bool, eps: float = STD_EPS) -> torch.Tensor:
    """GRPO's advantages: `(R - mean) / (std + eps)` by group, std with ddof 1; without the division if not `std`.

    rewards: (B,); rows that are NaN stay out of mean and std and get 0, as in TRL. Returns (B,).
    """
    value = rewards.unsqueeze(1)
    scored = ~value.isnan()
    centered = (value - group_mean(value, scored, groups)).masked_fill(~scored, 0.0)
    if std:
        count = group_total(scored.to(value.dtype), groups)
        variance = group_mean(centered.square(), scored, groups) * count / (count - 1).clamp(min=1)
        centered = centered / (variance.sqrt() + eps)
    return centered.squeeze(1)


def has_spread(rewards: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """(B,) bool: whether the row's group holds two different rewards (NaN rows do not count)."""
    index = groups.unique(return_inverse=True)[1]
    low, high = (
        rewards.new_full(rewards.shape, fill).scatter_reduce(0, index, rewards.nan_to_num(nan=fill), how)
        for fill, how in ((math.inf, "amin"), (-math.inf, "amax"))
    )
    return (high > low)[index]


def group_total(value: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """For every row, the sum of `value` over its group. value, groups, result: (B,), or value and result (B, W)."""
    index = groups.unique(return_inverse=True)[1]
    return value.new_zeros(value.shape).index_add_(0, index, value)[index]
