"""The baselines through the real trainer: the same step by every road; what is left to TRL is what its name says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import averaged_step
from stepping import BATCH, WORLD, first_step, plain_step
from trl.trainer import grpo_trainer

from differential_smoothing.config import configured
from differential_smoothing.methods import METHODS, Method, get
from differential_smoothing.rollouts import Rollouts
from rl.models.tabular import tabular_lm

OWN: dict[str, dict[str, Any]] = {
    "passk-training": {"k": 2},
    "pkpo": {"k": 2},
    "r1-zero-div": {"strength": 0.2},
    "adrpo": {"estimator": "k1"},  # k3 is GRPO where the policy is the base: test_tokens.py
}
BASELINES = [
    get(name, **OWN.get(name, {}))
    for name in (
        "unlikeliness",
        "passk-training",
        "pkpo",
        "outcome-batch",
        "outcome-historical",
        "maxrl",
        "f-grpo",
        "ucpo",
        "darling",
        "entropy-advantage",
        "w-reinforce",
        "psr",
        "nsr",
        "bbg",
        "xdr-grpo",
        "reco",
        "uarl",
        "cue-grpo",
        "setpo",
        "r1-zero-div",
        "adrpo",
    )
]
BATCHES = {"cue-grpo": [0, 0, 1, 4, 1, 3, 0, 2]}  # some correct answer twice, another once


@pytest.mark.parametrize("method", BASELINES, ids=lambda m: m.name)
def test_every_road_gives_the_same_step(method: Method, tmp_path: Path) -> None:
    """One micro-batch; micro-batches that split groups; log-probs of the old policy at hand; a batch used twice."""
    batch = BATCHES.get(method.name, BATCH)
    wanted = plain_step(method, batch)
    assert np.abs(wanted - plain_step(get("grpo"), batch)).max() > 1e-3, "it is not GRPO"
    split = first_step(tmp_path, method, batch, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    old = first_step(tmp_path, method, batch, num_iterations=2)
    twice = first_step(tmp_path, method, batch, num_iterations=2, steps_per_generation=1, gradient_accumulation_steps=2)
    for found in (split, old, twice):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_every_baseline_of_the_registry_is_here() -> None:
    ours = {
        name
        for name, method in METHODS.items()
        if (method.advantages or len).__module__
        not in (len.__module__, "differential_smoothing.smoothing", "differential_smoothing.methods.logprob")
    }
    assert ours - {"divpo"} == {method.name for method in BASELINES}  # it needs a base: test_tokens.py


def seen_rows(folder: Path, method: Method, **settings: Any) -> list[Rollouts]:
    """What the method is given over the updates of one batch."""
    seen: list[Rollouts] = []
    inner = method.advantages
    assert inner is not None

    def advantages(rows: Rollouts, options: Any) -> torch.Tensor:
        seen.append(rows)
        return inner(rows, options)

    settings = {"per_device_train_batch_size": len(BATCH), "max_steps": 1, **settings}
    args = WORLD.settings(folder, **settings)
    spied = dataclasses.replace(method, advantages=advantages)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([BATCH, BATCH]), method=spied)
    trainer.train()
    return seen


@pytest.mark.parametrize("iterations", [1, 2])
def test_answers_are_one_for_each_trajectory(iterations: int, tmp_path: Path) -> None:
    (rows,) = seen_rows(tmp_path, get("darling"), num_iterations=iterations)
    assert rows.answers is not None
    total = (rows.logps * rows.mask).sum(dim=1).double()
    order = (total[:, None] - torch.log(torch.tensor(WORLD.p0, dtype=torch.float64))).abs().argmin(dim=1)
    assert sorted(order.tolist()) == sorted(BATCH)
    same = rows.answers[:, None] == rows.answers
    assert torch.equal(same, order[:, None] == order)


@pytest.mark.parametrize("iterations", [1, 2])
def test_seen_counts_the_batches_before(iterations: int, tmp_path: Path) -> None:
    """Two batches alike: in the second every answer was given before as often as the first batch held it."""
    rows = seen_rows(tmp_path, get("outcome-historical"), num_iterations=iterations, max_steps=2 * iterations)
    assert len(rows) == 2
    assert rows[0].seen is not None
    assert rows[1].seen is not None
    assert not rows[0].seen.any()
    assert sorted(rows[1].seen.tolist()) == sorted(BATCH.count(y) for y in BATCH)


def test_entropies_are_those_of_the_policy_being_updated(tmp_path: Path) -> None:
    """At the first token: the laws before the first and before the second update of one batch."""
    rows = seen_rows(tmp_path, get("entropy-advantage"), num_iterations=2, max_steps=2)
    assert len(rows) == 2
    laws = torch.tensor([0.2 + 0.05, 0.1 + 0.3, 0.35])
    wanted = float(-(laws * laws.log()).sum())
    assert rows[0].entropies is not None
    assert rows[1].entropies is not None
    assert rows[0].entropies[:, 0].tolist() == pytest.approx([wanted] * len(BATCH), abs=1e-5)
    assert abs(float(rows[1].entropies[0, 0]) - wanted) > 1e-3
    assert torch.equal(rows[0].logps.sum(), rows[1].logps.sum()), "log-probs stay those of the policy that sampled"


def test_dr_grpo_centers_and_divides_by_constants(tmp_path: Path) -> None:
    """(1/N) sum (r_i − mean) (onehot(y_i) − pi): tokens over the maximal length, which the learning rate undoes."""
    found = plain_step(get("dr-grpo"))
    good = np.array(WORLD.correct, dtype=float)[BATCH].reshape(2, 4)
    advantages = (good - good.mean(axis=1, keepdims=True)).ravel()
    wanted = advantages @ (np.eye(5)[BATCH] - np.array(WORLD.p0)) / len(BATCH)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


REFERENCE = (0.05, 0.3, 0.25, 0.3, 0.1)


def token_kl_gradient(reverse: bool) -> np.ndarray:
    """sum over prefixes of P(prefix) grad KL(pi || ref) at that prefix; of KL(ref || pi) if not `reverse`."""
    model, other = WORLD.model(), tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist())
    total = torch.zeros(())
    for y, trajectory in enumerate(WORLD.trajectories):
        ids = torch.tensor([[1, *trajectory[:-1]]])
        pi, ref = (m(ids).logits[0].log_softmax(-1) for m in (model, other))
        first, second = (pi, ref) if reverse else (ref.detach(), pi)
        total = total + WORLD.p0[y] * (first.exp() * (first - second)).sum()
    (gradient,) = torch.autograd.grad(total, [model.theta])
    return gradient.numpy()


@pytest.mark.parametrize("corrected", [True, False])
def test_kl_to_the_base_has_the_gradient_it_names(
    corrected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the importance weight that of KL(pi || ref), without it that of KL(ref || pi); averaged over all groups."""
    monkeypatch.setattr(
        grpo_trainer,
        "create_model_from_path",
        lambda *_, **__: tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist()),
    )
    method = get("kl-base", beta=0.5, use_bias_correction_kl=corrected)
    found = averaged_step(WORLD, tmp_path, 2, method=method, reward_funcs=lambda completion_ids, **_: [1.0] * 2)
    np.testing.assert_allclose(found, -0.5 * token_kl_gradient(corrected), rtol=0, atol=1e-6)
    assert np.abs(found + 0.5 * token_kl_gradient(not corrected)).max() > 1e-3


@pytest.mark.parametrize(
    ("method", "moves"), [(get("grpo"), False), (get("clip-higher"), True)], ids=["grpo", "higher"]
)
def test_clip_higher_lets_a_ratio_of_1_25_through(method: Method, moves: bool, tmp_path: Path) -> None:
    args = WORLD.settings(tmp_path, per_device_train_batch_size=4, max_steps=1)
    trainer = WORLD.trainer(args, rollout_func=WORLD.handed_in([[0, 0, 3, 4]]), method=method)
    trainer.train()
    batch = dict(trainer._buffered_inputs[0])
    logps, _, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
        torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1),
        batch["completion_ids"].shape[1],
    )
    batch["old_per_token_logps"] = logps.detach() - np.log(1.25)
    batch["advantages"] = torch.ones(4)
    loss = trainer._compute_loss(trainer.model, batch)
    (gradient,) = torch.autograd.grad(loss, [trainer.model.theta])  # type: ignore[union-attr]
    assert bool(gradient.any()) == moves


def test_an_upper_clip_spelled_out_as_the_lower_one_yields(tmp_path: Path) -> None:
    """TRL's default for the upper clip is the lower one; another value contradicts the method."""
    method = get("clip-higher")
    assert configured(WORLD.settings(tmp_path, epsilon=0.2, epsilon_high=0.2), method).epsilon_high == 0.28
    assert configured(WORLD.settings(tmp_path, epsilon=0.2), method).epsilon_high == 0.28
    assert configured(WORLD.settings(tmp_path, epsilon=0.2, epsilon_high=0.3), get("grpo")).epsilon_high == 0.3
    with pytest.raises(ValueError, match=r"epsilon_high=0\.3 contradicts"):
        configured(WORLD.settings(tmp_path, epsilon=0.2, epsilon_high=0.3), method)


def test_an_option_that_the_name_stands_for_is_refused() -> None:
    with pytest.raises(ValueError, match="scale_rewards"):
        get("dr-grpo", scale_rewards="group")
    with pytest.raises(ValueError, match="beta=-1"):
        get("kl-base", beta=-1.0)
    with pytest.raises(ValueError, match=r"passk-training: k=0\.5"):
        get("passk-training", k=0.5)
