"""Every method by name, as data: what it does to advantages, with which options, and what it asks of TRL.

A method is a base advantage, made from rewards, and a term, made from log-probs; each may be absent. Methods that are
made from rewards alone are bases too: `get("ds-grpo", base="maxrl")` is the DS term on MaxRL's advantages.

Adding one is one entry in `METHODS`; if it is new mathematics, also one function from `Rollouts` and its options to
advantages (`smoothing.py` is the model). Such functions use methods of tensors, so that their modules, and this one,
need torch for type checking alone. The same method with other options, under a name of its own in an experiment,
is a variant: `ds-grpo@token` is `ds-grpo` with what the experiment says of it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from differential_smoothing.advantages.options import check_whole
from differential_smoothing.advantages.passk import PasskConfig, PkpoConfig, passk_training, pkpo
from differential_smoothing.advantages.reinforce import BbgConfig, ReinforceConfig, bbg, reinforce
from differential_smoothing.advantages.reweighted import FGrpoConfig, MaxRLConfig, f_grpo, maxrl
from differential_smoothing.methods.answers import (
    CueConfig,
    SetpoConfig,
    UarlConfig,
    cue_grpo,
    setpo,
    uarl,
)
from differential_smoothing.methods.diversity import (
    DarlingConfig,
    HistoricalConfig,
    OutcomeConfig,
    UnlikelinessConfig,
    darling,
    outcome_batch,
    outcome_historical,
    unlikeliness,
)
from differential_smoothing.methods.entropy import EntropyAdvantageConfig, entropy_advantage
from differential_smoothing.methods.logprob import LogprobConfig, logprob_bonus
from differential_smoothing.methods.preference import DivpoConfig, divpo
from differential_smoothing.methods.reweighted import RecoConfig, XdrConfig, reco, xdr_grpo
from differential_smoothing.methods.tokens import (
    AdrpoConfig,
    R1ZeroDivConfig,
    SimkoConfig,
    adrpo,
    r1_zero_div,
    simko,
)
from differential_smoothing.methods.ucpo import UcpoConfig, ucpo
from differential_smoothing.methods.variants import MARK, is_variant, kind
from differential_smoothing.rollouts import Rollouts
from differential_smoothing.smoothing import SmoothingConfig, smooth

if TYPE_CHECKING:
    import torch


class Options(Protocol):
    """What is asked of a method's options (a frozen dataclass): do they divide the base by the group's std, can they
    change anything, does a row's advantage depend on other rows of its group."""

    @property
    def std(self) -> bool: ...

    @property
    def active(self) -> bool: ...

    @property
    def whole_groups(self) -> bool: ...


@dataclass(frozen=True)
class Method:
    """One method."""

    name: str
    label: str
    """What figures call it."""
    summary: str
    """One line for readers."""
    advantages: Callable[[Rollouts, Any], torch.Tensor] | None = None
    """The function that makes them from rows and options; None for TRL's own."""
    options: Options | None = None
    base: str | None = None
    """One of `BASES`: whose advantages the term is added to; None for a method that adds no term."""
    trl: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `GRPOConfig` that belong to the method."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Closed intervals for the numbers among options and `trl`, so that a name never stands for its opposite."""
    fixed: tuple[str, ...] = ()
    """Options that the name pins down."""
    entropies: bool = False
    """Whether it looks at the entropy of each token."""
    answer_counts: bool = False
    """Whether it looks at the answers of earlier batches."""
    surrogate: Callable[[Rollouts, torch.Tensor, torch.Tensor, Any], torch.Tensor] | None = None
    """The function that makes the loss's log-probs (B, T) from rows, the laws (B, T, V) at each position and the
    sampled tokens (B, T): their values, with another gradient. None for those of the tokens themselves."""
    replay: int | None = None
    """How many rollouts of a group are replaced by successes of earlier batches; None: no such thing."""
    rounds: int | None = None
    """How often groups whose rewards are all equal are drawn again, with other prompts; None: they stay."""

    def __post_init__(self) -> None:
        for name in SAMPLING:
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        if self.base is not None and self.base not in BASES:
            raise ValueError(f"base={self.base!r} must be one of {', '.join(BASES)}")
        if self.base not in (None, "grpo") and getattr(self.options, "apply_to", None) == "reward":
            raise ValueError(
                f"base={self.base!r} cannot go with apply_to='reward': it is made from the task's own rewards"
            )
        if self.base == "dr-grpo" and self.std:
            raise ValueError("base='dr-grpo' cannot go with std=True: Dr. GRPO divides by no std")

    @property
    def std(self) -> bool:
        """Whether TRL divides its own advantages by the group's std."""
        return self.options.std if self.options is not None else self.trl.get("scale_rewards") != "none"

    @property
    def active(self) -> bool:
        """Whether TRL's own advantages can be changed."""
        return self.options is not None and (self.options.active or self._other_base)

    @property
    def reference(self) -> bool:
        """Whether it looks at the log-probs of the base model."""
        return getattr(self.options, "reference", False)

    @property
    def asks(self) -> dict[str, Any]:
        """All arguments of `GRPOConfig` that belong to the method: its own, and those that its options decide."""
        return {**self.trl, **getattr(self.options, "trl", {})}

    @property
    def whole_groups(self) -> bool:
        """Whether a row's advantage depends on other rows of its group, beyond TRL's own advantage."""
        return self.options is not None and (self.options.whole_groups or self._other_base)

    def on_base(self, rows: Rollouts) -> Rollouts:
        """`rows` with the advantages that the term is added to; as given, they have TRL's."""
        base = METHODS[self.base or "grpo"]
        if base.advantages is None:
            return rows
        return dataclasses.replace(rows, base=base.advantages(rows, base.options))

    @property
    def _other_base(self) -> bool:
        return METHODS[self.base or "grpo"].advantages is not None

    def settings(self) -> dict[str, Any]:
        """All that can be overridden, with its value."""
        return {key: value for key, value in self.record().items() if key not in (*self.fixed, "name")}

    def record(self) -> dict[str, Any]:
        """The method with every option, for manifests."""
        options = dataclasses.asdict(self.options) if self.options is not None else {}  # type: ignore[call-overload]
        base = {} if self.base is None else {"base": self.base}
        sampling = {name: getattr(self, name) for name in SAMPLING if getattr(self, name) is not None}
        return {"name": self.name, **options, **base, **self.trl, **sampling}


BASES = ("grpo", "dr-grpo", "maxrl", "f-grpo", "passk-training", "pkpo", "w-reinforce", "psr", "nsr", "bbg")
"""Methods whose advantages are made from rewards alone, so that a term can be added to them."""

SAMPLING = ("replay", "rounds")
"""Settings of a `Method` that change which rollouts a batch holds."""

_POSITIVE, _NEGATIVE = (0.0, math.inf), (-math.inf, 0.0)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("grpo", "GRPO", "GRPO as TRL runs it"),
        Method(
            "ds-grpo",
            "DS-GRPO",
            "differential smoothing added to the advantages (Eq. 6)",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01),
            base="grpo",
        ),
        Method(
            "ds-grpo-positive",
            "DS-GRPO, correct only",
            "differential smoothing on correct rollouts alone",
            smooth,
            SmoothingConfig(gamma_p=0.01),
            base="grpo",
            fixed=("gamma_n",),
        ),
        Method(
            "ds-grpo-negative",
            "DS-GRPO, incorrect only",
            "differential smoothing on incorrect rollouts alone",
            smooth,
            SmoothingConfig(gamma_n=0.01),
            base="grpo",
            fixed=("gamma_p",),
        ),
        Method(
            "ds-grpo-centered",
            "DS-GRPO, centered",
            "differential smoothing centered by its group (T6, self-centered form)",
            smooth,
            SmoothingConfig(gamma_p=0.01, center=True),
            base="grpo",
            fixed=("center",),
        ),
        Method(
            "entropy-bonus",
            "entropy bonus",
            "GRPO with a token-entropy bonus in the loss",
            trl={"entropy_coef": 0.001},
            bounds={"entropy_coef": _POSITIVE},
        ),
        Method(
            "entropy-penalty",
            "entropy penalty",
            "GRPO with a token-entropy penalty in the loss",
            trl={"entropy_coef": -0.001},
            bounds={"entropy_coef": _NEGATIVE},
        ),
        Method(
            "logprob-bonus",
            "log-prob bonus",
            "unlikely rollouts earn more, right or wrong (T4, cross-entropy form)",
            logprob_bonus,
            LogprobConfig(gamma=0.01),
            base="grpo",
            bounds={"gamma": _POSITIVE},
        ),
        Method(
            "logprob-penalty",
            "log-prob penalty",
            "unlikely rollouts earn less, right or wrong (T4, cross-entropy form)",
            logprob_bonus,
            LogprobConfig(gamma=-0.01),
            base="grpo",
            bounds={"gamma": _NEGATIVE},
        ),
        Method(
            "dr-grpo",
            "Dr. GRPO",
            "Dr. GRPO: no division by the std, tokens divided by a constant",
            trl={"scale_rewards": "none", "loss_type": "dr_grpo"},
            fixed=("scale_rewards",),
        ),
        # w_t k3 = w_t (e^d - d - 1), d = log pi_ref - log pi: its gradient is that of KL(pi || pi_ref) at the visited
        # prefixes. Without the factor w_t (use_bias_correction_kl: false) it is that of KL(pi_ref || pi), on-policy.
        Method(
            "kl-base",
            "KL to the base",
            "GRPO with a KL to the base in the loss (reverse KL: k3 times the importance weight)",
            trl={"beta": 0.001, "use_bias_correction_kl": True},
            bounds={"beta": _POSITIVE},
        ),
        Method(
            "clip-higher",
            "clip-higher",
            "DAPO's wider upper clip; GRPO itself with one update per batch",
            trl={"epsilon_high": 0.28},
            bounds={"epsilon_high": _POSITIVE},
        ),
        Method(
            "unlikeliness",
            "unlikeliness reward",
            "correct rollouts earn less the higher their likelihood ranks in the group (He et al. 2025)",
            unlikeliness,
            UnlikelinessConfig(),
        ),
        Method(
            "passk-training",
            "Pass@k training",
            "Pass@k as the reward, closed form (Chen et al. 2025)",
            passk_training,
            PasskConfig(),
        ),
        Method("pkpo", "PKPO", "unbiased Pass@k policy gradient (Walder and Karkhanis 2025)", pkpo, PkpoConfig()),
        Method(
            "outcome-batch",
            "outcome-based (batch)",
            "answers that others in the group give cost (Song et al. 2025, batch form; formula from summaries)",
            outcome_batch,
            OutcomeConfig(),
        ),
        Method(
            "outcome-historical",
            "outcome-based (historical)",
            "answers that earlier batches gave often earn less (Song et al. 2025, UCB forms; from summaries)",
            outcome_historical,
            HistoricalConfig(),
            answer_counts=True,
        ),
        Method(
            "maxrl", "MaxRL", "advantages divided by the group's accuracy (Tajwar et al. 2026)", maxrl, MaxRLConfig()
        ),
        Method("f-grpo", "F-GRPO", "easy problems weigh less (Plyusov et al. 2026)", f_grpo, FGrpoConfig()),
        Method(
            "ucpo",
            "UCPO",
            "unlikely correct rollouts weigh more, the sum kept (Lochab et al. 2026; strength from summaries)",
            ucpo,
            UcpoConfig(),
        ),
        Method(
            "darling",
            "DARLING",
            "rewards times the share of other answers, same answer = equivalent (Li et al. 2025)",
            darling,
            DarlingConfig(),
        ),
        Method(
            "entropy-advantage",
            "entropy-shaped advantage",
            "tokens of high entropy earn more, at most half the advantage (Cheng et al. 2025; formula from summaries)",
            entropy_advantage,
            EntropyAdvantageConfig(),
            entropies=True,
        ),
        Method(
            "w-reinforce",
            "W-REINFORCE",
            "fixed advantages, small for correct rollouts, −1 for wrong ones (Zhu et al. 2025)",
            reinforce,
            ReinforceConfig(),
        ),
        Method(
            "psr",
            "PSR",
            "correct rollouts alone, each with the same advantage (Zhu et al. 2025)",
            reinforce,
            ReinforceConfig(positive=1.0, negative=0.0),
            fixed=("negative",),
        ),
        Method(
            "nsr",
            "NSR",
            "incorrect rollouts alone, each with the same advantage (Zhu et al. 2025)",
            reinforce,
            ReinforceConfig(positive=0.0, negative=1.0),
            fixed=("positive",),
        ),
        Method(
            "bbg",
            "BBG",
            "W-REINFORCE weighted by Pass@k's posterior gradient, any k (2026; formula from a reimplementation)",
            bbg,
            BbgConfig(),
        ),
        Method(
            "xdr-grpo",
            "xDr.GRPO",
            "Dr. GRPO weighted by a softmax of advantage times length (draft in liv-daliberti/maxent-grpo)",
            xdr_grpo,
            XdrConfig(),
        ),
        Method(
            "reco",
            "ReCo, advantage",
            "unlikely rollouts weigh more, right or wrong (2026; from summaries)",
            reco,
            RecoConfig(),
        ),
        Method(
            "uarl",
            "UARL",
            "rare answers of the group weigh more, same answer = same cluster (Rewarding the Rare, 2026)",
            uarl,
            UarlConfig(),
        ),
        Method(
            "cue-grpo",
            "Cue-GRPO",
            "rare correct answers of the group weigh more, the sum kept (2026; from summaries)",
            cue_grpo,
            CueConfig(),
        ),
        Method(
            "setpo",
            "SetPO",
            "a bonus for what each rollout adds to the group's diversity, kernel: same answer (2026; from summaries)",
            setpo,
            SetpoConfig(),
        ),
        Method(
            "gspo",
            "GSPO",
            "one importance ratio a sequence; GRPO with the mean over sequences with one update per batch",
            trl={
                "importance_sampling_level": "sequence",
                "loss_type": "grpo",
                "epsilon": 3e-4,
                "epsilon_high": 4e-4,
            },
            bounds={"epsilon": _POSITIVE, "epsilon_high": _POSITIVE},
            fixed=("importance_sampling_level", "loss_type"),
        ),
        Method(
            "r1-zero-div",
            "R1-zero-Div",
            "an entropy-like bonus at the tokens of correct rollouts (Diversity-Aware Policy Optimization, 2025)",
            r1_zero_div,
            R1ZeroDivConfig(),
        ),
        Method(
            "adrpo",
            "ADRPO",
            "a KL to the base that weighs less the better a rollout is (2025; from the author's blog)",
            adrpo,
            AdrpoConfig(),
        ),
        Method(
            "simko",
            "SimKO",
            "at forking tokens, correct pulls are shared with the likeliest tokens (2025; renamed CaSP)",
            surrogate=simko,
            options=SimkoConfig(),
        ),
        Method(
            "divpo",
            "DivPO",
            "DPO on the rarest correct and the commonest wrong rollout of each group (2025, online; from summaries)",
            divpo,
            DivpoConfig(),
        ),
        # RLEP appends two to 16 rollouts, from the pool of an earlier run. Here they take the place of as many, so that
        # a batch stays one size, and come from earlier batches of the same run (both ours).
        Method(
            "rlep",
            "RLEP",
            "some rollouts of a group are successes of earlier batches; with gammas, DS on top (2507.07451)",
            smooth,
            SmoothingConfig(),
            base="grpo",
            replay=2,
        ),
        # The authors draw whole batches until enough groups are left, at most ten times. Here only what is missing is
        # drawn, and groups without spread fill up what ten rounds have left (both ours).
        Method(
            "dapo-sampling",
            "dynamic sampling",
            "groups whose rewards are all equal are drawn again with other prompts; with gammas, DS on top (DAPO)",
            smooth,
            SmoothingConfig(),
            base="grpo",
            rounds=10,
        ),
    )
}

# The DS term as a source has it, named after it; for comparisons, in no figure. docs/choosing_gamma.md says more.
PRESETS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "paper-eq6", "Eq. 6", "DS as in Eq. 6", smooth, SmoothingConfig(gamma_p=0.01, gamma_n=0.01), base="grpo"
        ),
        Method(
            "authors-sep25",
            "authors' code, September 2025",
            "DS as in an author's code of September 2025: each token's own log-prob",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01, logprob_aggregation="token"),
            base="grpo",
        ),
        Method(
            "authors-nov25",
            "authors' code, November 2025",
            "DS as in the same code from November 2025 on: mean log-prob at the reward, no std",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01, logprob_aggregation="mean", apply_to="reward", std=False),
            base="grpo",
        ),
        Method(
            "maxrl-repo",
            "MaxRL's repository",
            "DS as in MaxRL's repository: mean log-prob (its std has ddof 0, TRL's 1)",
            smooth,
            SmoothingConfig(gamma_p=0.05, gamma_n=0.05, logprob_aggregation="mean"),
            base="grpo",
        ),
    )
}


def get(name: str, **overrides: Any) -> Method:
    """The method or preset called `name`, its defaults replaced by `overrides`: options, `base`, its TRL arguments.

    Raises ValueError for an unknown name or option (naming the nearest right one), for a value out of bounds, and for a
    variant that differs in nothing from its method.
    """
    known = {**METHODS, **PRESETS}
    if kind(name) not in known:
        raise ValueError(f"unknown method {name!r}; {nearest(kind(name), known)}")
    if is_variant(name) and not (overrides and re.fullmatch("[a-z0-9-]+", name.partition(MARK)[2])):
        raise ValueError(f"{name}: a variant needs a name in small letters after {MARK}, and options of its own")
    method = dataclasses.replace(known[kind(name)], name=name)
    settings = method.settings()
    for key, value in overrides.items():
        if key in method.fixed:
            raise ValueError(f"{name}: option {key!r} is what the name stands for and cannot be set")
        if key not in settings:
            raise ValueError(f"{name}: unknown option {key!r}; {nearest(key, settings)}")
        if isinstance(settings[key], float) and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{name}: {key}={value!r} must be a number")
        low, high = method.bounds.get(key, (-math.inf, math.inf))
        if key in method.bounds and not (low <= value <= high and math.isfinite(value)):
            raise ValueError(f"{name}: {key}={value!r} must lie in [{low:g}, {high:g}]")
    try:
        return _changed(method, overrides)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _changed(method: Method, overrides: Mapping[str, Any]) -> Method:
    trl = {**method.trl, **{key: value for key, value in overrides.items() if key in method.trl}}
    base = overrides.get("base", method.base)
    sampling = {key: value for key, value in overrides.items() if key in SAMPLING}
    changed = {key: value for key, value in overrides.items() if key not in (*method.trl, *SAMPLING, "base")}
    if base == "dr-grpo":
        changed.setdefault("std", False)
    options: Any = method.options
    if changed:
        options = dataclasses.replace(options, **changed)
    return dataclasses.replace(method, options=options, base=base, trl=trl, **sampling)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message on an unknown word: the nearest right one, and all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.0)
    listed = ", ".join(sorted(known)) or "none"
    return (f"did you mean {close[0]!r}? " if close else "") + f"(known: {listed})"
