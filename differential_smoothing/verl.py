"""Methods of `differential_smoothing.methods` in verl, without a fork: registered advantage estimators.

docs/verl.md says which version was checked, and how. What it rests on:

- `core_algos.register_adv_est(NAME)` registers a function that `algorithm.adv_estimator=NAME` then calls;
- `ray_trainer.compute_advantage` calls it with token_level_rewards (B, T), response_mask (B, T), config, and, where
  there are groups, index (B,); it wants (advantages, returns), both (B, T);
- it does NOT hand over the log-probs of the old policy. They are in `data.batch["old_log_probs"]` at that moment. So
  `install` also wraps `compute_advantage` to remember the batch it is called with: no fork, but one name of verl's is
  replaced. The wrapper takes whatever arguments verl gives it, as these have changed between versions.

verl computes advantages in a process of its own, which Ray starts. verl imports, in every process, the modules that
`VERL_USE_EXTERNAL_MODULES` names. So write a module `my_ds.py` of two lines

    from differential_smoothing.verl import install
    install("ds-grpo", gamma_p=0.01, gamma_n=0.01)

and start the training with

    PYTHONPATH=WHERE_MY_DS_LIES VERL_USE_EXTERNAL_MODULES=my_ds \\
        python -m verl.trainer.main_ppo algorithm.adv_estimator=ds_grpo …

A rollout's outcome is the sum of its rewards over all tokens, as in verl's GRPO: rewards count on tokens, too, that the
response mask leaves out (environment, tool, rejected); the mask is for log-probs and advantages. Which rollouts are
correct is read from the scores before KL. Rewards are 1 (correct) and 0 (incorrect); for all others, 1 and −1 or with
penalties, say `install(correct_from=X, …)`: from X on, a rollout is correct. The base advantage is divided by the std
where both the method and `algorithm.norm_adv_by_std_in_grpo` say so. Two answers are the same if their tokens are.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from differential_smoothing import methods
from differential_smoothing.correctness import answer_ids, correct_from_rewards
from differential_smoothing.methods import Method
from differential_smoothing.rollouts import Rollouts, normalize


def correctness(scores: torch.Tensor, correct_from: float | None) -> torch.Tensor:
    """(B,) codes: CORRECT from `correct_from` on, INCORRECT below; where it is None, 1 and 0.

    scores: (B,), the sum of each rollout's rewards. Raises ValueError for a score of which nothing says what it is.
    """
    known = ((scores == 0) | (scores == 1)) if correct_from is None else scores.isfinite()
    if not known.all():
        odd = scores[~known][0].item()
        raise ValueError(
            f"a rollout's rewards sum to {odd:g}, which is neither 1 (correct) nor 0 (incorrect), so it would get no "
            "term; say `install(correct_from=X, …)`, X being the least sum of a correct rollout"
            if correct_from is None
            else f"a rollout's rewards sum to {odd:g}; the reward function must give finite numbers"
        )
    if correct_from is None:
        return correct_from_rewards(scores)
    codes = (scores >= correct_from).long()
    if (codes == codes[0]).all() and (scores != scores[0]).any():
        side = "from it on" if codes[0] else "below it"
        warnings.warn(
            f"correct_from={correct_from:g}, and all rewards of a batch, though they differ, lie {side}: only "
            f"{'correct' if codes[0] else 'incorrect'} rollouts get the term; is correct_from right?",
            stacklevel=2,
        )
    return codes


def advantages(
    method: Method,
    rewards: torch.Tensor,
    mask: torch.Tensor,
    logps: torch.Tensor,
    index: Sequence[Any],
    correct: torch.Tensor,
    std: bool = True,
    responses: torch.Tensor | None = None,
) -> torch.Tensor:
    """The method's advantages as verl wants them: (B, T), 0 where `mask` is.

    rewards: (B, T), whose sum over all tokens is the rollout's. mask: (B, T). logps: (B, T) of the sampled tokens under
    the old policy, in nats. index: (B,), equal for rollouts of one prompt. correct: (B,), as `correctness` gives it.
    std: whether the base advantage may be divided by its group's std. responses: (B, T), token ids, where known.
    """
    options: Any = method.options
    if not std and any(field.name == "std" for field in dataclasses.fields(options)):
        options = dataclasses.replace(options, std=False)
    groups = answer_ids([str(name) for name in index]).to(rewards.device)
    outcome = rewards.sum(dim=1)
    answers = None
    if responses is not None:
        answers = answer_ids([str(row[kept].tolist()) for row, kept in zip(responses, mask.bool())]).to(rewards.device)
    rows = Rollouts(
        rewards=outcome,
        base=normalize(outcome, groups, std and method.std),
        logps=logps,
        mask=mask,
        correct=correct,
        groups=groups,
        answers=answers,
    )
    assert method.advantages is not None
    shaped = method.advantages(method.on_base(rows), options)
    return (shaped if shaped.dim() == 2 else shaped.unsqueeze(1)) * mask


def install(
    method: Method | str = "ds-grpo",
    *,
    correct_from: float | None = None,
    core_algos: Any = None,
    ray_trainer: Any = None,
    **options: Any,
) -> str:
    """Register `method` with verl; returns the estimator's name, which is the method's with `_` for `-`.

    method, options: as for `methods.get`. correct_from: the least outcome of a correct rollout; None: outcomes are 1
    and 0, and others are refused. core_algos, ray_trainer: verl's modules, imported unless given. Raises ValueError for
    a method that changes no advantages or needs what verl does not hand over, ImportError where verl is missing.
    """
    chosen = methods.get(method, **options) if isinstance(method, str) else method
    if chosen.advantages is None:
        raise ValueError(f"{chosen.name!r} is no advantage estimator but a setting of the loss; give it to verl's own")
    if chosen.replay is not None or chosen.rounds is not None:
        raise ValueError(f"{chosen.name!r} needs to change which rollouts are drawn, which verl does not hand over")
    if not chosen.active:
        raise ValueError(f"{chosen.name!r} would change no advantage: give it a strength above 0, or take verl's grpo")
    for needed, what in (
        (chosen.entropies, "the entropies of tokens"),
        (chosen.answer_counts, "answers of earlier batches across a restart"),
        (chosen.reference, "the log-probs of the base and TRL's KL beside it"),
    ):
        if needed:
            raise ValueError(f"{chosen.name!r} needs {what}, which verl does not hand over")
    name = chosen.name.replace("-", "_")
    if core_algos is None or ray_trainer is None:
        try:
            from verl.trainer.ppo import core_algos, ray_trainer  # type: ignore[import-not-found, no-redef]
        except ModuleNotFoundError as error:
            raise ImportError(
                f"verl cannot be imported ({error}); pip install 'differential-smoothing[verl]'"
            ) from None
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

    @core_algos.register_adv_est(name)
    def estimator(
        token_level_rewards: torch.Tensor,
        response_mask: torch.Tensor,
        config: Any = None,
        index: Sequence[Any] | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not current or "old_log_probs" not in current[-1][0].batch:
            raise RuntimeError(
                f"{name}: the old policy's log-probs are not at hand; was `install` called before verl's trainer was "
                "imported, and in the process that computes advantages?"
            )
        if index is None:
            raise ValueError(
                f"{name}: verl gives no index: the batch lacks `uid`, which says what rollouts are a group"
            )
        if unknown := [key for key, value in others.items() if value is not None]:
            raise ValueError(f"{name}: verl gives {', '.join(unknown)}, which it does not use; switch that off")
        data, divided = current[-1]
        # apply_kl_penalty makes the rewards from these scores; both of verl's trainers have them
        scores = data.batch.get("token_level_scores", token_level_rewards)
        with torch.no_grad():
            made = advantages(
                chosen,
                token_level_rewards,
                response_mask,
                data.batch["old_log_probs"],
                index,
                correctness(scores.sum(dim=1), correct_from),
                std=bool(divided and (config is None or config.get("norm_adv_by_std_in_grpo", True))),
                responses=data.batch.get("responses", None),
            )
        return made, made

    ray_trainer.compute_advantage = compute_advantage
    return name
