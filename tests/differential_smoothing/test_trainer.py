"""The trainer: the same step by every road, nothing in evaluation, nothing added to plain GRPO, the numbers it logs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import steps
from datasets import Dataset
from stepping import BATCH, WORLD, first_step, plain_step
from trl import GRPOConfig, GRPOTrainer

from differential_smoothing import methods
from differential_smoothing.methods import Method
from differential_smoothing.rollouts import Rollouts
from differential_smoothing.smoothing import smooth
from differential_smoothing.trl import DSGRPOTrainer
from repro.manifest import ROOT
from rl.models.tabular import EOS, tabular_tokenizer

PLAIN = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2)
CENTERED = methods.get("ds-grpo-centered", gamma_p=0.3, gamma_n=0.2)
REWARD = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, apply_to="reward")
TOKEN = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, logprob_aggregation="token")
LOGPROB = methods.get("logprob-bonus", gamma=0.3)
METHODS = [methods.get("grpo"), PLAIN, CENTERED, REWARD, TOKEN, LOGPROB]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: "-".join(map(str, m.record().values())))
def test_every_road_gives_the_same_step(method: Method, tmp_path: Path) -> None:
    """One micro-batch; micro-batches that split groups; log-probs of the old policy at hand; a batch used twice."""
    wanted = plain_step(method)
    assert np.abs(wanted).max() > 1e-2
    split = first_step(tmp_path, method, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    old = first_step(tmp_path, method, num_iterations=2)
    twice = first_step(tmp_path, method, num_iterations=2, steps_per_generation=1, gradient_accumulation_steps=2)
    for found in (split, old, twice):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


class StubEngine:
    """Stands in for vLLM: hands in trajectories with the log-probs that the sampling policy gave their tokens."""

    def __init__(self, trainer: GRPOTrainer, batch: list[int]) -> None:
        self.trainer, self.batch, self.synchronised = trainer, batch, 0

    def sync_weights(self) -> None:
        self.synchronised += 1

    def generate(self, prompts: list[list[int]], **_: Any) -> tuple[Any, list[list[int]], list[list[list[float]]], Any]:
        ids = [list(WORLD.trajectories[y]) for y in self.batch]
        logps = []
        for prompt, completion in zip(prompts, ids):
            logits = self.trainer.model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
            logps.append(logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None]).tolist())
        return None, ids, logps, None


@pytest.mark.parametrize("method", METHODS, ids=lambda m: "-".join(map(str, m.record().values())))
@pytest.mark.parametrize("corrected", [True, False])
def test_vllm_rollouts_give_the_same_step(method: Method, corrected: bool, tmp_path: Path) -> None:
    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), loss_type="dapo", max_steps=1)
    trainer = WORLD.trainer(args, method=method)
    trainer.use_vllm = True
    trainer.vllm_generation = StubEngine(trainer, BATCH)
    trainer._last_loaded_step = -1
    trainer.vllm_importance_sampling_correction = corrected
    found = steps(trainer)[0]
    assert trainer.vllm_generation.synchronised == 1
    np.testing.assert_allclose(found, plain_step(method), rtol=0, atol=1e-6)


def generated(folder: Path, kind: type[GRPOTrainer], **keywords: Any) -> tuple[bytes, list[dict[str, Any]]]:
    """Ten updates on the model's own rollouts: final logits and log."""
    args = WORLD.settings(
        folder, per_device_train_batch_size=16, max_steps=10, logging_strategy="steps", logging_steps=1, seed=3
    )
    trainer = WORLD.trainer(args, kind, **keywords)
    trainer.train()
    return trainer.model.theta.detach().numpy().tobytes(), trainer.state.log_history  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "method", [methods.get("grpo"), methods.get("ds-grpo", gamma_p=0.0, gamma_n=0.0)], ids=lambda m: m.name
)
def test_without_a_term_it_is_trl_bit_for_bit(method: Method, tmp_path: Path) -> None:
    theirs, log = generated(tmp_path, GRPOTrainer)
    ours, our_log = generated(tmp_path, DSGRPOTrainer, method=method)
    assert ours == theirs
    clocks = {"step_time", "train_runtime", "train_samples_per_second", "train_steps_per_second"}
    for mine, row in zip(our_log, log):
        assert {key: mine[key] for key in row if key not in clocks} == {
            key: value for key, value in row.items() if key not in clocks
        }
        assert set(mine) - set(row) <= {"distinct_correct", "pass@1", "pass@2", "pass@4"}
    assert generated(tmp_path, DSGRPOTrainer, method=PLAIN)[0] != theirs


@pytest.mark.parametrize("method", [PLAIN, CENTERED, TOKEN], ids=lambda m: m.name)
@pytest.mark.parametrize("iterations", [1, 2])
def test_nothing_is_applied_in_evaluation(method: Method, iterations: int, tmp_path: Path) -> None:
    losses = []
    for name in (method, methods.get("grpo")):
        args = WORLD.settings(
            tmp_path,
            eval_strategy="steps",
            per_device_eval_batch_size=8,
            max_steps=1,
            num_iterations=iterations,
        )
        trainer = WORLD.trainer(
            args,
            method=name,
            eval_dataset=Dataset.from_dict({"prompt": ["<bos>"] * 2}),
            rollout_func=WORLD.handed_in([BATCH]),
        )
        losses.append(trainer.evaluate())
    assert losses[0]["eval_loss"] == losses[1]["eval_loss"]
    assert losses[0]["eval_distinct_correct"] == 2.0


def test_evaluation_logs_pass_at_k_over_its_own_number_of_samples(tmp_path: Path) -> None:
    """One prompt, eight samples, where training takes four: three correct ones of two kinds."""
    samples = [0, 0, 3, 4, 1, 3, 4, 4]
    args = WORLD.settings(
        tmp_path, eval_strategy="steps", per_device_eval_batch_size=8, num_generations_eval=8, max_steps=1
    )
    trainer = WORLD.trainer(
        args,
        method=PLAIN,
        eval_dataset=Dataset.from_dict({"prompt": ["<bos>"]}),
        rollout_func=WORLD.handed_in([samples]),
    )
    found = trainer.evaluate()
    for k in (1, 2, 4, 8):
        wanted = 1 - math.comb(5, k) / math.comb(8, k)
        assert found[f"eval_pass@{k}"] == pytest.approx(wanted, abs=1e-12)
    assert found["eval_distinct_correct"] == 2.0
    assert found["eval_frac_reward_zero_std"] == 0.0
    assert not [name for name in found if "pass@" in name and not name.startswith("eval_")]


def test_training_logs_pass_at_k_and_groups_without_spread(tmp_path: Path) -> None:
    """Two groups: two of four correct; all four correct."""
    settings = {"logging_strategy": "steps", "logging_steps": 1, "per_device_train_batch_size": 8}
    args = WORLD.settings(tmp_path, max_steps=1, **settings)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([[0, 3, 1, 4, 0, 1, 2, 0]]), method=PLAIN)
    trainer.train()
    row = trainer.state.log_history[0]
    assert [row[f"pass@{k}"] for k in (1, 2, 4)] == pytest.approx([(0.5 + 1) / 2, (1 - 1 / 6 + 1) / 2, 1.0])
    assert row["distinct_correct"] == (2 + 3) / 2
    assert row["frac_reward_zero_std"] == 0.5


def spied(method: Method) -> tuple[Method, list[Rollouts]]:
    """The method, and the list that it fills with all the rows that it is given."""
    seen: list[Rollouts] = []

    def advantages(rows: Rollouts, options: Any) -> torch.Tensor:
        seen.append(rows)
        return smooth(rows, options)

    return dataclasses.replace(method, advantages=advantages), seen


def test_rows_hold_what_they_say(tmp_path: Path) -> None:
    method, seen = spied(PLAIN)
    first_step(tmp_path, method)
    (rows,) = seen
    order = [int(np.flatnonzero(np.isclose(np.log(WORLD.p0), float(s)))[0]) for s in (rows.logps * rows.mask).sum(1)]
    assert sorted(order) == sorted(BATCH), "the sum of log-probs is the trajectory's own"
    assert rows.mask.sum(dim=1).tolist() == [len(WORLD.trajectories[y]) for y in order]
    assert rows.rewards.tolist() == [float(WORLD.correct[y]) for y in order]
    assert rows.correct.tolist() == [int(WORLD.correct[y]) for y in order]
    assert sorted(zip(rows.groups.tolist(), order)) == sorted(zip([0, 0, 0, 0, 1, 1, 1, 1], BATCH))


def test_tokens_of_the_environment_do_not_count(tmp_path: Path) -> None:
    method, seen = spied(PLAIN)
    inner = WORLD.handed_in([BATCH])

    def rollout(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        found = inner(prompts, trainer)
        return {**found, "env_mask": [[0] + [1] * (len(ids) - 1) for ids in found["completion_ids"]]}

    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), max_steps=1)
    steps(WORLD.trainer(args, rollout_func=rollout, method=method))
    assert sorted(seen[0].mask.sum(dim=1).tolist()) == sorted(len(WORLD.trajectories[y]) - 1 for y in BATCH)
    assert (seen[0].mask[:, 0] == 0).all()


def test_correctness_is_explicit_and_three_valued(tmp_path: Path) -> None:
    """A shaped reward of .1 for wrong answers is not taken for a correct one, and columns of the data set arrive."""
    method, seen = spied(CENTERED)

    def shaped(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [1.0 if good else 0.1 for good in WORLD.reward(completion_ids)]

    def length(completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        return [None if len(ids) == 1 else 0.5 for ids in completion_ids]

    def correctness(completion_ids: list[list[int]], level: list[int], **_: Any) -> list[bool | None]:
        assert set(level) == {7}
        return [None if ids == [EOS] else bool(good) for ids, good in zip(completion_ids, WORLD.reward(completion_ids))]

    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), max_steps=1, reward_weights=[1.0, 2.0])
    data = Dataset.from_dict({"prompt": ["<bos>"] * 8, "level": [7] * 8})
    trainer = DSGRPOTrainer(
        WORLD.model(),
        [shaped, length],
        args,
        data,
        processing_class=tabular_tokenizer(5),
        rollout_func=WORLD.handed_in([BATCH]),
        method=method,
        correctness=correctness,
    )
    steps(trainer)
    codes = {0: 1, 1: 1, 2: 1, 3: -1, 4: 0}
    rewards = {0: 2.0, 1: 2.0, 2: 2.0, 3: 0.1, 4: 1.1}
    found = sorted(zip(seen[0].correct.tolist(), seen[0].rewards.tolist()))
    assert found == pytest.approx(np.array(sorted((codes[y], rewards[y]) for y in BATCH)))


def test_unscorable_rewards_mean_unscorable_rollouts(tmp_path: Path) -> None:
    method, seen = spied(PLAIN)

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        return [
            None if ids == [EOS] else 0.5 if len(ids) == 4 else good
            for ids, good in zip(completion_ids, WORLD.reward(completion_ids))
        ]

    args = WORLD.settings(tmp_path, per_device_train_batch_size=len(BATCH), max_steps=1)
    steps(WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), method=method, reward_funcs=reward))
    codes = {0: 1, 1: 1, 2: -1, 3: -1, 4: 0}
    assert sorted(seen[0].correct.tolist()) == sorted(codes[y] for y in BATCH)
    assert int(seen[0].rewards.isnan().sum()) == BATCH.count(3)


def test_logged_numbers(tmp_path: Path) -> None:
    """ds_share, ds_length_corr and distinct_correct against their definitions, over the micro-batches of a window."""
    args = WORLD.settings(
        tmp_path,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        max_steps=1,
        logging_strategy="steps",
        logging_steps=1,
    )
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), method=PLAIN)
    trainer.train()
    row = trainer.state.log_history[0]
    good = np.array(WORLD.correct)[BATCH]
    term = np.where(good, -0.3, 0.2) * np.log(WORLD.p0)[BATCH]
    grouped = good.reshape(2, 4) * 1.0
    base = (grouped - grouped.mean(1, keepdims=True)) / (grouped.std(1, ddof=1, keepdims=True) + 1e-4)
    length = np.array([len(WORLD.trajectories[y]) for y in BATCH])
    assert row["ds_share"] == pytest.approx(np.abs(term).sum() / (np.abs(term).sum() + np.abs(base).sum()), abs=1e-6)
    assert row["ds_length_corr"] == pytest.approx(np.corrcoef(term, length)[0, 1], abs=1e-6)
    assert row["distinct_correct"] == (len({0}) + len({1, 0, 2})) / 2
    assert math.isfinite(row["entropy"])


@pytest.mark.parametrize("base", ["maxrl", "dr-grpo"])
def test_the_term_is_measured_beside_the_base_that_it_is_added_to(base: str, tmp_path: Path) -> None:
    settings = {"logging_strategy": "steps", "logging_steps": 1, "per_device_train_batch_size": 4}
    args = WORLD.settings(tmp_path, max_steps=1, gradient_accumulation_steps=2, **settings)
    method = methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, base=base)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), method=method)
    trainer.train()
    row = trainer.state.log_history[0]
    good = np.array(WORLD.correct)[BATCH].reshape(2, 4)
    accuracy = good.mean(axis=1, keepdims=True)
    wanted = (good - accuracy) / (accuracy + 1e-6 if base == "maxrl" else 1.0)
    assert row["ds_base"] == pytest.approx(np.abs(wanted).mean(), abs=1e-6)
    term = np.where(good.ravel(), -0.3, 0.2) * np.log(WORLD.p0)[BATCH]
    assert row["ds_term"] == pytest.approx(np.abs(term).mean(), abs=1e-6)


def test_answers_decide_what_is_distinct(tmp_path: Path) -> None:
    args = WORLD.settings(
        tmp_path, per_device_train_batch_size=len(BATCH), max_steps=1, logging_strategy="steps", logging_steps=1
    )
    trainer = WORLD.trainer(
        args,
        rollout_func=WORLD.handed_in([BATCH]),
        method="grpo",
        answer_key=lambda completion_ids, **_: ["short" if len(ids) < 4 else "long" for ids in completion_ids],
    )
    trainer.train()
    assert trainer.state.log_history[0]["distinct_correct"] == (1 + 2) / 2


@pytest.mark.parametrize(
    ("keywords", "settings", "message"),
    [
        ({"method": "ds-gpro"}, {}, "did you mean 'ds-grpo'"),
        ({"method": "ds-grpo"}, {"scale_rewards": "none"}, "scale_rewards='none'"),
        ({"method": "ds-grpo"}, {"scale_rewards": "batch"}, "scale_rewards='batch'"),
        (
            {"method": "ds-grpo"},
            {"multi_objective_aggregation": "normalize_then_sum"},
            "multi_objective_aggregation='normalize_then_sum'",
        ),
        ({"method": "entropy-bonus"}, {"entropy_coef": 0.5}, "entropy_coef=0.5"),
        ({"reward_funcs": [WORLD.reward, WORLD.reward]}, {}, "correctness=None with 2 reward functions"),
        ({"correctness": "rewards"}, {}, "correctness='rewards': no such reward function; did you mean 'reward'"),
        ({"method": "ds-grpo"}, {"scale_rewards": "none"}, r"methods.get\('ds-grpo', std=False\)"),
        ({"method": "kl-base"}, {"beta": 0.5}, r"methods.get\('kl-base', beta=0.5\)"),
        (
            {"gamma_p": 0.3},
            {},
            r"gamma_p=0.3: an option of the method; pass method=methods.get\('ds-grpo', gamma_p=0.3\)",
        ),
        ({"method": {"gamma_p": 0.3}}, {}, "must be a name, or a method with its options"),
    ],
)
def test_contradictions_are_refused(keywords: dict, settings: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        WORLD.trainer(WORLD.settings(tmp_path, max_steps=1, **settings), **keywords)


@pytest.mark.parametrize(
    ("verdicts", "message"),
    [
        ([True] * 3, "3 values for 8 completions"),
        ([0.5] * 8, "returned 0.5; a verdict is True, False or None"),
        (["1"] * 8, "returned '1'; a verdict is"),
        ([[]] * 8, r"returned \[\]; a verdict is"),
    ],
)
def test_bad_verdicts_are_named(verdicts: list, message: str, tmp_path: Path) -> None:
    args = WORLD.settings(tmp_path, per_device_train_batch_size=8, max_steps=1)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH]), correctness=lambda **_: verdicts)
    with pytest.raises(ValueError, match=message):
        trainer.train()


def test_what_belongs_to_a_method_reaches_trl(tmp_path: Path) -> None:
    args = WORLD.settings(tmp_path, max_steps=1)
    trainer = WORLD.trainer(args, method=methods.get("entropy-penalty", entropy_coef=-0.02))
    assert trainer.entropy_coef == -0.02
    assert args.entropy_coef == 0.0, "the caller's settings stay as they were"
    assert WORLD.trainer(args, method=methods.get("ds-grpo", std=False)).scale_rewards == "none"


@pytest.mark.parametrize(("name", "sign"), [("entropy-bonus", 1), ("entropy-penalty", -1)])
def test_entropy_methods_move_entropy_their_way(name: str, sign: int, tmp_path: Path) -> None:
    """A group without spread leaves nothing but the entropy term."""

    def entropy(step: np.ndarray) -> float:
        law = np.array(WORLD.p0) * np.exp(step)
        law /= law.sum()
        return float(-(law * np.log(law)).sum())

    method = methods.get(name, entropy_coef=0.05 * sign)
    step = first_step(tmp_path, method, [0, 0, 1, 2], learning_rate=2.0)
    assert sign * (entropy(step) - entropy(np.zeros(5))) > 1e-4


SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    one = runpy.run_path(str(SCRIPT))["train_all"](tmp_path / "one", 1)
    (tmp_path / "two").mkdir()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    support = SCRIPT.parents[1] / "support"
    path = os.pathsep.join([str(support), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    done = subprocess.run(
        [*launch, str(SCRIPT), str(tmp_path / "two")], env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two: dict[str, Any] = json.loads((tmp_path / "two" / "two.json").read_text())
    assert set(two) == set(one)
    for name, found in one.items():
        if name != "evaluation":
            assert np.abs(np.array(found["theta"]) - np.log(WORLD.p0)).max() > 1e-2
        for key, values in found.items():
            np.testing.assert_allclose(two[name][key], values, rtol=0, atol=2e-6, err_msg=f"{name} {key}")


def test_a_callable_is_a_method_too(tmp_path: Path) -> None:
    """A method of one's own: one function, no entry in the registry."""
    zero: Callable[[Rollouts, Any], torch.Tensor] = lambda rows, options: torch.zeros_like(rows.base)  # noqa: E731
    assert not first_step(tmp_path, dataclasses.replace(PLAIN, advantages=zero)).any()


def test_default_arguments_are_trls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = GRPOConfig("elsewhere", report_to="none", use_cpu=True, bf16=False)
    trainer = DSGRPOTrainer(
        WORLD.model(),
        WORLD.reward,
        config,
        Dataset.from_dict({"prompt": ["<bos>"] * 8}),
        processing_class=tabular_tokenizer(5),
    )
    assert trainer.method == methods.get("ds-grpo")
