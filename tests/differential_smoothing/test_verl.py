"""Methods in verl against the trainer's own arithmetic: in a stand-in for its plug-ins, and in verl itself.

verl is no dependency: what needs it is skipped unless it is installed (docs/verl.md says how, and what came out).
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from differential_smoothing.methods import BASES, METHODS, Method, get
from differential_smoothing.rollouts import Rollouts, normalize
from differential_smoothing.verl import advantages, correctness, install
from repro.manifest import ROOT

REWARDS = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 1.0])
INDEX = ["b", "a", "b", "a", "b", "a"]  # groups that do not stand together
MASK = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 1, 1]])
LOGPS = -torch.arange(1.0, 19.0).reshape(6, 3) / 10
DS = get("ds-grpo", gamma_p=0.3, gamma_n=0.2)
VARIANTS = [
    DS,
    get("ds-grpo", gamma_p=0.3, gamma_n=0.2, logprob_aggregation="mean", center=True),
    get("ds-grpo", gamma_p=0.3, gamma_n=0.2, logprob_aggregation="token"),
    get("ds-grpo", gamma_p=0.3, gamma_n=0.2, apply_to="reward", std=False),
    *(get("ds-grpo", gamma_p=0.3, base=base) for base in BASES),
    get("adrpo", estimator="k1"),
]
BY_ADVANTAGES = [method for method in METHODS.values() if method.advantages is not None]
IN_VERL = [
    one
    for one in BY_ADVANTAGES
    if not (one.entropies or one.answer_counts or one.reference or one.replay or one.rounds)
]
RESPONSES = torch.tensor([[5, 6, 0], [5, 7, 0], [6, 0, 0], [5, 5, 6], [0, 6, 0], [7, 8, 9]])
ANSWERS = torch.tensor([0, 1, 2, 3, 2, 4])  # by hand: equal tokens where the mask is
CODES = REWARDS.long()


def on_token(rewards: torch.Tensor, position: int = -1) -> torch.Tensor:
    """Rewards (B,) on one token of each row; the last and the first are masked in rows of either reward."""
    found = torch.zeros(MASK.shape)
    found[:, position] = rewards
    return found


def by_hand(std: bool = True) -> torch.Tensor:
    """Eq. 6 with the sum, in plain Python."""
    found = []
    for i, reward in enumerate(REWARDS.tolist()):
        group = [REWARDS[j].item() for j in range(6) if INDEX[j] == INDEX[i]]
        mean = sum(group) / 3
        scale = (sum((value - mean) ** 2 for value in group) / 2) ** 0.5 + 1e-4 if std else 1.0
        logp = sum(LOGPS[i, t].item() for t in range(3) if MASK[i, t])
        term = -0.3 * logp if reward else 0.2 * logp
        found.append([((reward - mean) / scale + term) * MASK[i, t].item() for t in range(3)])
    return torch.tensor(found)


def wanted_of(
    method: Method,
    rewards: torch.Tensor,
    logps: torch.Tensor,
    mask: torch.Tensor,
    groups: torch.Tensor,
    answers: torch.Tensor | None = None,
) -> torch.Tensor:
    """What the trainer makes of such rows: TRL's advantages, the method's base, the method."""
    assert method.advantages is not None
    base = normalize(rewards, groups, method.std)
    rows = Rollouts(rewards, base, logps, mask, rewards.long(), groups, answers)
    made = method.advantages(method.on_base(rows), method.options)
    return (made if made.dim() == 2 else made[:, None]) * mask


def settings(method: Method) -> dict[str, Any]:
    """What `install` takes besides the name."""
    return {key: value for key, value in method.settings().items() if value != get(method.name).settings()[key]}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_equation_6_by_hand_wherever_the_reward_stands(position: int) -> None:
    found = advantages(DS, on_token(REWARDS, position), MASK, LOGPS, INDEX, CODES)
    torch.testing.assert_close(found, by_hand())


def label(method: Method) -> str:
    return "-".join([method.name, *map(str, settings(method).values())])


@pytest.mark.parametrize("method", [*IN_VERL, *VARIANTS], ids=label)
def test_every_method_of_advantages_is_what_the_trainer_does(method: Method) -> None:
    """By name and options, through verl's registry."""
    verl = Verl()
    name = install(method.name, core_algos=verl.core_algos, ray_trainer=verl.ray_trainer, **settings(method))
    found = verl.ray_trainer.compute_advantage(data(responses=RESPONSES), name).batch["advantages"]
    groups = torch.tensor([1, 0, 1, 0, 1, 0])
    torch.testing.assert_close(found, wanted_of(method, REWARDS, LOGPS, MASK, groups, ANSWERS), rtol=0, atol=1e-6)


def test_what_verl_cannot_do_is_refused_by_name() -> None:
    verl = Verl()
    for method in METHODS.values():
        if method not in IN_VERL:
            with pytest.raises(ValueError, match=f"'{method.name}' (is no advantage estimator|needs .*verl does not)"):
                install(method, core_algos=verl.core_algos, ray_trainer=verl.ray_trainer)
    install("darling", core_algos=verl.core_algos, ray_trainer=verl.ray_trainer)
    with pytest.raises(ValueError, match="compares answers"):  # verl's newer trainer hands over no responses
        verl.ray_trainer.compute_advantage(data(), "darling")


def test_without_verl_it_is_imported_and_says_what_is_missing() -> None:
    script = """
import sys
sys.modules["verl"] = None
from differential_smoothing.verl import install
install("ds-grpo")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: verl cannot be imported")
    assert last.endswith("pip install 'differential-smoothing[verl]'")


@pytest.mark.parametrize(
    ("scores", "least", "codes"),
    [
        ([1, 0, 0, 1], None, [1, 0, 0, 1]),
        ([0, 0], None, [0, 0]),
        ([1, -1, 1], 0.0, [1, 0, 1]),
        ([2, 0.1], 1.0, [1, 0]),
        ([1.1, 1, 0.1, 0], 1.0, [1, 1, 0, 0]),
        ([10, 10], 10.0, [1, 1]),
    ],
)
def test_what_is_correct(scores: list[float], least: float | None, codes: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert correctness(torch.tensor(scores, dtype=torch.float), least).tolist() == codes


@pytest.mark.parametrize(
    ("scores", "odd"),
    [([1, -1], "-1"), ([2, 0.1], "2"), ([1, 0, 0.5], "0.5"), ([1.1, 0], "1.1"), ([1, math.nan], "nan")],
)
def test_other_rewards_are_refused_with_the_way_out(scores: list[float], odd: str) -> None:
    with pytest.raises(ValueError, match=rf"sum to {odd}, which is neither 1 .* `install\(correct_from=X"):
        correctness(torch.tensor(scores, dtype=torch.float), None)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_rewards_that_are_no_numbers_are_refused(odd: float) -> None:
    with pytest.raises(ValueError, match=f"sum to {odd}; the reward function must give finite numbers"):
        correctness(torch.tensor([1.0, odd]), 0.5)


@pytest.mark.parametrize(("least", "side"), [(0.0, "only correct"), (3.0, "only incorrect")])
def test_a_bound_that_parts_nothing_is_said(least: float, side: str) -> None:
    with pytest.warns(UserWarning, match=side):
        correctness(torch.tensor([1.0, 0.0, 1.0]), least)


class Verl:
    """The two modules of verl as far as they are touched here: the registry, and the caller without log-probs."""

    def __init__(self, **handed: Any) -> None:
        registry: dict[str, Any] = {}

        def register_adv_est(name: str) -> Any:
            def decorator(function: Any) -> Any:
                registry[name] = function
                return function

            return decorator

        def compute_advantage(
            data: Any, adv_estimator: str, norm_adv_by_std_in_grpo: bool = True, config: Any = None
        ) -> Any:
            uid = data.non_tensor_batch.get("uid")
            advantages, returns = registry[adv_estimator](
                token_level_rewards=data.batch["token_level_rewards"],
                response_mask=data.batch["response_mask"],
                config=config,
                **({} if uid is None else {"index": uid}),
                **handed,
            )
            data.batch["advantages"], data.batch["returns"] = advantages, returns
            return data

        self.core_algos = SimpleNamespace(register_adv_est=register_adv_est)
        self.ray_trainer = SimpleNamespace(compute_advantage=compute_advantage)


def data(**changes: Any) -> Any:
    rewards = on_token(REWARDS)
    batch = {"token_level_rewards": rewards, "token_level_scores": rewards, "response_mask": MASK}
    batch |= {"old_log_probs": LOGPS, **changes}
    return SimpleNamespace(
        batch={key: value for key, value in batch.items() if value is not None}, non_tensor_batch={"uid": INDEX}
    )


@pytest.fixture
def verl() -> Verl:
    found = Verl()
    install(core_algos=found.core_algos, ray_trainer=found.ray_trainer, gamma_p=0.3, gamma_n=0.2)
    return found


def test_registered_it_gets_the_log_probs(verl: Verl) -> None:
    found = verl.ray_trainer.compute_advantage(data(), "ds_grpo").batch
    torch.testing.assert_close(found["advantages"], by_hand())
    assert torch.equal(found["advantages"], found["returns"])


@pytest.mark.parametrize(
    "said",
    [
        {"norm_adv_by_std_in_grpo": False},
        {"config": {"norm_adv_by_std_in_grpo": False}},
        {"norm_adv_by_std_in_grpo": False, "config": {"norm_adv_by_std_in_grpo": False}},
    ],
)
def test_the_division_by_the_std_is_verls_to_say(verl: Verl, said: dict[str, Any]) -> None:
    found = verl.ray_trainer.compute_advantage(data(), "ds_grpo", **said).batch["advantages"]
    torch.testing.assert_close(found, by_hand(std=False))


def test_kl_in_the_rewards_changes_the_base_and_not_what_is_correct(verl: Verl) -> None:
    rewards = on_token(REWARDS) + 0.1 * LOGPS * MASK
    found = verl.ray_trainer.compute_advantage(data(token_level_rewards=rewards), "ds_grpo").batch["advantages"]
    wanted = advantages(DS, rewards, MASK, LOGPS, INDEX, CODES)
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found, by_hand())


def test_it_refuses_to_go_without_the_term(verl: Verl) -> None:
    with pytest.raises(RuntimeError, match="log-probs are not at hand"):
        verl.ray_trainer.compute_advantage(data(old_log_probs=None), "ds_grpo")
    rewards = on_token(2 * REWARDS - 1)
    signs = data(token_level_rewards=rewards, token_level_scores=rewards)
    with pytest.raises(ValueError, match="correct_from"):
        verl.ray_trainer.compute_advantage(signs, "ds_grpo")
    alone = data()
    alone.non_tensor_batch.clear()
    with pytest.raises(ValueError, match="lacks `uid`"):
        verl.ray_trainer.compute_advantage(alone, "ds_grpo")
    with pytest.raises(ValueError, match="would change no advantage"):
        install(core_algos=verl.core_algos, ray_trainer=verl.ray_trainer, gamma_p=0, gamma_n=0)


def test_rewards_of_either_sign_give_what_one_and_zero_give() -> None:
    verl = Verl()
    install(core_algos=verl.core_algos, ray_trainer=verl.ray_trainer, correct_from=0.0, gamma_p=0.3, gamma_n=0.2)
    rewards = on_token(2 * REWARDS - 1)
    found = verl.ray_trainer.compute_advantage(
        data(token_level_rewards=rewards, token_level_scores=rewards), "ds_grpo"
    ).batch["advantages"]
    torch.testing.assert_close(found, by_hand(), rtol=0, atol=2e-4)  # 1e-4 beside the std


def test_what_verl_hands_over_and_nobody_uses_is_named() -> None:
    verl = Verl(reward_baselines=torch.zeros(6))
    install(core_algos=verl.core_algos, ray_trainer=verl.ray_trainer, gamma_p=0.3, gamma_n=0.2)
    with pytest.raises(ValueError, match="verl gives reward_baselines"):
        verl.ray_trainer.compute_advantage(data(), "ds_grpo")


needs_verl = pytest.mark.skipif(
    importlib.util.find_spec("verl") is None,
    reason="verl is not installed; docs/verl.md says how to run this (five minutes, no GPU)",
)
MINE = "from differential_smoothing.verl import install\ninstall(**{options})\n"
INSIDE = """
import json, sys
import numpy as np, torch
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.config.algorithm import AlgoConfig
from verl.trainer.ppo import ray_trainer
from verl.trainer.ppo.v1 import utils
asked = json.loads(sys.argv[1])
batch = {key: torch.tensor(value) for key, value in asked["batch"].items()}
groups = {"uid": np.array(asked["index"], dtype=object)}
keys = [f"{name}_{number}_0" for number, name in enumerate(asked["index"])]
std = asked["std"]
found = {}
for method in asked["methods"]:
    settings = {"adv_estimator": method, "norm_adv_by_std_in_grpo": std}
    plain, node = AlgoConfig(**settings), OmegaConf.create(settings)  # the trainers hand over the latter
    for name, call in (
        ("v0", lambda data: ray_trainer.compute_advantage(data, method, norm_adv_by_std_in_grpo=std, config=node)),
        ("config", lambda data: ray_trainer.compute_advantage(data, method, config=plain)),
        ("v1", lambda data: utils.compute_advantage_for_multi_trajectories(
            data, keys, method, norm_adv_by_std_in_grpo=std, config=node)),
    ):
        if method == "grpo" and name == "config":
            continue  # verl's own reads the argument
        made = call(DataProto(batch=TensorDict(dict(batch), batch_size=len(keys)), non_tensor_batch=groups)).batch
        assert torch.equal(made["advantages"], made["returns"])
        found[f"{method} {name}"] = made["advantages"].tolist()
print("found", json.dumps(found))
"""


def in_verl(
    folder: Path, batch: dict[str, torch.Tensor], index: list[str], std: bool, methods: list[str], asked: dict[str, Any]
) -> dict[str, torch.Tensor]:
    """Advantages by method and place of verl, where `install(**asked)` was called as docs/verl.md has it."""
    (folder / "my_ds.py").write_text(MINE.format(options=repr(asked)))
    places = os.pathsep.join(map(str, (folder, ROOT, os.environ.get("PYTHONPATH", ""))))
    request = {
        "batch": {key: value.tolist() for key, value in batch.items()},
        "index": index,
        "std": std,
        "methods": methods,
    }
    done = subprocess.run(
        [sys.executable, "-c", INSIDE, json.dumps(request)],
        env={**os.environ, "PYTHONPATH": places, "VERL_USE_EXTERNAL_MODULES": "my_ds", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    [found] = [line.removeprefix("found ") for line in done.stdout.splitlines() if line.startswith("found ")]
    return {name: torch.tensor(value) for name, value in json.loads(found).items()}


@needs_verl
@pytest.mark.parametrize("method", VARIANTS, ids=label)
def test_in_verl_itself_it_is_what_the_trainer_does(method: Method, tmp_path: Path) -> None:
    """As it is to be used, in a process of its own: both trainers of verl, random rollouts, rewards anywhere."""
    generator = torch.Generator().manual_seed(0)
    rows, width, names = 24, 7, [f"prompt {row % 4}" for row in range(24)]
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    mask = (torch.arange(width) < lengths[:, None]).long()
    rewards = torch.randint(0, 2, (rows,), generator=generator).float()
    logps = -torch.rand(rows, width, generator=generator)
    placed = torch.zeros(rows, width)
    placed[torch.arange(rows), torch.randint(0, width, (rows,), generator=generator)] = rewards
    batch = {"token_level_rewards": placed, "token_level_scores": placed, "response_mask": mask}
    batch["old_log_probs"] = logps
    found = in_verl(tmp_path, batch, names, method.std, ["ds_grpo"], settings(method))

    wanted = wanted_of(method, rewards, logps, mask, torch.arange(rows) % 4)
    assert len(found) == 3
    for made in found.values():
        torch.testing.assert_close(made, wanted, rtol=0, atol=1e-6)


@needs_verl
@pytest.mark.parametrize("std", [True, False])
def test_beside_verls_own_grpo(tmp_path: Path, std: bool) -> None:
    """With log-probs of 0 the term is 0: what is left is verl's, also for −1, and for rewards on masked tokens."""
    rewards = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]])
    batch = {"token_level_rewards": rewards, "token_level_scores": rewards, "response_mask": mask}
    batch["old_log_probs"] = torch.zeros(4, 3)
    asked = {"gamma_p": 0.3, "gamma_n": 0.2, "correct_from": 0.0}
    found = in_verl(tmp_path, batch, ["one"] * 4, std, ["grpo", "ds_grpo"], asked)
    assert len(found) == 5
    size = 0.866 if std else 1.0
    wanted = torch.tensor([size, size, -size, -size])[:, None] * mask
    for made in found.values():
        torch.testing.assert_close(made, wanted, rtol=0, atol=2e-4)
