"""Differential smoothing in verl, without a fork: a registered advantage estimator.

Checked against verl 0.9.1 on a CPU: docs/verl.md says what was run and what was not. What it rests on:

- `core_algos.register_adv_est(NAME)` registers a function that `algorithm.adv_estimator=NAME` then calls;
- `ray_trainer.compute_advantage` calls it with token_level_rewards (B, T), response_mask (B, T), config, and, where
  there are groups, index (B,); it wants (advantages, returns), both (B, T);
- it does NOT hand over the log-probs of the old policy. They are in `data.batch["old_log_probs"]` at that moment. So
  `install` also wraps `compute_advantage` to remember the batch it is called with: no fork, but one name of verl's is
  replaced. The wrapper takes whatever arguments verl gives it, as these have changed between versions.

verl computes advantages in a process of its own, which Ray starts. verl imports, in every process, the modules that
`VERL_USE_EXTERNAL_MODULES` names. So write a module `my_ds.py` of two lines

    from verl_ds_advantage import install
    install(gamma_p=0.01, gamma_n=0.01)

and start the training with

    PYTHONPATH=examples:.:WHERE_MY_DS_LIES VERL_USE_EXTERNAL_MODULES=my_ds \\
        python -m verl.trainer.main_ppo algorithm.adv_estimator=ds_grpo …

A rollout's outcome is the sum of its rewards over all tokens, as in verl's GRPO: rewards count on tokens, too, that the
response mask leaves out (environment, tool, rejected); the mask is for log-probs and advantages. Which rollouts are
correct is read from the scores before KL. Rewards are 1 (correct) and 0 (incorrect); for all others, 1 and −1 or with
penalties, say `install(correct_from=X, …)`: from X on, a rollout is correct. What verl's settings say is done:
`algorithm.norm_adv_by_std_in_grpo=False` leaves out the division by the std.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from differential_smoothing.rollouts import Rollouts, normalise
from differential_smoothing.smoothing import SmoothingConfig, smooth
from differential_smoothing.trl import correct_from_rewards

NAME = "ds_grpo"


def correctness(scores: torch.Tensor, correct_from: float | None) -> torch.Tensor:
    """(B,) codes: CORRECT from `correct_from` on, INCORRECT below; where it is None, 1 and 0.

    scores: (B,), the sum of each rollout's rewards. Raises ValueError for a score of which nothing says what it is.
    """
    known = ((scores == 0) | (scores == 1)) if correct_from is None else scores.isfinite()
    if not known.all():
        odd = scores[~known][0].item()
        raise ValueError(
            f"{NAME}: a rollout's rewards sum to {odd:g}, which is neither 1 (correct) nor 0 (incorrect), so it would "
            "get no term; say `install(correct_from=X, …)`, X being the least sum of a correct rollout"
            if correct_from is None
            else f"{NAME}: a rollout's rewards sum to {odd:g}; mend the reward function, which must give finite numbers"
        )
    if correct_from is None:
        return correct_from_rewards(scores.unsqueeze(1))
    codes = (scores >= correct_from).long()
    if (codes == codes[0]).all() and (scores != scores[0]).any():
        side = "from it on" if codes[0] else "below it"
        warnings.warn(
            f"{NAME}: correct_from={correct_from:g}, and all rewards of a batch, though they differ, lie {side}: only "
            f"{'correct' if codes[0] else 'incorrect'} rollouts get the term; is correct_from right?",
            stacklevel=2,
        )
    return codes


def ds_advantages(
    rewards: torch.Tensor,
    mask: torch.Tensor,
    logps: torch.Tensor,
    index: Sequence[Any],
    correct: torch.Tensor,
    config: SmoothingConfig,
) -> torch.Tensor:
    """GRPO's advantages with the DS term, as verl wants them: (B, T), 0 where `mask` is.

    rewards: (B, T), whose sum over all tokens is the rollout's. mask: (B, T). logps: (B, T) of the sampled tokens under
    the old policy, in nats. index: (B,), equal for rollouts of one prompt. correct: (B,), as `correctness` gives it.
    """
    names: dict[Any, int] = {}
    groups = torch.tensor([names.setdefault(name, len(names)) for name in index], device=rewards.device)
    outcome = rewards.sum(dim=1)
    rows = Rollouts(
        rewards=outcome,
        base=normalise(outcome, groups, config.std),
        logps=logps,
        mask=mask,
        correct=correct,
        groups=groups,
    )
    shaped = smooth(rows, config)
    return (shaped if shaped.dim() == 2 else shaped.unsqueeze(1)) * mask


def install(
    core_algos: Any = None, ray_trainer: Any = None, correct_from: float | None = None, **options: Any
) -> SmoothingConfig:
    """Register the estimator `ds_grpo` with verl; `options` are those of `SmoothingConfig`, which is returned.

    core_algos, ray_trainer: verl's modules, imported unless given. correct_from: the least outcome of a correct
    rollout; None: outcomes are 1 and 0, and others are refused. Raises ValueError for options without a term, and for
    `std`, which verl's settings decide.
    """
    if "std" in options:
        raise ValueError(f"{NAME}: std is verl's to say: leave it out here, give algorithm.norm_adv_by_std_in_grpo")
    smoothing = SmoothingConfig(**options)
    if not smoothing.active:
        raise ValueError(f"{NAME}: no rollout would get a term: give gamma_p or gamma_n above 0, or take verl's grpo")
    if core_algos is None or ray_trainer is None:
        from verl.trainer.ppo import core_algos, ray_trainer  # type: ignore[import-not-found, no-redef]
    current: list[tuple[Any, bool]] = []
    """The batch at hand, and whether verl's caller divides by the std."""
    original = ray_trainer.compute_advantage
    signature = inspect.signature(original)

    @functools.wraps(original)
    def compute_advantage(data: Any, *args: Any, **kwargs: Any) -> Any:
        called = signature.bind(data, *args, **kwargs)
        current.append((data, called.arguments.get("norm_adv_by_std_in_grpo", True)))
        try:
            return original(data, *args, **kwargs)
        finally:
            current.pop()

    @core_algos.register_adv_est(NAME)
    def estimator(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        config: Any = None,
        index: Sequence[Any] | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not current or "old_log_probs" not in current[-1][0].batch:
            raise RuntimeError(
                f"{NAME}: the old policy's log-probs are not at hand; was `install` called before verl's trainer was "
                "imported, and in the process that computes advantages?"
            )
        if index is None:
            raise ValueError(
                f"{NAME}: verl gives no index: the batch lacks `uid`, which says what rollouts are a group"
            )
        if unknown := [name for name, value in others.items() if value is not None]:
            raise ValueError(f"{NAME}: verl gives {', '.join(unknown)}, which it does not use; switch that off")
        data, divided = current[-1]
        # apply_kl_penalty makes the rewards from these scores; both of verl's trainers have them
        scores = data.batch.get("token_level_scores", token_level_rewards)
        std = bool(divided and (config is None or config.get("norm_adv_by_std_in_grpo", True)))
        with torch.no_grad():
            made = ds_advantages(
                token_level_rewards,
                response_mask,
                data.batch["old_log_probs"],
                index,
                correctness(scores.sum(dim=1), correct_from),
                dataclasses.replace(smoothing, std=std),
            )
        return made, made

    ray_trainer.compute_advantage = compute_advantage
    return smoothing
