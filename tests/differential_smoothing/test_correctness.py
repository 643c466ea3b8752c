"""Which rollouts are correct: rewards, verdicts and answers of the user's, each read as documented or refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from differential_smoothing.correctness import answer_ids, codes_of, correct_from_rewards, one_each
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE


def test_rewards_of_exactly_one_and_zero_are_told_and_no_others() -> None:
    rewards = torch.tensor([1.0, 0.0, 0.5, -1.0, 2.0, math.nan, 1 - 1e-7])
    wanted = [CORRECT, INCORRECT, *[UNSCORABLE] * 5]
    assert correct_from_rewards(rewards).tolist() == wanted


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (True, CORRECT),
        (False, INCORRECT),
        (None, UNSCORABLE),
        (1, CORRECT),
        (0.0, INCORRECT),
        (math.nan, UNSCORABLE),
        (np.float32(1), CORRECT),
        (np.bool_(False), INCORRECT),
        (torch.tensor(1), CORRECT),
        (torch.tensor(math.nan), UNSCORABLE),
    ],
)
def test_a_verdict_may_come_from_any_library(verdict: Any, code: int) -> None:
    assert codes_of([verdict, False]) == [code, INCORRECT]


@pytest.mark.parametrize("verdict", [0.5, 2, -1, "1", "", [1, 2], math.inf])
def test_what_is_no_verdict_is_named(verdict: Any) -> None:
    with pytest.raises(ValueError, match=r"correctness returned .*; a verdict is True, False or None"):
        codes_of([True, verdict])


@given(st.lists(st.text(max_size=2), max_size=12))
def test_answers_have_one_id_iff_they_are_equal(answers: list[str]) -> None:
    ids = answer_ids(answers).tolist()
    assert [[a == b for b in answers] for a in answers] == [[a == b for b in ids] for a in ids]


def test_one_value_a_completion_whatever_kind_of_function_gave_them() -> None:
    async def waited() -> list[int]:
        return [1, 2]

    assert one_each("reward", (1, 2), 2) == one_each("reward", waited(), 2) == [1, 2]
    assert one_each("reward", iter([1, 2]), 2) == [1, 2]
    for wrong in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match=f"^reward returned {len(wrong)} values for 2 completions$"):
            one_each("reward", wrong, 2)
