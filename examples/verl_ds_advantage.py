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

A rollout is correct where its rewards sum to 1, incorrect where they sum to 0, and without a term otherwise: give
format rewards apart. With KL in the rewards (`algorithm.use_kl_in_reward`) they do not sum to 0 or 1, and `install`'s
estimator refuses rather than go without the term.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch

from rl.rollouts import Rollouts, normalise
from rl.smoothing import SmoothingConfig, smooth
from rl.trainer import correct_from_rewards

NAME = "ds_grpo"


def ds_advantages(
    rewards: torch.Tensor, mask: torch.Tensor, logps: torch.Tensor, index: Sequence[Any], config: SmoothingConfig
) -> torch.Tensor:
    """GRPO's advantages with the DS term, as verl wants them: (B, T), 0 where `mask` is.

    rewards: (B, T), whose sum is the rollout's. mask: (B, T). logps: (B, T) of the sampled tokens under the old policy,
    in nats. index: (B,), equal for rollouts of one prompt.
    """
    names: dict[Any, int] = {}
    groups = torch.tensor([names.setdefault(name, len(names)) for name in index], device=rewards.device)
    outcome = (rewards * mask).sum(dim=1)
    rows = Rollouts(
        rewards=outcome,
        base=normalise(outcome, groups, config.std),
        logps=logps,
        mask=mask,
        correct=correct_from_rewards(outcome.unsqueeze(1)),
        groups=groups,
    )
    shaped = smooth(rows, config)
    return (shaped if shaped.dim() == 2 else shaped.unsqueeze(1)) * mask


def install(core_algos: Any = None, ray_trainer: Any = None, **options: Any) -> SmoothingConfig:
    """Register the estimator `ds_grpo` with verl; `options` are those of `SmoothingConfig`, which is returned.

    core_algos, ray_trainer: verl's modules, imported unless given.
    """
    if core_algos is None or ray_trainer is None:
        from verl.trainer.ppo import core_algos, ray_trainer  # type: ignore[import-not-found, no-redef]
    smoothing = SmoothingConfig(**options)
    current: list[Any] = []
    original = ray_trainer.compute_advantage

    @functools.wraps(original)
    def compute_advantage(data: Any, *args: Any, **kwargs: Any) -> Any:
        current.append(data)
        try:
            return original(data, *args, **kwargs)
        finally:
            current.pop()

    @core_algos.register_adv_est(NAME)
    def estimator(
        token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: Sequence[Any], **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not current or "old_log_probs" not in current[-1].batch:
            raise RuntimeError(
                f"{NAME}: the old policy's log-probs are not at hand; was `install` called before verl's trainer was "
                "imported, and in the process that computes advantages?"
            )
        outcome = (token_level_rewards * response_mask).sum(dim=1)
        if not ((outcome == 0) | (outcome == 1)).any():
            raise ValueError(f"{NAME}: no reward is 0 or 1, so nothing says what is correct (KL in the rewards?)")
        with torch.no_grad():
            made = ds_advantages(
                token_level_rewards, response_mask, current[-1].batch["old_log_probs"], index, smoothing
            )
        return made, made

    ray_trainer.compute_advantage = compute_advantage
    return smoothing
