"""The trainer under a user's own classes, rewards, verdicts and checkpoints: the term arrives, or an error says why."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from bridge import steps
from datasets import Dataset
from stepping import BATCH, WORLD, first_step, plain_step
from trl import GRPOConfig, GRPOTrainer

from differential_smoothing import methods
from differential_smoothing.methods import Method
from differential_smoothing.training.monitor import FIRST
from differential_smoothing.trl import DifferentialSmoothingMixin, DSGRPOConfig, DSGRPOTrainer

PLAIN = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2)
CENTERED = methods.get("ds-grpo-centered", gamma_p=0.3, gamma_n=0.2)
TOKEN = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, logprob_aggregation="token")
REWARD = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, apply_to="reward")
GRPO = methods.get("grpo")
# On-policy; an old policy's log-probs at hand; groups split among micro-batches
ROADS: list[dict[str, Any]] = [
    {},
    {"num_iterations": 2},
    {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
]


class OwnLoss(DSGRPOTrainer):
    """A loss that knows nothing of ours."""

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        return GRPOTrainer._compute_loss(self, model, inputs)


class OwnPublicLoss(DSGRPOTrainer):
    """The same at transformers' own place."""

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> torch.Tensor:
        return GRPOTrainer._compute_loss(self, model, inputs)


@pytest.mark.parametrize("kind", [OwnLoss, OwnPublicLoss])
@pytest.mark.parametrize("method", [PLAIN, CENTERED, TOKEN], ids=lambda m: m.name)
@pytest.mark.parametrize("road", ROADS, ids=str)
def test_a_loss_of_ones_own_gets_the_term(kind: Any, method: Method, road: dict[str, Any], tmp_path: Path) -> None:
    found = first_step(tmp_path, method, kind=kind, **road)
    np.testing.assert_allclose(found, plain_step(method), rtol=0, atol=1e-6)
    assert np.abs(found - plain_step(GRPO)).max() > 1e-2


def test_a_loss_that_skips_what_needs_entropies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"OwnLoss: .*'entropy-advantage'.*super\(\)\._compute_loss"):
        first_step(tmp_path, methods.get("entropy-advantage"), kind=OwnLoss)


class Doubling(GRPOTrainer):
    """A mixin that scales advantages where TRL makes them."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        return {**output, "advantages": 2 * output["advantages"]}


class DoublingAbove(Doubling, DSGRPOTrainer):
    pass


class DoublingBelow(DSGRPOTrainer, Doubling):
    pass


@pytest.mark.parametrize("kind", [DoublingAbove, DoublingBelow])
@pytest.mark.parametrize("method", [PLAIN, CENTERED, TOKEN], ids=lambda m: m.name)
@pytest.mark.parametrize("road", ROADS, ids=str)
def test_the_term_is_added_last(kind: Any, method: Method, road: dict[str, Any], tmp_path: Path) -> None:
    """2 base + term, in either order of base classes and by every road: steps are linear in the advantages."""
    wanted = plain_step(method) + plain_step(GRPO)
    np.testing.assert_allclose(first_step(tmp_path, method, kind=kind, **road), wanted, rtol=0, atol=2e-6)


class TheirTrainer(GRPOTrainer):
    """Somebody's trainer: an argument of its own, other advantages, a loss that reads them before the log-probs."""

    def __init__(self, *args: Any, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        return {**output, "advantages": self.factor * output["advantages"]}

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        return super()._compute_loss(model, {**inputs, "advantages": inputs["advantages"] * 1.0})


class Mine(DifferentialSmoothingMixin, TheirTrainer):
    pass


@pytest.mark.parametrize("method", [PLAIN, CENTERED, TOKEN], ids=lambda m: m.name)
@pytest.mark.parametrize("road", ROADS, ids=str)
def test_the_mixin_brings_the_term_to_anybodys_trainer(method: Method, road: dict[str, Any], tmp_path: Path) -> None:
    """2 base + term, with a loss of its own."""
    wanted = plain_step(method) + plain_step(GRPO)
    found = first_step(tmp_path, method, kind=Mine, trainer={"factor": 2.0}, **road)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_the_mixin_brings_the_term_to_a_trainer_of_trls(road: dict[str, Any], tmp_path: Path) -> None:
    """GMPO has a loss of its own; its on-policy step is that of the mean of all tokens of a sequence."""
    gmpo = pytest.importorskip("trl.experimental.gmpo")

    class SmoothedGMPO(DifferentialSmoothingMixin, gmpo.GMPOTrainer):
        pass

    def sized(method: Method, kind: type[GRPOTrainer], **settings: Any) -> np.ndarray:
        return first_step(tmp_path, method, kind=kind, loss_type="grpo", **settings)

    found, plain = sized(PLAIN, SmoothedGMPO, **road), sized(GRPO, SmoothedGMPO, **road)
    np.testing.assert_allclose(found, sized(PLAIN, DSGRPOTrainer), rtol=0, atol=2e-6)
    assert np.abs(found - plain).max() > 1e-2


def test_a_mixin_that_comes_too_late_is_an_error() -> None:
    with pytest.raises(TypeError, match="Late: DifferentialSmoothingMixin must come before a trainer"):

        class Late(TheirTrainer, DifferentialSmoothingMixin):
            pass

    with pytest.raises(TypeError, match="Alone: DifferentialSmoothingMixin must come before a trainer"):

        class Alone(DifferentialSmoothingMixin):
            pass


def test_fields_of_the_term_go_with_anybodys_arguments(tmp_path: Path) -> None:
    """Their class first: its defaults stay."""

    @dataclass
    class TheirConfig(GRPOConfig):
        epsilon: float = 0.4

    @dataclass
    class MyConfig(TheirConfig, DSGRPOConfig):
        pass

    plain = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), loss_type="dapo", max_steps=1)
    names = {field.name for field in fields(GRPOConfig) if field.init} - {"epsilon", "generation_batch_size"}
    args = MyConfig(**{name: getattr(plain, name) for name in names}, gamma_p=0.3, gamma_n=0.2)
    assert args.epsilon == 0.4
    found = steps(WORLD.trainer(args, Mine, rollout_func=WORLD.handed_in([BATCH])))[0]
    np.testing.assert_allclose(found, plain_step(PLAIN), rtol=0, atol=1e-6)


def rewards(right: float, wrong: float) -> Callable[..., list[float]]:
    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [right if good else wrong for good in WORLD.reward(completion_ids)]

    return reward


def verdicts(completion_ids: list[list[int]], **_: Any) -> list[bool]:
    return [bool(good) for good in WORLD.reward(completion_ids)]


BOTH = "correct and no incorrect"


@pytest.mark.parametrize(
    ("right", "wrong", "lost"), [(1, -1, "incorrect"), (2, 0.1, BOTH), (1.1, 0.1, BOTH), (5, 0, "correct")]
)
def test_rewards_that_do_not_say_what_is_correct(right: float, wrong: float, lost: str, tmp_path: Path) -> None:
    reward = rewards(right, wrong)
    with pytest.raises(ValueError, match=f"reward function 'reward' returned .* found no {lost} rollout.*correctness="):
        first_step(tmp_path, PLAIN, trainer={"reward_funcs": reward})
    found = first_step(tmp_path, PLAIN, trainer={"reward_funcs": reward, "correctness": verdicts})
    np.testing.assert_allclose(found, plain_step(PLAIN), rtol=0, atol=1e-3)  # 1e-4 beside the std
    first_step(tmp_path, GRPO, trainer={"reward_funcs": reward})  # without a term nobody asks


def test_a_class_that_gets_no_term_need_not_be_told(tmp_path: Path) -> None:
    positive = methods.get("ds-grpo-positive", gamma_p=0.3)
    found = first_step(tmp_path, positive, trainer={"reward_funcs": rewards(1, -1)})
    np.testing.assert_allclose(found, plain_step(positive), rtol=0, atol=1e-3)


def many(folder: Path, batches: int, method: Method, correctness: Any) -> None:
    args = WORLD.settings(folder, per_device_train_batch_size=len(BATCH), max_steps=batches)
    trainer = WORLD.trainer(
        args, rollout_func=WORLD.handed_in([BATCH] * batches), method=method, correctness=correctness
    )
    steps(trainer)


def test_verdicts_that_are_never_given(tmp_path: Path) -> None:
    nothing = lambda prompts, **_: [None] * len(prompts)  # noqa: E731
    many(tmp_path, FIRST - 1, PLAIN, nothing)
    with pytest.raises(ValueError, match=f"no rollout of the first {FIRST} batches was correct or incorrect"):
        many(tmp_path, FIRST, PLAIN, nothing)


def test_a_class_that_never_comes_is_said(tmp_path: Path) -> None:
    half = lambda completion_ids, **_: [good or None for good in verdicts(completion_ids)]  # noqa: E731
    with pytest.warns(UserWarning, match=f"no incorrect rollout in the first {FIRST} batches, but unscorable ones"):
        many(tmp_path, FIRST, PLAIN, half)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        many(tmp_path, FIRST, methods.get("ds-grpo-positive", gamma_p=0.3), half)
        many(tmp_path, FIRST, PLAIN, lambda prompts, **_: [False] * len(prompts))  # too hard is no mistake


@pytest.mark.parametrize(("gamma", "says"), [(3.0, "outweighs the reward"), (1e-4, "too small to matter"), (0.1, None)])
def test_a_size_out_of_proportion_is_said_once(gamma: float, says: str | None, tmp_path: Path) -> None:
    settings = {"logging_strategy": "steps", "logging_steps": 1, "max_steps": 3}
    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), **settings)
    method = methods.get("ds-grpo", gamma_p=gamma, gamma_n=gamma)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH] * 3), method=method)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        steps(trainer)
    said = [str(one.message) for one in found if "the term of 'ds-grpo'" in str(one.message)]
    assert len(said) == (says is not None)
    assert says is None or says in said[0]
    row = trainer.state.log_history[0]
    assert row["ds_term"] == pytest.approx(gamma * np.abs(np.log(WORLD.p0))[BATCH].mean(), rel=1e-3)
    assert row["ds_share"] == pytest.approx(row["ds_term"] / (row["ds_term"] + row["ds_base"]), rel=1e-6)


class Judge:
    """A callable object."""

    def __call__(self, completion_ids: list[list[int]], **_: Any) -> list[bool]:
        return verdicts(completion_ids)


async def later(completion_ids: list[list[int]], **_: Any) -> list[bool]:
    return verdicts(completion_ids)


def none(prompts: list[Any], **_: Any) -> list[None]:
    return [None] * len(prompts)


KINDS: dict[str, Any] = {
    "callable": Judge(),
    "coroutine": later,
    "numpy bools": lambda **row: np.array(verdicts(**row)),
    "floats": lambda **row: [float(good) for good in verdicts(**row)],
    "tensor": lambda **row: torch.tensor(verdicts(**row)),
    "tuple": lambda **row: tuple(verdicts(**row)),
    "name": "reward",
}


@pytest.mark.parametrize("kind", KINDS)
def test_correctness_may_be_what_a_reward_function_may_be(kind: str, tmp_path: Path) -> None:
    found = first_step(tmp_path, PLAIN, trainer={"reward_funcs": [none, WORLD.reward], "correctness": KINDS[kind]})
    np.testing.assert_allclose(found, plain_step(PLAIN), rtol=0, atol=1e-6)


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float64("nan"), torch.tensor(float("nan"))], ids=repr)
def test_no_verdict_may_be_nan(nothing: Any, tmp_path: Path) -> None:
    """Then the rows' advantages are GRPO's own."""
    found = first_step(tmp_path, PLAIN, trainer={"correctness": lambda prompts, **_: [nothing] * len(prompts)})
    np.testing.assert_allclose(found, plain_step(GRPO), rtol=0, atol=1e-6)


def test_answers_may_come_later_too(tmp_path: Path) -> None:
    async def answers(completion_ids: list[list[int]], **_: Any) -> list[str]:
        return ["same" for _ in completion_ids]

    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), max_steps=1, logging_strategy="steps")
    args.logging_steps = 1
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), method="grpo", answer_key=answers)
    trainer.train()
    assert trainer.state.log_history[0]["distinct_correct"] == 1.0


class Room:
    """An environment that says nothing."""

    def reset(self, **_: Any) -> None:
        pass


def test_correctness_and_answers_get_what_a_reward_function_gets(tmp_path: Path) -> None:
    """Whatever TRL hands to a reward function, environments included; and what it logs arrives."""
    calls: dict[str, dict[str, Any]] = {}

    def reward(**call: Any) -> list[float]:
        calls["reward"] = call
        return WORLD.reward(call["completion_ids"])

    def correctness(log_metric: Any, log_extra: Any, environments: list[Room], **call: Any) -> list[bool]:
        calls["correctness"] = {**call, "log_metric": log_metric, "log_extra": log_extra, "environments": environments}
        log_metric("seen", len(environments))
        log_extra("where", [str(room) for room in environments])
        return verdicts(**call)

    def answers(**call: Any) -> list[str]:
        calls["answers"] = call
        return [str(ids) for ids in call["completion_ids"]]

    args = WORLD.settings(tmp_path, per_device_train_batch_size=8, max_steps=1, logging_strategy="steps")
    args.logging_steps = 1
    trainer = DSGRPOTrainer(
        WORLD.model(),
        reward,
        args,
        Dataset.from_dict({"prompt": ["<bos>"] * 8, "level": [7] * 8}),
        processing_class=WORLD.trainer(args).processing_class,
        rollout_func=WORLD.handed_in([BATCH]),
        correctness=correctness,
        answer_key=answers,
    )
    trainer.environments = [Room() for _ in range(8)]  # TRL sets them for each batch where there are any
    trainer.train()
    assert calls["reward"]["environments"] == trainer.environments
    for name in ("correctness", "answers"):
        assert calls[name].keys() == calls["reward"].keys()
        assert {key: value for key, value in calls[name].items() if not callable(value)} == {
            key: value for key, value in calls["reward"].items() if not callable(value)
        }
    assert trainer.state.log_history[0]["seen"] == 8
    assert [*trainer._logs["extra"]["where"]] == [str(room) for room in trainer.environments]


@pytest.mark.parametrize("method", [PLAIN, CENTERED, TOKEN, GRPO], ids=lambda m: f"{m.name}-{len(m.record())}")
@pytest.mark.parametrize(
    "road",
    [*ROADS, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "steps_per_generation": 4}],
    ids=str,
)
def test_logged_completions_show_the_term(method: Method, road: dict[str, Any], tmp_path: Path) -> None:
    settings = {"per_device_train_batch_size": 8, "logging_strategy": "steps", "logging_steps": 1, **road}
    args = WORLD.settings(tmp_path, max_steps=1, log_completions=True, num_completions_to_print=0, **settings)
    WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), method=method).train()
    (file,) = (tmp_path / "completions").glob("*.parquet")
    shown = pd.read_parquet(file)["advantage"].to_numpy()
    good = np.array(WORLD.correct)[BATCH]
    grouped = good.reshape(2, 4) * 1.0
    base = ((grouped - grouped.mean(1, keepdims=True)) / (grouped.std(1, ddof=1, keepdims=True) + 1e-4)).ravel()
    logp = np.log(WORLD.p0)[BATCH]
    if method is TOKEN:
        logp = logp / np.array([len(WORLD.trajectories[y]) for y in BATCH])
    if method is CENTERED:
        for who in (good, ~good):
            for group in (slice(0, 4), slice(4, 8)):
                rows = np.flatnonzero(who[group]) + group.start
                logp[rows] -= logp[rows].mean()
    term = np.where(good, -0.3, 0.2) * logp
    np.testing.assert_allclose(shown, base if method is GRPO else base + term, rtol=0, atol=1e-5)


def historical(folder: Path, **settings: Any) -> GRPOTrainer:
    args = WORLD.settings(
        folder, per_device_train_batch_size=8, max_steps=4, save_strategy="steps", save_steps=2, seed=3, **settings
    )
    return WORLD.trainer(args, method="outcome-historical")


def test_trls_own_checkpoint_keeps_the_counts(tmp_path: Path) -> None:
    whole = historical(tmp_path / "whole")
    whole.train()
    again = historical(tmp_path / "again")
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert isinstance(again, DSGRPOTrainer)
    assert isinstance(whole, DSGRPOTrainer)
    assert again.answer_counts is not None
    assert whole.answer_counts is not None
    count = lambda trainer: sum(sum(answers.values()) for answers in trainer.answer_counts._counts.values())  # noqa: E731
    assert count(whole) == count(again) == 4 * 8
    shutil.rmtree(tmp_path / "again")
    (tmp_path / "whole" / "checkpoint-2" / "answer_counts.json").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-2: no answer_counts\.json"):
        historical(tmp_path / "again").train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))


def test_a_checkpoint_that_would_count_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'outcome-historical' counts earlier answers.*multiple of the 3 micro-steps"):
        historical(tmp_path, num_iterations=3).train()
