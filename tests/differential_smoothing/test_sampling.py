"""Replay and dynamic sampling through the trainer: which rollouts a batch holds, and what is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import World
from datasets import Dataset
from trl import GRPOTrainer

from differential_smoothing.methods import get

WORLD = World()


def handed_in(trainer: Any, batches: Sequence[Sequence[int]], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What transformers would draw is `batches[n]` at the n-th call; returns a list that each trained batch joins."""
    waiting = iter(batches)

    def drawn(self: Any, prompt_ids: list[Any], *_: Any, **__: Any) -> Any:
        batch = list(next(waiting))
        assert len(batch) == len(prompt_ids)
        return [list(WORLD.trajectories[y]) for y in batch], None

    trained: list[Any] = []
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", drawn)
    real = trainer._generate_and_score_completions

    def kept(inputs: Any) -> Any:
        trained.append(real(inputs))
        return trained[-1]

    monkeypatch.setattr(trainer, "_generate_and_score_completions", kept)
    return trained


def trajectories(output: Any) -> list[int]:
    rows = zip(output["completion_ids"], output["completion_mask"])
    return [WORLD.trajectories.index(tuple(ids[mask.bool()].tolist())) for ids, mask in rows]


def trainer(folder: Path, method: Any, steps: int, rows: int = 8, **more: Any) -> Any:
    settings = {"per_device_train_batch_size": rows, "max_steps": steps, "loss_type": "dapo", **more}
    return WORLD.trainer(WORLD.settings(folder, **settings), method=method)


def test_replayed_rollouts_take_the_last_rows_of_each_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of four, two of them replayed; 0 and 1 were found in the first batch, 2 in the second."""
    made = trainer(tmp_path, get("rlep", replay=2), 3)
    batches = [[3, 4, 3, 4, 0, 1, 3, 0], [3, 3, 3, 3, 2, 4, 4, 2], [3] * 8]
    trained = handed_in(made, batches, monkeypatch)
    made.train()
    first, second, third = (trajectories(output) for output in trained)
    assert first == batches[0]
    assert second[:2] + second[4:6] == [3, 3, 2, 4]
    assert sorted(second[2:4]) == sorted(second[6:]) == [0, 1]
    assert third[:2] == [3, 3]
    assert set(third[2:4]) < {0, 1, 2}
    assert len(set(third[2:4])) == 2
    # two wrong and two replayed correct ones: normalized together, over all four
    for row in range(4):
        assert float(trained[1]["advantages"][row]) == pytest.approx((-0.866 if row < 2 else 0.866), abs=1e-3)


def test_ds_on_top_of_replay_reads_the_present_log_probs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = get("rlep@ds", replay=1, gamma_p=0.3)
    assert method.active
    seen = []
    monkeypatch.setattr("differential_smoothing.trl.DSGRPOTrainer._shaped", spied(seen))
    made = trainer(tmp_path, method, 2)
    handed_in(made, [[0, 3, 3, 3, 1, 4, 4, 4], [3] * 8], monkeypatch)
    made.train()
    base, shaped, logps = seen[1]
    replayed = base > 0
    assert replayed.sum() == 2
    term = (shaped - base)[replayed]
    assert (term > 0).all()
    torch.testing.assert_close(term, -0.3 * logps[replayed])


def spied(seen: list[Any]) -> Any:
    from differential_smoothing.trl import DSGRPOTrainer

    real = DSGRPOTrainer._shaped

    def shaped(self: Any, inputs: Any, logps: torch.Tensor, mine: Any) -> torch.Tensor:
        base = inputs["advantages"].clone()
        found = real(self, inputs, logps, mine)
        seen.append((base, found, (logps * inputs["completion_mask"]).sum(dim=1)))
        return found

    return shaped


def test_a_pool_survives_trls_own_checkpoint(tmp_path: Path) -> None:
    def made(folder: str) -> Any:
        return trainer(tmp_path / folder, get("rlep"), 4, save_strategy="steps", save_steps=2, seed=3)

    whole, again = made("whole"), made("again")
    whole.train()
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert whole.replay._found.keys() == again.replay._found.keys() != set()
    assert whole.replay._batches == again.replay._batches == 4
    (tmp_path / "whole" / "checkpoint-2" / "replay.json").unlink()
    with pytest.raises(ValueError, match=r"checkpoint-2: no replay\.json"):
        made("third").train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    with pytest.raises(ValueError, match="'rlep' keeps earlier successes, and a checkpoint amid"):
        trainer(tmp_path / "amid", get("rlep"), 4, save_strategy="steps", save_steps=2, num_iterations=3).train()


def test_dynamic_sampling_fills_the_batch_with_mixed_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two groups the first is flat; so is the one drawn in its place; the third is mixed and longer."""
    made = trainer(tmp_path, get("dapo-sampling"), 1)
    trained = handed_in(made, [[3, 3, 3, 3, 0, 3, 3, 4], [0, 0, 1, 1], [2, 4, 4, 4]], monkeypatch)
    made.train()
    [output] = trained
    assert trajectories(output) == [0, 3, 3, 4, 2, 4, 4, 4]
    assert output["num_items_in_batch"] == sum(len(WORLD.trajectories[y]) for y in trajectories(output))
    assert output["advantages"].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5] * 2, abs=1e-3)
    assert made._scored["correct"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert len(made._scored["answers"]) == 8


def test_what_no_round_mixed_is_filled_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(tmp_path, get("dapo-sampling", rounds=2), 1)
    trained = handed_in(made, [[3, 3, 3, 3, 0, 3, 3, 4], [0, 0, 1, 1]], monkeypatch)
    made.train()
    assert trajectories(trained[0]) == [0, 3, 3, 4, 3, 3, 3, 3]


def test_dynamic_sampling_steps_as_grpo_on_the_batch_that_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with the DS term, in micro-batches, and with log-probs of the old policy."""
    for more, run in (
        ({}, {}),
        ({"gamma_p": 0.3}, {"num_iterations": 2}),
        ({"gamma_p": 0.3}, {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}),
    ):
        found = []
        for name, batches in (
            ("dapo-sampling", [[3, 3, 3, 3, 0, 3, 3, 4], [2, 4, 4, 4]]),
            ("ds-grpo", [[0, 3, 3, 4, 2, 4, 4, 4]]),
        ):
            made = trainer(tmp_path, get(name, **{"gamma_p": 0.0, "gamma_n": 0.0, **more}), 1, **run)
            with pytest.MonkeyPatch.context() as patch:
                handed_in(made, batches, patch)
                made.train()
            found.append(made.model.theta.detach().numpy())
        np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-6)
        assert np.abs(found[0] - np.log(WORLD.p0)).max() > 1e-2


def test_which_prompts_are_drawn_again_is_decided_by_seed_step_and_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(seed: int) -> list[list[str]]:
        made = trainer(tmp_path, get("dapo-sampling"), 1, seed=seed)
        names = [f"<bos> {'<bos> ' * number}".strip() for number in range(16)]
        made.train_dataset = Dataset.from_dict({"prompt": names})
        with pytest.MonkeyPatch.context() as patch:
            handed_in(made, [[3] * 8, [3] * 8, [3] * 8, [0, 3, 3, 3, 0, 3, 3, 3]], patch)
            prompts: list[list[str]] = []
            real = made._calculate_rewards
            patch.setattr(
                made, "_calculate_rewards", lambda inputs, p, *more: (prompts.append(p), real(inputs, p, *more))[1]
            )
            made.train()
        return prompts

    one = asked(1)
    assert one == asked(1) != asked(2)
    assert one[1] != one[2]
    assert all(batch == [batch[0]] * 4 + [batch[4]] * 4 for batch in one)


@pytest.mark.parametrize(
    ("overrides", "settings_", "message"),
    [
        ({"replay": 0}, {}, "rlep: replay=0"),
        ({"replay": 1.0}, {}, r"rlep: replay=1\.0"),
        ({"replay": 4}, {}, "replay=4 must be below num_generations=4"),
    ],
)
def test_refusals(overrides: dict[str, Any], settings_: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path, get("rlep", **overrides), 1, **settings_)


def test_replay_refuses_rollouts_that_are_not_its_own(tmp_path: Path) -> None:
    args = WORLD.settings(tmp_path, max_steps=1)
    with pytest.raises(ValueError, match="'rlep' replays tokens: it takes rollouts of one turn by transformers"):
        WORLD.trainer(args, method="rlep", rollout_func=WORLD.handed_in([]))
