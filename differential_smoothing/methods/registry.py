"""Every method by name, as data: what it does to advantages, with which options, and what it asks of TRL.

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

from differential_smoothing.advantages.passk import PasskConfig, PkpoConfig, passk_training, pkpo
from differential_smoothing.advantages.reweighted import FGrpoConfig, MaxRLConfig, f_grpo, maxrl
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
from differential_smoothing.methods.ucpo import UcpoConfig, ucpo
from differential_smoothing.methods.variants import MARK, is_variant, kind
from differential_smoothing.rollouts import Rollouts
from differential_smoothing.smoothing import SmoothingConfig, smooth

if TYPE_CHECKING:
    import torch


class Options(Protocol):
    """What the trainer must know of a method's options (a frozen dataclass)."""

    @property
    def std(self) -> bool: ...

    @property
    def active(self) -> bool: ...

    @property
    def whole_groups(self) -> bool: ...


@dataclass(frozen=True)
class Method:
    """One method. summary: one line for readers. advantages: the function that makes them, None for TRL's own.

    options: its options. trl: arguments of `GRPOConfig` that belong to the method. bounds: closed intervals for the
    numbers among options and `trl`, so that a name never stands for its opposite. fixed: options the name pins down.
    entropies: whether it looks at the entropy of each token. history: whether at the answers of earlier batches.
    """

    name: str
    summary: str
    advantages: Callable[[Rollouts, Any], torch.Tensor] | None = None
    options: Options | None = None
    trl: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    entropies: bool = False
    history: bool = False

    def settings(self) -> dict[str, Any]:
        """All that can be overridden, with its value."""
        options = dataclasses.asdict(self.options) if self.options is not None else {}  # type: ignore[call-overload]
        return {key: value for key, value in {**options, **self.trl}.items() if key not in self.fixed}

    def record(self) -> dict[str, Any]:
        """The method with every option, for manifests."""
        options = dataclasses.asdict(self.options) if self.options is not None else {}  # type: ignore[call-overload]
        return {"name": self.name, **options, **self.trl}


_POSITIVE, _NEGATIVE = (0.0, math.inf), (-math.inf, 0.0)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("grpo", "GRPO as TRL runs it"),
        Method(
            "ds-grpo",
            "differential smoothing added to the advantages (Eq. 6)",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01),
        ),
        Method(
            "ds-grpo-positive",
            "differential smoothing on correct rollouts alone",
            smooth,
            SmoothingConfig(gamma_p=0.01),
            fixed=("gamma_n",),
        ),
        Method(
            "ds-grpo-negative",
            "differential smoothing on incorrect rollouts alone",
            smooth,
            SmoothingConfig(gamma_n=0.01),
            fixed=("gamma_p",),
        ),
        Method(
            "ds-grpo-centered",
            "differential smoothing centred by its group (T6, mended form)",
            smooth,
            SmoothingConfig(gamma_p=0.01, centring="group"),
            fixed=("centring",),
        ),
        Method(
            "entropy-bonus",
            "GRPO with a token-entropy bonus in the loss",
            trl={"entropy_coef": 0.001},
            bounds={"entropy_coef": _POSITIVE},
        ),
        Method(
            "entropy-penalty",
            "GRPO with a token-entropy penalty in the loss",
            trl={"entropy_coef": -0.001},
            bounds={"entropy_coef": _NEGATIVE},
        ),
        Method(
            "logprob-bonus",
            "unlikely rollouts earn more, right or wrong (T4, cross-entropy form)",
            logprob_bonus,
            LogprobConfig(gamma=0.01),
            bounds={"gamma": _POSITIVE},
        ),
        Method(
            "logprob-penalty",
            "unlikely rollouts earn less, right or wrong (T4, cross-entropy form)",
            logprob_bonus,
            LogprobConfig(gamma=-0.01),
            bounds={"gamma": _NEGATIVE},
        ),
        Method(
            "dr-grpo",
            "Dr. GRPO: no division by the std, tokens divided by a constant",
            trl={"scale_rewards": "none", "loss_type": "dr_grpo"},
            fixed=("scale_rewards",),
        ),
        # w_t k3 = w_t (e^d - d - 1), d = log pi_ref - log pi: its gradient is that of KL(pi || pi_ref) at the visited
        # prefixes. Without the factor w_t (use_bias_correction_kl: false) it is that of KL(pi_ref || pi), on-policy.
        Method(
            "kl-base",
            "GRPO with a KL to the base in the loss (reverse KL: k3 times the importance weight)",
            trl={"beta": 0.001, "use_bias_correction_kl": True},
            bounds={"beta": _POSITIVE},
        ),
        Method(
            "clip-higher",
            "DAPO's wider upper clip; GRPO itself with one update per batch",
            trl={"epsilon_high": 0.28},
            bounds={"epsilon_high": _POSITIVE},
        ),
        Method(
            "unlikeliness",
            "correct rollouts earn less the higher their likelihood ranks in the group (He et al. 2025)",
            unlikeliness,
            UnlikelinessConfig(),
        ),
        Method("passk-training", "Pass@k as the reward, closed form (Chen et al. 2025)", passk_training, PasskConfig()),
        Method("pkpo", "unbiased Pass@k policy gradient (Walder and Karkhanis 2025)", pkpo, PkpoConfig()),
        Method(
            "outcome-batch",
            "answers that others in the group give cost (Song et al. 2025, batch form; formula from summaries)",
            outcome_batch,
            OutcomeConfig(),
        ),
        Method(
            "outcome-historical",
            "answers that earlier batches gave often earn less (Song et al. 2025, UCB forms; from summaries)",
            outcome_historical,
            HistoricalConfig(),
            history=True,
        ),
        Method("maxrl", "advantages divided by the group's accuracy (Tajwar et al. 2026)", maxrl, MaxRLConfig()),
        Method("f-grpo", "easy problems weigh less (Plyusov et al. 2026)", f_grpo, FGrpoConfig()),
        Method(
            "ucpo",
            "unlikely correct rollouts weigh more, the sum kept (Lochab et al. 2026; strength from summaries)",
            ucpo,
            UcpoConfig(),
        ),
        Method(
            "darling",
            "rewards times the share of other answers, same answer = equivalent (Li et al. 2025)",
            darling,
            DarlingConfig(),
        ),
        Method(
            "entropy-advantage",
            "tokens of high entropy earn more, at most half the advantage (Cheng et al. 2025; formula from summaries)",
            entropy_advantage,
            EntropyAdvantageConfig(),
            entropies=True,
        ),
    )
}

# The DS term as a source has it, named after it; for comparisons, in no exhibit. docs/choosing_gamma.md says more.
PRESETS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("paper-eq6", "DS as in Eq. 6", smooth, SmoothingConfig(gamma_p=0.01, gamma_n=0.01)),
        Method(
            "authors-sep25",
            "DS as in an author's code of September 2025: each token's own log-prob",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01, reduction="token"),
        ),
        Method(
            "authors-nov25",
            "DS as in the same code from November 2025 on: mean log-prob at the reward, no std",
            smooth,
            SmoothingConfig(gamma_p=0.01, gamma_n=0.01, reduction="mean", place="reward", std=False),
        ),
        Method(
            "maxrl-repo",
            "DS as in MaxRL's repository: mean log-prob (its std has ddof 0, TRL's 1)",
            smooth,
            SmoothingConfig(gamma_p=0.05, gamma_n=0.05, reduction="mean"),
        ),
    )
}


def get(name: str, **overrides: Any) -> Method:
    """The method or preset called `name`, its defaults replaced by `overrides` (options, or its TRL arguments).

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
    options = {key: value for key, value in overrides.items() if key not in method.trl}
    trl = {**method.trl, **{key: value for key, value in overrides.items() if key in method.trl}}
    if not options:
        return dataclasses.replace(method, trl=trl)
    try:
        changed: Options = dataclasses.replace(method.options, **options)  # type: ignore[type-var, assignment]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return dataclasses.replace(method, options=changed, trl=trl)


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message on an unknown word: the nearest right one, and all of them."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.0)
    listed = ", ".join(sorted(known)) or "none"
    return (f"did you mean {close[0]!r}? " if close else "") + f"(known: {listed})"
