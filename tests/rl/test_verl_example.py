"""The example for verl against the trainer's own arithmetic, inside a stand-in for verl's plug-in interface."""

from __future__ import annotations

import importlib.util
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from repro.manifest import ROOT
from rl.rollouts import Rollouts, normalise
from rl.smoothing import SmoothingConfig, smooth


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verl_ds_advantage", ROOT / "examples" / "verl_ds_advantage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REWARDS = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.5])
INDEX = ["b", "a", "b", "a", "b", "a"]  # groups that do not stand together
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 1]])
LOGPS = -torch.arange(1.0, 19.0).reshape(6, 3) / 10
CONFIGS = [
    SmoothingConfig(gamma_p=0.3, gamma_n=0.2),
    SmoothingConfig(gamma_p=0.3, gamma_n=0.2, reduction="mean", centring="group"),
    SmoothingConfig(gamma_p=0.3, gamma_n=0.2, reduction="token"),
    SmoothingConfig(gamma_p=0.3, gamma_n=0.2, place="reward", std=False),
]


def at_the_end(rewards: torch.Tensor) -> torch.Tensor:
    """verl puts the reward on the last token that counts."""
    found = torch.zeros(MASK.shape)
    found[torch.arange(len(rewards)), MASK.sum(dim=1) - 1] = rewards
    return found


def by_hand() -> torch.Tensor:
    """Eq. 6 with the sum, in plain Python."""
    found = []
    for i, reward in enumerate(REWARDS.tolist()):
        group = [REWARDS[j].item() for j in range(6) if INDEX[j] == INDEX[i]]
        mean = sum(group) / 3
        std = (sum((value - mean) ** 2 for value in group) / 2) ** 0.5
        logp = sum(LOGPS[i, t].item() for t in range(3) if MASK[i, t])
        term = {1.0: -0.3 * logp, 0.0: 0.2 * logp}.get(reward, 0.0)
        found.append([((reward - mean) / (std + 1e-4) + term) * MASK[i, t].item() for t in range(3)])
    return torch.tensor(found)


def test_equation_6_by_hand(example: ModuleType) -> None:
    found = example.ds_advantages(at_the_end(REWARDS), MASK, LOGPS, INDEX, CONFIGS[0])
    torch.testing.assert_close(found, by_hand())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_it_is_what_the_trainer_does(example: ModuleType, config: SmoothingConfig) -> None:
    groups = torch.tensor([1, 0, 1, 0, 1, 0])
    correct = torch.tensor([1, 0, 0, 1, 0, -1])
    rows = Rollouts(REWARDS, normalise(REWARDS, groups, config.std), LOGPS, MASK, correct, groups)
    wanted = smooth(rows, config)
    wanted = (wanted if wanted.dim() == 2 else wanted[:, None]) * MASK
    found = example.ds_advantages(at_the_end(REWARDS), MASK, LOGPS, INDEX, config)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


class Verl:
    """The two modules of verl as far as the example touches them: the registry, and the caller without log-probs."""

    def __init__(self) -> None:
        registry: dict[str, Any] = {}

        def register_adv_est(name: str) -> Any:
            def decorator(function: Any) -> Any:
                registry[name] = function
                return function

            return decorator

        def compute_advantage(data: Any, adv_estimator: str, config: Any = None) -> Any:
            advantages, returns = registry[adv_estimator](
                token_level_rewards=data.batch["token_level_rewards"],
                response_mask=data.batch["response_mask"],
                config=config,
                index=data.non_tensor_batch["uid"],
            )
            data.batch["advantages"], data.batch["returns"] = advantages, returns
            return data

        self.core_algos = SimpleNamespace(register_adv_est=register_adv_est)
        self.ray_trainer = SimpleNamespace(compute_advantage=compute_advantage)


def data(**changes: Any) -> Any:
    batch = {"token_level_rewards": at_the_end(REWARDS), "response_mask": MASK, "old_log_probs": LOGPS, **changes}
    return SimpleNamespace(
        batch={key: value for key, value in batch.items() if value is not None}, non_tensor_batch={"uid": INDEX}
    )


def test_registered_it_gets_the_log_probs(example: ModuleType) -> None:
    verl = Verl()
    example.install(verl.core_algos, verl.ray_trainer, gamma_p=0.3, gamma_n=0.2)
    found = verl.ray_trainer.compute_advantage(data(), "ds_grpo").batch
    torch.testing.assert_close(found["advantages"], by_hand())
    assert torch.equal(found["advantages"], found["returns"])


def test_it_refuses_to_go_without_the_term(example: ModuleType) -> None:
    verl = Verl()
    example.install(verl.core_algos, verl.ray_trainer, gamma_p=0.3, gamma_n=0.2)
    with pytest.raises(RuntimeError, match="log-probs are not at hand"):
        verl.ray_trainer.compute_advantage(data(old_log_probs=None), "ds_grpo")
    with pytest.raises(ValueError, match="KL in the rewards"):
        verl.ray_trainer.compute_advantage(data(token_level_rewards=at_the_end(REWARDS - 0.01)), "ds_grpo")
