"""The example for verl against the trainer's own arithmetic: in a stand-in for its plug-ins, and in verl itself.

verl is no dependency: what needs it is skipped unless it is installed (docs/verl.md says how, and what came out).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
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


needs_verl = pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="verl is not installed")
MINE = "from verl_ds_advantage import install\ninstall(**{options})\n"
INSIDE = """
import json, sys
import numpy as np, torch
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.config.algorithm import AlgoConfig
from verl.trainer.ppo import ray_trainer
from verl.trainer.ppo.v1 import utils
asked = json.loads(sys.argv[1])
batch = {key: torch.tensor(value) for key, value in asked["batch"].items()}
groups = {"uid": np.array(asked["index"], dtype=object)}
keys = [f"{name}_{number}_0" for number, name in enumerate(asked["index"])]
config = AlgoConfig(adv_estimator="ds_grpo")
found = {}
for name, call in (
    ("v0", lambda data: ray_trainer.compute_advantage(data, "ds_grpo", config=config)),
    ("v1", lambda data: utils.compute_advantage_for_multi_trajectories(data, keys, "ds_grpo", config=config)),
):
    made = call(DataProto(batch=TensorDict(dict(batch), batch_size=len(keys)), non_tensor_batch=groups)).batch
    assert torch.equal(made["advantages"], made["returns"])
    found[name] = made["advantages"].tolist()
print("found", json.dumps(found))
"""


@needs_verl
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_in_verl_itself_it_is_what_the_trainer_does(config: SmoothingConfig, tmp_path: Path) -> None:
    """As it is to be used, in a process of its own: both trainers of verl, random rollouts of unequal length."""
    generator = torch.Generator().manual_seed(0)
    rows, width, names = 24, 7, [f"prompt {row % 4}" for row in range(24)]
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).long()
    rewards = torch.randint(0, 3, (rows,), generator=generator) / 2  # 0, 1/2 (no term), 1
    logps = -torch.rand(rows, width, generator=generator)
    at_last = torch.zeros(rows, width)
    at_last[torch.arange(rows), lengths - 1] = rewards
    batch = {"token_level_rewards": at_last, "response_mask": mask, "old_log_probs": logps}
    asked = {"batch": {key: value.tolist() for key, value in batch.items()}, "index": names}

    (tmp_path / "my_ds.py").write_text(MINE.format(options=repr(vars(config))))
    places = os.pathsep.join(map(str, (tmp_path, ROOT / "examples", ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", INSIDE, json.dumps(asked)],
        env={**os.environ, "PYTHONPATH": places, "VERL_USE_EXTERNAL_MODULES": "my_ds", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [found] = [line.removeprefix("found ") for line in done.stdout.splitlines() if line.startswith("found ")]

    groups = torch.arange(rows) % 4
    correct = torch.tensor([{0.0: 0, 1.0: 1}.get(reward, -1) for reward in rewards.tolist()])
    wanted = smooth(Rollouts(rewards, normalise(rewards, groups, config.std), logps, mask, correct, groups), config)
    wanted = (wanted if wanted.dim() == 2 else wanted[:, None]) * mask
    for made in json.loads(found).values():
        torch.testing.assert_close(torch.tensor(made), wanted, rtol=0, atol=1e-6)
