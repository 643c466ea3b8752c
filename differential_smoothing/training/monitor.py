"""Watches the term in the first batches of a training: whether it reaches the rows it is for, and its size."""

from __future__ import annotations

import warnings

import torch

from differential_smoothing.methods import Method
from differential_smoothing.methods.logprob import LogprobConfig
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE
from differential_smoothing.smoothing import SmoothingConfig

FIRST = 10  # batches after which no verdict at all is no accident any more
# Mean |term| over mean |advantage without it|: above, the term outweighs the reward; below, it does nothing.
LARGE, SMALL = 1.0, 1e-3

_NAMES = {CORRECT: "correct", INCORRECT: "incorrect"}


class TermMonitor:
    """Raises or warns when a term that was asked for is not applied, or in a size that cannot be meant."""

    def __init__(self, method: Method, reward: str) -> None:
        """reward: the name of the reward function that says what is correct, where one does."""
        self.method, self.reward = method, reward
        options = method.options
        gammas = {CORRECT: 1.0, INCORRECT: 1.0}  # another base advantage is made of both classes
        if isinstance(options, SmoothingConfig) and method.base in ("grpo", "dr-grpo"):
            gammas = {CORRECT: options.gamma_p, INCORRECT: options.gamma_n}
        self._missing = {code for code, gamma in gammas.items() if gamma > 0}
        self._batches = 0
        self._scorable = False
        self._unscorable = False
        # For other methods the difference to TRL's advantages is no term whose size gamma decides
        self._sized = not (isinstance(options, SmoothingConfig | LogprobConfig) and options.active)

    def check_outcomes(self, correct: torch.Tensor, rewards: torch.Tensor | None) -> None:
        """correct: (B,) codes of a batch. rewards: (B,), where they decided it; None where `correctness` did.

        Raises ValueError for a reward other than 0 and 1 while a class that gets a term has not been seen: it may be
        that class; and for `FIRST` batches without one scorable row. Warns if by then a class never came while some
        rows were unscorable.
        """
        if not self._missing and self._scorable:
            return
        self._batches += 1
        self._missing -= set(correct.unique().tolist())
        self._scorable |= bool((correct != UNSCORABLE).any())
        self._unscorable |= bool((correct == UNSCORABLE).any())
        names = " and no ".join(_NAMES[code] for code in sorted(self._missing, reverse=True))
        if rewards is not None and self._missing:
            strange = rewards[~rewards.isnan() & (rewards != 0) & (rewards != 1)]
            if len(strange):
                raise ValueError(
                    f"reward function {self.reward!r} returned {strange[0].item():g}, and {self.method.name!r} "
                    f"found no {names} rollout: without `correctness` only 1 means correct and 0 incorrect; pass "
                    "the trainer correctness=, a function that returns True, False or None"
                )
        if self._batches == FIRST and not self._scorable:
            raise ValueError(
                f"no rollout of the first {FIRST} batches was correct or incorrect, so {self.method.name!r} did "
                "nothing: rewards or verdicts were all None"
            )
        if self._batches == FIRST and self._missing and self._unscorable:
            warnings.warn(
                f"no {names} rollout in the first {FIRST} batches, but unscorable ones: {self.method.name!r} acts on "
                "one class alone; see what `correctness` returns",
                stacklevel=2,
            )

    def check_size(self, term: float, base: float) -> None:
        """Warn once, at the first call, if the term's mean size is out of proportion to that of the advantages."""
        if self._sized or not base > 0:
            return
        self._sized = True
        ratio = term / base
        if ratio > LARGE or ratio < SMALL:
            says = "outweighs the reward" if ratio > LARGE else "is too small to matter"
            warnings.warn(
                f"the term of {self.method.name!r} is {term:.3g} a row on average, the advantage without it "
                f"{base:.3g}: it {says}; see docs/choosing_gamma.md",
                stacklevel=2,
            )
