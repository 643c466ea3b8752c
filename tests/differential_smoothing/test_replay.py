"""What replay and dynamic sampling are made of: the pool, and generation batches joined from parts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE
from differential_smoothing.training.replay import KEPT, ReplayPool
from differential_smoothing.training.resampling import joined, mixed_groups, picked, rows_of

ROW = st.tuples(
    st.sampled_from([(1,), (1, 2), (12,)]),
    st.lists(st.integers(3, 5), min_size=1, max_size=3),
    st.sampled_from([CORRECT, INCORRECT, UNSCORABLE]),
)
BATCHES = st.lists(st.lists(ROW, max_size=6), max_size=5)


def filled(batches: list[list[Any]], folder: Path | None = None, cut: int = -1) -> ReplayPool:
    pool = ReplayPool(7)
    for number, batch in enumerate(batches):
        if number == cut and folder is not None:
            pool.save(folder)
            pool = ReplayPool(7)
            pool.load(folder)
        pool.add(*(list(column) for column in zip(*batch))) if batch else pool.add([], [], [])
    return pool


@settings(deadline=None, max_examples=40)
@given(batches=BATCHES, cut=st.integers(0, 5), count=st.integers(1, 3))
def test_a_pool_draws_different_successes_of_the_prompt_also_across_a_resume(
    batches: list[list[Any]], cut: int, count: int, tmp_path_factory: object
) -> None:
    folder: Path = tmp_path_factory.mktemp("pool")  # type: ignore[attr-defined]
    pool, again = filled(batches), filled(batches, folder, cut)
    for prompt in ([1], [1, 2], [12]):
        known = [row[1] for batch in batches for row in batch if list(row[0]) == prompt and row[2] == CORRECT]
        found = pool.draw(prompt, count)
        assert found == again.draw(prompt, count)
        assert all(one in known for one in found)
        assert len(found) == min(count, len({tuple(one) for one in known}))
        assert len({tuple(one) for one in found}) == len(found)


def test_a_pool_draws_anew_in_each_batch_and_keeps_the_latest() -> None:
    pool = ReplayPool(0)
    pool.add([[1]] * 50, [[number] for number in range(50)], [CORRECT] * 50)
    drawn = [pool.draw([1], 2)]
    by_seed_batch_and_prompt = random.Random("0 1 1")
    assert drawn[0] == by_seed_batch_and_prompt.sample([[number] for number in range(50 - KEPT, 50)], 2)
    assert pool.draw([1], 2) == drawn[0]
    for _ in range(5):
        pool.add([], [], [])
        drawn.append(pool.draw([1], 2))
    assert len({json.dumps(one) for one in drawn}) > 3
    assert sorted(one for [one] in pool.draw([1], 99)) == list(range(50 - KEPT, 50))
    assert ReplayPool(1).draw([1], 2) == []


def test_a_checkpoint_without_a_pool_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no replay\.json; the checkpoint was saved by a method that replays nothing"):
        ReplayPool(0).load(tmp_path)


# ── The parts of a batch ────────────────────────────────────────────────────────────────────────────────────────


def test_mixed_groups_and_their_rows() -> None:
    rewards = torch.tensor([1.0, 1, 0, 1, 0, 0, torch.nan, 1, torch.nan, 0, 1, 1])
    assert mixed_groups(rewards, 2).tolist() == [1]
    assert mixed_groups(rewards, 3).tolist() == [0, 1, 3]
    assert rows_of(torch.tensor([2, 0]), 3).tolist() == [6, 7, 8, 0, 1, 2]


def test_parts_of_a_batch_are_padded_as_trl_pads() -> None:
    def part(prompt: list[list[int]], completion: list[list[int]], mask: list[list[int]]) -> dict[str, Any]:
        rows = len(prompt)
        return {
            "prompt_ids": torch.tensor(prompt),
            "prompt_mask": torch.ones(rows, len(prompt[0])),
            "completion_ids": torch.tensor(completion),
            "completion_mask": torch.tensor(mask),
            "old_per_token_logps": -torch.ones(rows, len(mask[0])),
            "advantages": torch.arange(rows) + 1.0,
            "num_items_in_batch": torch.tensor(99),
        }

    first = part([[5]], [[6, 7, 8]], [[1, 1, 0]])
    second = picked(part([[3, 4], [1, 2]], [[9], [8]], [[1], [1]]), torch.tensor([1]))
    whole = joined([first, second], pad_token=77)
    assert whole["prompt_ids"].tolist() == [[77, 5], [1, 2]]
    assert whole["prompt_mask"].tolist() == [[0, 1], [1, 1]]
    assert whole["completion_ids"].tolist() == [[6, 7, 8], [8, 77, 77]]
    assert whole["completion_mask"].tolist() == [[1, 1, 0], [1, 0, 0]]
    assert whole["old_per_token_logps"].tolist() == [[-1, -1, -1], [-1, 0, 0]]
    assert whole["advantages"].tolist() == [1, 2]
    assert whole["num_items_in_batch"] == 3
    tools = {"tool_mask": torch.tensor([[1, 0, 1]])}
    assert joined([first | tools], 77)["num_items_in_batch"] == 1
    with pytest.raises(ValueError, match="pixel_values: dynamic sampling takes rollouts of text alone"):
        joined([first | {"pixel_values": torch.ones(1, 2, 3)}], 77)
