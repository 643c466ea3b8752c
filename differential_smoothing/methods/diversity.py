"""Rewards for being unlike the other rollouts of the group: by rank of likelihood, or by answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from differential_smoothing.advantages.groups import mates, same_answer, tally
from differential_smoothing.advantages.options import OverGroups, check_flag, check_number
from differential_smoothing.rollouts import (
    UNSCORABLE,
    Rollouts,
    SequenceAggregation,
    aggregate_logps,
    check_choice,
    group_total,
    normalize,
)
from differential_smoothing.smoothing import ZeroVarianceGroups

if TYPE_CHECKING:
    import torch

UNLIKELINESS_EPS = 1e-6


@dataclass(frozen=True)
class UnlikelinessConfig(OverGroups):
    """Options of the unlikeliness reward."""

    strength: float = 0.25
    """What the likeliest rollout of a large group loses of its reward, in [0, 1]; .25 in the paper (M)."""
    logprob_aggregation: SequenceAggregation = "mean"
    """The authors take the length `mean`."""
    zero_variance_groups: ZeroVarianceGroups = "zero"
    """What groups get that are all correct. The std inflates their small differences to order 1: `zero` drops them;
    the authors' code can, but does not by default (`keep`)."""

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0.0, 1.0)
        check_choice("logprob_aggregation", self.logprob_aggregation, SequenceAggregation)
        check_choice("zero_variance_groups", self.zero_variance_groups, ZeroVarianceGroups)


def unlikeliness(rows: Rollouts, config: UnlikelinessConfig) -> torch.Tensor:
    """Unlikeliness reward (He, Fried, Welleck, 2506.02355; AndreHe02/rewarding-unlikely-release).

    r_i (1 − strength a_i / N), a_i = 0 … N−1 the ascending rank of the rollout's log-prob among all N of the group
    (0 = least likely); then centered and divided by std (ddof 1) + 1e-6. Confidence: code H, paper M (one summary
    counts its ranks from 0, which lowers all factors by strength / N). Ties share their mean rank (a choice made
    here: the code sorts them in no stated order). Rollouts without a token that counts have no rank and keep r_i. The
    paper also uses a KL of .10, which is not part of this.
    """
    group = tally(rows)
    logp, defined = (column.squeeze(1) for column in aggregate_logps(rows, config.logprob_aggregation))
    ranked = group.scored & defined
    others = mates(rows.groups) & ranked
    below = (others & (logp.unsqueeze(0) < logp.unsqueeze(1))).sum(dim=1)
    level = (others & (logp.unsqueeze(0) == logp.unsqueeze(1))).sum(dim=1)
    rank = (below + level / 2).to(rows.base.dtype)
    count = group_total(ranked.to(rows.base.dtype), rows.groups).clamp(min=1)
    factor = (1 - config.strength * rank / count).masked_fill(~ranked, 1.0)
    shaped = (group.reward * factor).masked_fill(~group.scored, math.nan)
    value = normalize(shaped, rows.groups, std=True, eps=UNLIKELINESS_EPS)
    return value.masked_fill(~group.mixed, 0.0) if config.zero_variance_groups == "zero" else value


@dataclass(frozen=True)
class OutcomeConfig(OverGroups):
    """Options of outcome-based exploration, batch form."""

    strength: float = 0.2
    """lambda; .2 is quoted for the historical form, that of the batch form is unverified."""

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0.0)

    @property
    def active(self) -> bool:
        """Whether the bonus is there."""
        return self.strength > 0


def outcome_batch(rows: Rollouts, config: OutcomeConfig) -> torch.Tensor:
    """Outcome-based exploration, batch form (Song, Kempe, Munos, 2509.06941). Confidence M.

    A_i − strength (1/N) #{j ≠ i: the answer of j is that of i}, whether right or wrong; unscorable rows keep A_i.
    The authors are reported to leave the term out where c = N and to mask it on the tokens of the final answer:
    neither is done here. Where only one answer is right, correct rollouts pay (c−1)/N each; where every rollout has its
    own answer, the term is void. All rollouts without an answer count as having the same one.
    """
    if not config.active:
        return rows.base
    group = tally(rows)
    value = rows.base - config.strength * same_answer(rows) / group.size.clamp(min=1)
    return value.where(group.scored, rows.base)


UcbForm = Literal["ucb", "mean", "con"]


@dataclass(frozen=True)
class HistoricalConfig(OverGroups):
    """Options of outcome-based exploration, historical forms."""

    strength: float = 0.2
    """lambda, .2 (M)."""
    form: UcbForm = "con"
    """What is subtracted from the bonus b_i = min(1, n^-1/2): nothing (`ucb`), the mean b of the other rollouts of the
    group (`mean`), or the constant `offset` (`con`)."""
    offset: float = 0.5
    """.5 on medium data; 1, a mere penalty, on easy data (M)."""

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0.0)
        check_number("offset", self.offset, 0.0, 1.0)
        check_choice("form", self.form, UcbForm)

    @property
    def active(self) -> bool:
        """Whether the bonus is there."""
        return self.strength > 0

    @property
    def whole_groups(self) -> bool:
        """Whether the other rollouts of the group are looked at."""
        return self.form == "mean"


def outcome_historical(rows: Rollouts, config: HistoricalConfig) -> torch.Tensor:
    """Outcome-based exploration, historical forms (Song, Kempe, Munos, 2509.06941). Confidence M.

    A_i + strength e_i, e_i = b_i − (0 | mean over j ≠ i of b_j | offset), b_i = min(1, n(x, o_i)^-1/2), and 1 where
    n = 0: n is how often earlier batches gave the answer to this prompt, whether right or wrong. Unverified: whether
    n counts the batch at hand (here: not). e is not divided by a std. Unscorable rows keep A_i and count for no mean.
    Raises ValueError if the rows carry no counts.
    """
    if not config.active:
        return rows.base
    if rows.seen is None:
        raise ValueError("seen=None: this method needs to know how often an answer was given before")
    scored = rows.correct != UNSCORABLE
    bonus = rows.seen.clamp(min=1).to(rows.base.dtype).rsqrt().masked_fill(~scored, 0.0)
    offset = bonus.new_full((), config.offset if config.form == "con" else 0.0)
    if config.form == "mean":
        others = (tally(rows).size - 1).clamp(min=1)
        offset = (group_total(bonus, rows.groups) - bonus) / others
    return (rows.base + config.strength * (bonus - offset)).where(scored, rows.base)


@dataclass(frozen=True)
class DarlingConfig(OverGroups):
    """Options of DARLING."""

    std: bool = False
    """Whether the centered rewards are divided by their group's std; the authors do not."""

    def __post_init__(self) -> None:
        check_flag("std", self.std)


def darling(rows: Rollouts, config: DarlingConfig) -> torch.Tensor:
    """DARLING (Li et al., 2509.02534) with the same canonical answer as equivalence. Confidence H; see below.

    r_i D_i − mean, D_i the share of the N − 1 other rollouts whose answer is not that of i. The authors' equivalence
    is a trained classifier, their normalization of D is unspecified (D is in [0, 1] already), and their text and their
    example contradict each other on the sign of the indicator: the example is followed. A correct rollout that is
    equivalent to all others earns 0. Where only one answer is right, it is (N−c)/(N−1) (r_i − c/N): a weight for
    difficulty, and no diversity.
    """
    group = tally(rows)
    others = (group.size - 1).clamp(min=1)
    unlike = (others - same_answer(rows)) / others
    shaped = (group.reward * unlike).masked_fill(~group.scored, math.nan)
    return normalize(shaped, rows.groups, config.std)
