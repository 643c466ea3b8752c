"""Methods that weigh each token: by its own log-prob, by that of the base model, or by the likeliest ones beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from differential_smoothing.advantages.options import OverGroups, check_number, check_whole
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts, check_choice

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class R1ZeroDivConfig(OverGroups):
    """Options of R1-zero-Div."""

    strength: float = 0.01
    """lambda; .01 in the paper, where .05 gained little."""

    def __post_init__(self) -> None:
        check_number("strength", self.strength, 0.0)

    @property
    def active(self) -> bool:
        """Whether the bonus is there."""
        return self.strength > 0

    @property
    def whole_groups(self) -> bool:
        """False: a token's bonus needs nothing but its own log-prob."""
        return False


def r1_zero_div(rows: Rollouts, config: R1ZeroDivConfig) -> torch.Tensor:
    """R1-zero-Div, "Diversity-Aware Policy Optimization" (2505.23433): A_i − lambda (1 + log pi_t) if correct, (B, T).

    Confidence H. The paper adds lambda mean_i r_i (1/T_i) sum_t −w_t log pi(y_t) to the objective; on-policy, w = 1,
    that is this advantage at each token, averaged as the loss averages tokens (the paper: by rollout) (D). With several
    updates per batch log pi is that of the policy that sampled, and the bonus is clipped with the advantage; the
    paper's is not. Tokens likelier than 1/e are pushed down. At temperature 1 it is DS on correct rollouts with
    gamma_p = lambda and each token's own log-prob, less the constant lambda (D).
    """
    if not config.active:
        return rows.base
    right = (rows.correct == CORRECT).unsqueeze(1) & rows.mask.bool()
    bonus = config.strength * (1 + rows.logps.detach())
    return rows.base.unsqueeze(1) - bonus.masked_fill(~right, 0.0)


Estimator = Literal["k1", "k3"]


@dataclass(frozen=True)
class AdrpoConfig(OverGroups):
    """Options of ADRPO."""

    beta: float = 0.04
    """b0, the KL weight at advantage 0. That for language models was not found; .04 is ours."""
    estimator: Estimator = "k3"
    """Of the KL to the base in the loss: `k1` log pi − log pi_ref, `k3` x − log x − 1 with x = pi_ref / pi."""
    lowest: float = 0.0
    """The KL weight is at least this (ours: the paper's clipping was not found). Below 0 only with `k1`."""

    def __post_init__(self) -> None:
        check_number("beta", self.beta, 0.0)
        check_choice("estimator", self.estimator, Estimator)
        check_number("lowest", self.lowest, -1e6, self.beta)
        if self.estimator == "k3" and self.lowest < 0:
            raise ValueError(
                f"lowest={self.lowest!r} must be at least 0 with estimator='k3': a negative weight on it has no bound, "
                "and pays for leaving the base without end"
            )
        if self.estimator == "k3" and self.beta == 0:
            raise ValueError("beta=0 with estimator='k3': TRL loads the base model for a KL weight above 0 alone")

    @property
    def whole_groups(self) -> bool:
        """False: a token's term needs its own log-probs and its rollout's advantage."""
        return False

    @property
    def reference(self) -> bool:
        """Whether the log-probs of the base are looked at."""
        return self.estimator == "k3"

    @property
    def trl(self) -> Mapping[str, Any]:
        """What it asks of TRL: with `k3` the constant part of the KL stays in TRL's loss, without importance weight."""
        return {"beta": self.beta, "use_bias_correction_kl": False} if self.estimator == "k3" else {"beta": 0.0}


def adrpo(rows: Rollouts, config: AdrpoConfig) -> torch.Tensor:
    """ADRPO (2510.18053): the KL to the base weighs max(beta − A_i, lowest) in the loss. Confidence M.

    On-policy a KL weight c has at a token the gradient of the advantage −c (k1: the base cancels) or −c (1 − x)
    (k3, x = pi_ref / pi) (D). With k1: A_i − c, (B,). With k3: A_i + (beta − c)(1 − x), (B, T), beside TRL's own
    beta k3. Without the bound `lowest` these are 2 A_i − beta, and A_i (2 − x) − beta (1 − x), which changes sign near
    x = 2; where pi is the base, k3 is plain GRPO (D). A weight below 0 on k3 is refused: the loss would have no bound.
    With several updates per batch x is that of the policy that sampled. Unscorable rows keep A_i. Raises ValueError if
    k3 finds no log-probs of the base.
    """
    scored = rows.correct != UNSCORABLE
    weight = (config.beta - rows.base).clamp(min=config.lowest)
    if config.estimator == "k1":
        return (rows.base - weight).where(scored, rows.base)
    if rows.reference is None:
        raise ValueError("reference=None: this method needs the base's log-prob of each token")
    kept = scored.unsqueeze(1) & rows.mask.bool()
    apart = 1 - (rows.reference - rows.logps).detach().masked_fill(~kept, 0.0).exp()
    return rows.base.unsqueeze(1) + (config.beta - weight).unsqueeze(1) * apart


@dataclass(frozen=True)
class SimkoConfig(OverGroups):
    """Options of SimKO."""

    alpha: float = 0.01
    """The part of a correct token's pull that goes to the likeliest tokens; .01 in mathematics, .005 in logic."""
    k: int = 3
    """How many likeliest tokens share it."""
    tau: float = 0.8
    """Tokens above this quantile of their rollout's entropies are changed; 1 would change none."""
    penalty: float = 1.1
    """What a wrong rollout's likeliest token is pushed by, instead of 1; 1.1 in mathematics, 1.05 in logic."""

    def __post_init__(self) -> None:
        check_number("alpha", self.alpha, 0.0, 1.0)
        check_whole("k", self.k, 1)
        check_number("tau", self.tau, 0.0, 1.0)
        check_number("penalty", self.penalty, 0.0)

    @property
    def whole_groups(self) -> bool:
        """False: no other rollout is looked at."""
        return False

    @property
    def trl(self) -> Mapping[str, Any]:
        """What it asks of TRL: no KL, whose gradient it would change."""
        return {"beta": 0.0}


def simko(rows: Rollouts, laws: torch.Tensor, tokens: torch.Tensor, config: SimkoConfig) -> torch.Tensor:
    """SimKO, renamed CaSP (2510.14807 v3): log-probs (B, T) for the loss, with their values and another gradient.

    laws: (B, T, V), log-probs of the policy being updated at each position, with gradient. tokens: (B, T), those
    sampled. At tokens whose entropy is above the quantile tau of their rollout: in correct rollouts the gradient is
    (1 − alpha) grad log pi(y_t) + (alpha / k) sum over the k likeliest v of grad log pi(v); in wrong ones, where y_t is
    the likeliest, `penalty` times its own. Everywhere else it is that of log pi(y_t). In the paper the ratio is
    (1 − alpha) w_t + (alpha / k) sum sg(w_t / w_v) w_v, which is the same (D). Confidence H. The 50 steps of plain
    GRPO that the authors put first on logic tasks are not part of this.
    """
    own = laws.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    mask = rows.mask.bool()
    fixed = laws.detach()
    entropy = -fixed.exp().xlogy(fixed.exp()).sum(dim=-1).masked_fill(~mask, math.nan)
    forking = entropy > entropy.nanquantile(config.tau, dim=1, keepdim=True)
    likeliest = fixed.topk(min(config.k, fixed.shape[-1]), dim=-1).indices
    shared = laws.gather(-1, likeliest).mean(dim=-1)
    right = forking & (rows.correct == CORRECT).unsqueeze(1)
    wrong = forking & (rows.correct == INCORRECT).unsqueeze(1) & (likeliest[..., 0] == tokens)
    pulled = ((1 - config.alpha) * own + config.alpha * shared).where(right, own)
    pulled = (config.penalty * own).where(wrong, pulled)
    return own.detach() + (pulled - pulled.detach())
