"""What the trainer relies on inside TRL, asserted on TRL's own: keys, shapes, order of calls and reads.

A failure here after an upgrade says which assumption moved.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import World
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import shuffle_sequence_dict, split_tensor_dict

from differential_smoothing.rollouts import STD_EPS, normalize
from differential_smoothing.trl import FORWARD_KEYS, DifferentialSmoothingMixin

WORLD = World()
BATCH = [0, 0, 3, 4, 1, 3, 0, 2]
REQUIRED = {"prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages", "num_items_in_batch"}


class Watching(GRPOTrainer):
    """TRL's trainer, its calls written down in order."""

    calls: list[str]
    outputs: list[dict[str, Any]]
    rewards: list[torch.Tensor]
    logps: list[tuple[torch.Tensor, Any, Any]]
    reads: list[list[str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.calls, self.outputs, self.rewards, self.logps, self.reads = [], [], [], [], []
        super().__init__(*args, **kwargs)

    def _generate(self, *args: Any) -> Any:
        self.calls.append("generate")
        return super()._generate(*args)

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        self.calls.append("rewards")
        self.rewards.append(super()._calculate_rewards(*args))
        return self.rewards[-1]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.calls.append("score")
        self.outputs.append(super()._generate_and_score_completions(inputs))
        return self.outputs[-1]

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append("logps")
        self.logps.append(super()._get_per_token_logps_and_entropies(*args, **kwargs))
        return self.logps[-1]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self.calls.append("loss")
        recorded = Recorder(inputs, self.calls)
        loss = super()._compute_loss(model, recorded)
        self.calls.append("end")
        return loss


class Recorder(dict):
    """A dict that says when its advantages are read."""

    def __init__(self, content: dict[str, Any], calls: list[str]) -> None:
        super().__init__(content)
        self.calls = calls

    def __getitem__(self, key: str) -> Any:
        if key == "advantages":
            self.calls.append("read")
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key == "advantages":
            self.calls.append("read")
        return super().get(key, default)


def watched(folder: Path, kind: type[Watching] = Watching, **settings: Any) -> Watching:
    keywords = {key: settings.pop(key) for key in ("reward_funcs",) if key in settings}
    settings = {"per_device_train_batch_size": len(BATCH), "max_steps": 1, **settings}
    args = WORLD.settings(folder, **settings)
    trainer = WORLD.trainer(args, kind, rollout_func=WORLD.handed_in([BATCH]), **keywords)
    assert isinstance(trainer, Watching)
    trainer.train()
    return trainer


def test_order_on_policy(tmp_path: Path) -> None:
    """One log-prob pass, inside the loss, and advantages are read after it."""
    assert watched(tmp_path).calls == ["score", "generate", "rewards", "loss", "logps", "read", "end"]


def test_order_with_an_old_policy(tmp_path: Path) -> None:
    """The old policy's pass comes before the rewards; every loss has its own."""
    loss = ["loss", "logps", "read", "end"]
    found = watched(tmp_path, num_iterations=2, max_steps=2).calls
    assert found == ["score", "generate", "logps", "rewards", *loss, *loss]


def test_the_order_check_notices_an_early_read(tmp_path: Path) -> None:
    class Early(Watching):
        def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
            self.calls.append("read")
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)

    assert watched(tmp_path, Early).calls != ["score", "generate", "rewards", "loss", "logps", "read", "end"]


@pytest.mark.parametrize(
    ("settings", "old"),
    [
        ({}, False),
        ({"num_iterations": 2}, True),
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}, False),
        ({"per_device_train_batch_size": 4, "steps_per_generation": 2, "gradient_accumulation_steps": 1}, True),
        ({"num_iterations": 2, "steps_per_generation": 1, "gradient_accumulation_steps": 2}, False),
    ],
    ids=str,
)
def test_keys_and_shapes(settings: dict, old: bool, tmp_path: Path) -> None:
    """Advantages are (B,), no rewards are handed on, and old log-probs are there exactly when the batch is reused."""
    (output,) = watched(tmp_path, **settings).outputs
    assert set(output) == REQUIRED | ({"old_per_token_logps"} if old else set())
    shape = (len(BATCH), WORLD.longest)
    assert output["advantages"].shape == (len(BATCH),)
    assert output["completion_ids"].shape == output["completion_mask"].shape == shape
    assert output["completion_mask"].sum(dim=1).tolist() == [len(WORLD.trajectories[y]) for y in BATCH]
    assert output["num_items_in_batch"].ndim == 0
    if old:
        assert output["old_per_token_logps"].shape == shape


def test_rewards_are_gathered_rows_by_function_in_order(tmp_path: Path) -> None:
    def none(completion_ids: list[list[int]], **_: Any) -> list[None]:
        return [None] * len(completion_ids)

    (rewards,) = watched(tmp_path, reward_funcs=[WORLD.reward, none]).rewards
    assert rewards.shape == (len(BATCH), 2)
    assert rewards[:, 0].tolist() == [float(WORLD.correct[y]) for y in BATCH]
    assert rewards[:, 1].isnan().all()


def test_reward_functions_receive_columns_and_ids() -> None:
    names = list(inspect.signature(GRPOTrainer._calculate_rewards).parameters)
    assert names == ["self", "inputs", "prompts", "completions", "completion_ids_list"]


def test_forward_arguments_are_all_known() -> None:
    """Whatever TRL's forward pass takes besides tokens must be passed on in our extra pass."""
    known = list(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)
    if "args" in known:  # TRL 1.14 hands them on
        known = list(inspect.signature(GRPOTrainer._full_logits_logps).parameters)
    ours = ["self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size"]
    assert known[:6] == ours
    assert set(known[6:]) == {*FORWARD_KEYS, "compute_entropy", "compute_aux_loss"}


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probs_are_those_of_the_sampling_distribution(temperature: float, tmp_path: Path) -> None:
    trainer = watched(tmp_path, temperature=temperature, learning_rate=0.0)
    ((logps, entropies, auxiliary),) = trainer.logps
    (batch,) = trainer._buffered_inputs
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    with torch.no_grad():
        logits = WORLD.model()(ids).logits[:, :-1][:, -WORLD.longest :] / temperature
    wanted = logits.log_softmax(-1).gather(2, batch["completion_ids"].unsqueeze(2)).squeeze(2)
    mask = batch["completion_mask"].bool()
    torch.testing.assert_close(logps[mask].double(), wanted[mask], rtol=0, atol=1e-6)
    assert entropies.shape == logps.shape
    assert auxiliary is None


@pytest.mark.parametrize("scale", ["group", "none"])
def test_base_advantages_are_ours(scale: str, tmp_path: Path) -> None:
    """`normalize` is TRL's rule: ddof 1, + 1e-4, rows without a reward left out and given 0."""

    def uneven(completion_ids: list[list[int]], **_: Any) -> list[float | None]:
        return [None, 1.0, 0.25, 0.0, 1.0, 1.0, None, 1.0]

    trainer = watched(tmp_path, scale_rewards=scale, reward_funcs=uneven)
    rewards = trainer.rewards[0][:, 0]
    ours = normalize(rewards, torch.tensor([0] * 4 + [1] * 4), std=scale == "group")
    torch.testing.assert_close(ours, trainer.outputs[0]["advantages"], rtol=1e-6, atol=1e-6)
    assert STD_EPS == 1e-4


@pytest.mark.parametrize("loss", ["dapo", "dr_grpo", "grpo", "bnpo"])
def test_loss_takes_advantages_per_token(loss: str, tmp_path: Path) -> None:
    trainer = watched(tmp_path, loss_type=loss)
    (batch,) = trainer._buffered_inputs
    wide = {**batch, "advantages": batch["advantages"].unsqueeze(1).expand(-1, WORLD.longest)}
    assert torch.equal(trainer._compute_loss(trainer.model, wide), trainer._compute_loss(trainer.model, batch))
    doubled = {**wide, "advantages": wide["advantages"] * torch.tensor([1.0, 2.0, 3.0, 4.0])}
    assert not torch.equal(trainer._compute_loss(trainer.model, doubled), trainer._compute_loss(trainer.model, batch))


def test_added_tensors_travel_with_their_rows() -> None:
    rows = {"completion_ids": torch.arange(16).view(8, 2), "rollouts_correct": torch.arange(8), "n": torch.tensor(3)}
    for part in split_tensor_dict(shuffle_sequence_dict(rows), 4):
        assert torch.equal(part["completion_ids"][:, 0], 2 * part["rollouts_correct"])
        assert part["rollouts_correct"].shape == (2,)
        assert part["n"] == 3


@pytest.mark.parametrize("coefficient", [0.1, -0.1])
def test_entropy_coefficient_takes_either_sign(coefficient: float, tmp_path: Path) -> None:
    plain, with_entropy = (watched(tmp_path, entropy_coef=c, learning_rate=0.0) for c in (0.0, coefficient))
    (batch,) = with_entropy._buffered_inputs
    mask = batch["completion_mask"]
    entropy = (with_entropy.logps[0][1] * mask).sum() / mask.sum()
    losses = [t._compute_loss(t.model, batch).detach() for t in (with_entropy, plain)]
    torch.testing.assert_close(losses[0] - losses[1], -coefficient * entropy, rtol=1e-4, atol=1e-6)


def test_mode_is_read_from_the_model(tmp_path: Path) -> None:
    """TRL decides between training and evaluation by `model.training`; the trainer does too."""
    trainer = watched(tmp_path)
    trainer.model.eval()  # type: ignore[union-attr]
    trainer._metrics["eval"].clear()
    trainer._compute_loss(trainer.model, trainer._buffered_inputs[0])
    assert trainer._metrics["eval"]["entropy"]


def test_settings_that_are_relied_on_exist() -> None:
    config = {field: getattr(GRPOConfig, field) for field in ("scale_rewards", "entropy_coef", "num_iterations")}
    assert config == {"scale_rewards": "group", "entropy_coef": 0.0, "num_iterations": 1}
    source = inspect.getsource(GRPOTrainer.__init__)
    for name in ("_step", "_buffered_inputs", "_metrics", "reward_weights", "num_generations_eval"):
        assert f"self.{name} = " in source
    ours = vars(DifferentialSmoothingMixin)
    theirs = [name for name in ours if name.startswith("_") and callable(ours[name]) and name in vars(GRPOTrainer)]
    assert sorted(theirs) == [
        "__init__",
        "_calculate_rewards",
        "_compute_loss",
        "_generate_and_score_completions",
        "_generate_single_turn",
        "_get_per_token_logps_and_entropies",
        "_load_optimizer_and_scheduler",
        "_prepare_inputs",
        "_save_checkpoint",
    ]


def test_truncated_rows_are_masked_as_a_whole(tmp_path: Path) -> None:
    """With `mask_truncated_completions` a row without end of sequence has no token that counts, hence no term."""

    def rollout(prompts: list[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        ids = [[3, 4, 2], [4, 4, 3, 3], [3, 2], [2]]
        return {"prompt_ids": [[1]] * 4, "completion_ids": ids, "logprobs": None}

    args = WORLD.settings(tmp_path, max_steps=1, mask_truncated_completions=True)
    trainer = WORLD.trainer(args, Watching, rollout_func=rollout, reward_funcs=lambda completion_ids, **_: [1, 0, 1, 0])
    trainer.train()
    assert np.array_equal(trainer.outputs[0]["completion_mask"].sum(dim=1), [3, 0, 2, 1])  # type: ignore[attr-defined]
