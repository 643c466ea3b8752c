"""Methods that weigh each token: against autograd on their objectives, slow loops, and through the real trainer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import steps
from hypothesis import given, settings
from hypothesis import strategies as st
from stepping import BATCH, WORLD, first_step
from trl.trainer import grpo_trainer

from differential_smoothing.methods import get
from differential_smoothing.methods.tokens import (
    AdrpoConfig,
    R1ZeroDivConfig,
    SimkoConfig,
    adrpo,
    r1_zero_div,
    simko,
)
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts
from rl.models.tabular import tabular_lm

ROWS, WIDTH, WORDS = 5, 6, 7


def drawn(seed: int) -> tuple[Rollouts, torch.Tensor, torch.Tensor]:
    """Rows, logits (B, T, V) with gradient, sampled tokens (B, T): one row empty, one unscorable."""
    torch.manual_seed(seed)
    logits = (2 * torch.randn(ROWS, WIDTH, WORDS, dtype=torch.float64)).requires_grad_()
    tokens = torch.randint(WORDS, (ROWS, WIDTH))
    likely = torch.rand(ROWS, WIDTH) < 0.5  # as sampling would, often the likeliest
    tokens = logits.detach().argmax(-1).where(likely, tokens)
    logps = picked(logits, tokens).detach()
    mask = torch.arange(WIDTH) < torch.tensor([6, 3, 5, 0, 4])[:, None]
    correct = torch.tensor([CORRECT, INCORRECT, CORRECT, CORRECT, INCORRECT])[torch.randperm(5)]
    correct[seed % 5] = UNSCORABLE
    base = torch.tensor([0.9, -0.9, 0.0])[torch.tensor([0, 1, 2])[1 - correct.clamp(min=-1)]].double()
    rows = Rollouts(
        rewards=correct.double(),
        base=base,
        logps=logps.masked_fill(~mask, torch.nan),
        mask=mask,
        correct=correct,
        groups=torch.zeros(ROWS, dtype=torch.long),
        reference=(logps + torch.randn(ROWS, WIDTH)).masked_fill(~mask, torch.nan),
    )
    return rows, logits, tokens


def picked(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return logits.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def gradient(objective: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(objective, [logits], retain_graph=True)
    return found


def pull(advantages: torch.Tensor, rows: Rollouts, logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The gradient of the sum over tokens of advantage times log-prob."""
    each = advantages if advantages.dim() == 2 else advantages.unsqueeze(1)
    return gradient((each.detach() * picked(logits, tokens))[rows.mask].sum(), logits)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), strength=st.sampled_from([0.01, 0.3]))
def test_r1_zero_div_has_the_gradient_of_its_objective(seed: int, strength: float) -> None:
    """Per token A w + lambda r (−w log pi), w = pi / sg(pi), as the paper writes it."""
    rows, logits, tokens = drawn(seed)
    logps = picked(logits, tokens)
    w = (logps - logps.detach()).exp()
    right = (rows.correct == CORRECT).double().unsqueeze(1)
    wanted = gradient((rows.base.unsqueeze(1) * w + strength * right * (-w * logps))[rows.mask].sum(), logits)
    found = pull(r1_zero_div(rows, R1ZeroDivConfig(strength)), rows, logits, tokens)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    estimator=st.sampled_from(["k1", "k3"]),
    beta=st.sampled_from([0.04, 1.5]),
    lowest=st.sampled_from([-5.0, -0.5, 0.0, 0.03]),
)
def test_adrpo_has_the_gradient_of_its_loss(seed: int, estimator: Any, beta: float, lowest: float) -> None:
    """Per token A w − c KL, c = max(beta − A, lowest); what TRL's own beta k3 does is left to it."""
    rows, logits, tokens = drawn(seed)
    assert rows.reference is not None
    option = AdrpoConfig(beta, estimator, max(lowest, 0.0) if estimator == "k3" else lowest)
    logps = picked(logits, tokens)
    log_x = rows.reference.nan_to_num() - logps
    kl = -log_x if estimator == "k1" else log_x.exp() - log_x - 1
    weight = (beta - rows.base).clamp(min=option.lowest).where(rows.correct != UNSCORABLE, torch.zeros(()).double())
    if estimator == "k3":
        weight = weight - beta
        weight = weight.where(rows.correct != UNSCORABLE, 0.0)
    objective = rows.base.unsqueeze(1) * (logps - logps.detach()).exp() - weight.unsqueeze(1) * kl
    wanted = gradient(objective[rows.mask].sum(), logits)
    torch.testing.assert_close(pull(adrpo(rows, option), rows, logits, tokens), wanted, rtol=1e-9, atol=1e-12)


def slow_simko(rows: Rollouts, logits: torch.Tensor, tokens: torch.Tensor, o: SimkoConfig) -> torch.Tensor:
    """The logit gradient by its closed form: A [(1−a) e_y + (a/K) sum e_k − pi], token by token."""
    found = torch.zeros_like(logits)
    pi = logits.detach().softmax(-1)
    for i in range(ROWS):
        counted = [t for t in range(WIDTH) if rows.mask[i, t]]
        entropy = {t: -float((pi[i, t] * pi[i, t].log()).sum()) for t in counted}
        for t in counted:
            direction = torch.zeros(WORDS, dtype=torch.float64)
            y = int(tokens[i, t])
            a, scale = 0.0, 1.0
            if entropy[t] > np.quantile(list(entropy.values()), o.tau):
                a = o.alpha if rows.correct[i] == CORRECT else 0.0
                if rows.correct[i] == INCORRECT and y == int(pi[i, t].argmax()):
                    scale = o.penalty
            direction[y] += 1 - a
            for k in pi[i, t].argsort(descending=True)[: o.k].tolist():
                direction[k] += a / o.k
            found[i, t] = rows.base[i] * scale * (direction - pi[i, t])
    return found


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    option=st.sampled_from([SimkoConfig(), SimkoConfig(0.3, 2, 0.3, 2.0), SimkoConfig(1.0, 9, 0.0, 0.0)]),
)
def test_simko_keeps_values_and_has_its_closed_gradient(seed: int, option: SimkoConfig) -> None:
    option = dataclasses.replace(option, k=min(option.k, WORDS))
    rows, logits, tokens = drawn(seed)
    found = simko(rows, logits.log_softmax(-1), tokens, option)
    assert torch.equal(found, picked(logits, tokens))
    ratio = (found - found.detach()).exp()
    got = gradient((rows.base.unsqueeze(1) * ratio)[rows.mask].sum(), logits)
    torch.testing.assert_close(got, slow_simko(rows, logits, tokens, option), rtol=1e-9, atol=1e-12)


def test_simko_is_the_ratio_of_the_paper_off_policy() -> None:
    """(1−a) w + (a/K) sum sg(w / w_k) w_k, w against an older policy: value w, and the same gradient."""
    rows, logits, tokens = drawn(4)
    old = (logits.detach() + 0.3 * torch.randn(logits.shape, dtype=torch.float64)).log_softmax(-1)
    laws = logits.log_softmax(-1)
    w = (laws - old).exp()
    own = w.gather(-1, tokens.unsqueeze(-1))
    top = w.gather(-1, laws.detach().topk(3, dim=-1).indices)
    theirs = 0.9 * own + 0.1 / 3 * ((own / top).detach() * top).sum(-1, keepdim=True)
    all_right = dataclasses.replace(rows, correct=torch.full((ROWS,), CORRECT), mask=torch.ones(ROWS, WIDTH))
    ours = (
        simko(all_right, laws, tokens, SimkoConfig(0.1, 3, 0.0)) - old.gather(-1, tokens.unsqueeze(-1))[..., 0]
    ).exp()
    torch.testing.assert_close(ours, theirs[..., 0], rtol=1e-12, atol=0)
    apart = (gradient(theirs.sum(), logits) - gradient(ours.sum(), logits)).abs().amax(-1)
    assert (apart > 1e-12).sum(dim=1).tolist() == [1] * ROWS, "the token of least entropy alone is left as it is"


# The worked example: A = ±1, four rollouts of 4, 5, 10, 10 tokens of equal log-prob, the first and the last correct.
EXAMPLE = Rollouts(
    rewards=torch.tensor([1.0, 0, 0, 1]),
    base=torch.tensor([1.0, -1, -1, 1]),
    logps=torch.tensor([-0.5, -1.2, -0.8, -1.0])[:, None].expand(4, 10),
    mask=torch.arange(10) < torch.tensor([4, 5, 10, 10])[:, None],
    correct=torch.tensor([1, 0, 0, 1]),
    groups=torch.zeros(4, dtype=torch.long),
    reference=torch.full((4, 10), -1.0),
)


def test_worked_example() -> None:
    found = r1_zero_div(EXAMPLE, R1ZeroDivConfig())
    assert found[:, 0].tolist() == pytest.approx([0.995, -1, -1, 1.0], abs=1e-6)
    assert found[0, 4:].tolist() == [1.0] * 6, "nothing where no token counts"
    free = adrpo(EXAMPLE, AdrpoConfig(0.04, "k1", -5.0))
    assert free.tolist() == pytest.approx([2 - 0.04, -2 - 0.04, -2 - 0.04, 2 - 0.04])
    assert adrpo(EXAMPLE, AdrpoConfig(0.04, "k1")).tolist() == pytest.approx([1, -2.04, -2.04, 1])
    x = [math.exp(-1 - one) for one in (-0.5, -1.2, -0.8, -1.0)]
    # correct ones are freed of TRL's own beta k3, wrong ones get |A| more of it
    wanted = [1 + 0.04 * (1 - x[0]), -1 - (1 - x[1]), -1 - (1 - x[2]), 1.0]
    assert adrpo(EXAMPLE, AdrpoConfig())[:, 0].tolist() == pytest.approx(wanted)


def test_a_token_likelier_than_1_over_e_is_pushed_down() -> None:
    assert r1_zero_div(EXAMPLE, R1ZeroDivConfig(0.1))[0, 0] < 1 - 0.04


def test_strength_zero_is_the_base() -> None:
    assert r1_zero_div(EXAMPLE, R1ZeroDivConfig(0.0)) is EXAMPLE.base
    assert not R1ZeroDivConfig(0.0).active


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (R1ZeroDivConfig, {"strength": -1}, "strength=-1"),
        (AdrpoConfig, {"lowest": -0.1}, "lowest=-0.1 must be at least 0 with estimator='k3'"),
        (AdrpoConfig, {"estimator": "k1", "lowest": -math.inf}, "lowest=-inf"),
        (AdrpoConfig, {"lowest": 0.05}, "lowest=0.05"),
        (AdrpoConfig, {"beta": 0.0}, "beta=0 with estimator='k3'"),
        (AdrpoConfig, {"beta": -1}, "beta=-1"),
        (AdrpoConfig, {"estimator": "k2"}, "estimator='k2'"),
        (SimkoConfig, {"alpha": 1.1}, "alpha=1.1"),
        (SimkoConfig, {"k": 0}, "k=0"),
        (SimkoConfig, {"tau": -0.1}, "tau=-0.1"),
        (SimkoConfig, {"penalty": -1}, "penalty=-1"),
    ],
)
def test_bad_options_are_named(kind: type, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_missing_log_probs_of_the_base_are_named() -> None:
    with pytest.raises(ValueError, match="reference=None"):
        adrpo(dataclasses.replace(EXAMPLE, reference=None), AdrpoConfig())


# ── Through the trainer ─────────────────────────────────────────────────────────────────────────────────────────

REFERENCE = (0.05, 0.3, 0.25, 0.3, 0.1)
Pull = Callable[[torch.Tensor, int, float, bool, torch.Tensor], torch.Tensor]
"""From the laws (T, V), tokens, A, whether correct, and the base's log-probs (T,): what one rollout adds, (T,)."""


def wanted_step(pulled: Callable[..., torch.Tensor]) -> np.ndarray:
    """The step of the logits by autograd on the tabular model: lr / tokens times the gradient of the sum."""
    model, other = WORLD.model(), tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist())
    total, count = torch.zeros(()), 0
    for group in (BATCH[:4], BATCH[4:]):
        r = torch.tensor([float(WORLD.correct[y]) for y in group])
        for y, advantage in zip(group, (r - r.mean()) / (r.std() + 1e-4)):
            ids = torch.tensor([[1, *WORLD.trajectories[y]]])
            laws, base = (m(ids).logits[0, :-1].log_softmax(-1) for m in (model, other))
            tokens = ids[0, 1:]
            theirs = base.gather(-1, tokens[:, None])[:, 0].detach()
            total = total + pulled(laws, tokens, advantage, WORLD.correct[y], theirs).sum()
            count += len(tokens)
    (found,) = torch.autograd.grad(total, [model.theta])
    return WORLD.longest / count * found.numpy()


def own(laws: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    return laws.gather(-1, tokens[:, None])[:, 0]


def adrpo_k3(laws: torch.Tensor, tokens: torch.Tensor, a: torch.Tensor, right: bool, base: torch.Tensor) -> Any:
    log_x = base - own(laws, tokens)
    return a * own(laws, tokens) - max(0.5 - float(a), 0.1) * (log_x.exp() - log_x - 1)


def test_adrpo_through_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole loss, TRL's part of the KL and ours, with a base that is not the policy; split micro-batches too."""
    monkeypatch.setattr(
        grpo_trainer,
        "create_model_from_path",
        lambda *_, **__: tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist()),
    )
    method = get("adrpo", beta=0.5, lowest=0.1)
    for more in ({}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {"num_iterations": 2}):
        found = first_step(tmp_path, method, **more)
        np.testing.assert_allclose(found, wanted_step(adrpo_k3), rtol=0, atol=2e-6)


def divpo_step() -> np.ndarray:
    """DPO's loss by autograd: 0 over 3 in the first group (rarer than none), in the second 1 over 3."""
    model, other = WORLD.model(), tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist())
    total = torch.zeros(())
    for chosen, rejected in ((0, 3), (1, 3)):
        ratio = model.theta.log_softmax(0) - other.theta.detach().log_softmax(0)
        total = total + torch.nn.functional.logsigmoid(0.5 * (ratio[chosen] - ratio[rejected]))
    (found,) = torch.autograd.grad(total, [model.theta])
    return WORLD.longest / sum(len(WORLD.trajectories[y]) for y in BATCH) * found.numpy()


def test_divpo_through_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DPO's gradient alone: that of TRL's KL is taken back."""
    monkeypatch.setattr(
        grpo_trainer,
        "create_model_from_path",
        lambda *_, **__: tabular_lm(WORLD.trajectories, np.log(REFERENCE).tolist()),
    )
    for more in ({}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {"num_iterations": 2}):
        found = first_step(tmp_path, get("divpo", beta=0.5), **more)
        np.testing.assert_allclose(found, divpo_step(), rtol=0, atol=2e-6)


def simko_token(laws: torch.Tensor, tokens: torch.Tensor, a: torch.Tensor, right: bool, _: torch.Tensor) -> Any:
    fixed = laws.detach()
    entropy = -(fixed.exp() * fixed).sum(-1)
    forking = entropy > entropy.quantile(0.3)
    top = fixed.topk(2, dim=-1).indices
    mixed = 0.7 * own(laws, tokens) + 0.3 * laws.gather(-1, top).mean(-1)
    scale = torch.where((top[:, 0] == tokens) & (not right) & forking, 2.0, 1.0)
    return a * scale * torch.where(forking & right, mixed, own(laws, tokens))


def test_simko_through_the_trainer(tmp_path: Path) -> None:
    method = get("simko", alpha=0.3, k=2, tau=0.3, penalty=2.0)
    wanted = wanted_step(simko_token)
    assert np.abs(wanted - first_step(tmp_path, get("grpo"))).max() > 1e-3
    for more in ({}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {"num_iterations": 2}):
        np.testing.assert_allclose(first_step(tmp_path, method, **more), wanted, rtol=0, atol=2e-6)
    with pytest.raises(ValueError, match=r"beta=0\.1 contradicts method 'simko'"):
        first_step(tmp_path, method, beta=0.1)


def test_gspo_is_grpo_with_the_mean_over_sequences_on_policy(tmp_path: Path) -> None:
    found = first_step(tmp_path, get("gspo"))
    np.testing.assert_allclose(found, first_step(tmp_path, get("grpo"), loss_type="grpo"), rtol=0, atol=1e-6)
    assert np.abs(found - first_step(tmp_path, get("grpo"))).max() > 1e-3


@pytest.mark.parametrize(("ratio", "moves"), [(1 + 3.9e-4, True), (1 + 4.1e-4, False)])
def test_gspo_clips_the_ratio_of_a_sequence(ratio: float, moves: bool, tmp_path: Path) -> None:
    """A rollout of three tokens, of which one has another ratio: its mean log-ratio counts."""
    args = WORLD.settings(tmp_path, per_device_train_batch_size=4, max_steps=1, loss_type="dapo")
    trainer: Any = WORLD.trainer(args, rollout_func=WORLD.handed_in([[2, 2, 2, 2]]), method=get("gspo"))
    steps(trainer)
    batch = dict(trainer._buffered_inputs[0])
    logps, _, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1),
        torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1),
        batch["completion_ids"].shape[1],
    )
    apart = torch.zeros_like(logps)
    apart[:, 1] = logps.shape[1] * math.log(ratio)
    batch |= {"old_per_token_logps": logps.detach() - apart, "advantages": torch.ones(4)}
    loss = trainer._compute_loss(trainer.model, batch)
    (found,) = torch.autograd.grad(loss, [trainer.model.theta])
    assert bool(found.abs().max() > 1e-6) == moves
