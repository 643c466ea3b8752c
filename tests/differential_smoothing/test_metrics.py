"""Metrics of groups by hand: unbiased Pass@k, distinct correct answers, unscorable rollouts left out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential_smoothing.training.metrics import group_metrics


def test_by_hand() -> None:
    """Groups of six: two correct and alike; none; one correct among two that were scored."""
    correct = [1, 1, 0, 0, 0, 0] + [0] * 6 + [1, 0, -1, -1, -1, -1]
    answers = ["a", "a", "b", "c", "d", "e"] + ["a"] * 6 + ["a", "b", "c", "d", "e", "f"]
    found = group_metrics(correct, answers, 6)
    assert found == {
        "distinct_correct": pytest.approx((1 + 0 + 1) / 3),
        "pass@1": pytest.approx((1 / 3 + 0 + 1 / 2) / 3),
        "pass@2": pytest.approx((1 - 6 / 15 + 0 + 1) / 3),
        "pass@4": pytest.approx((1 - 1 / 15 + 0) / 2),
    }


def test_the_same_answer_of_two_prompts_is_two_answers() -> None:
    assert group_metrics([1, 1], ["a", "a"], 1) == {"distinct_correct": 1.0, "pass@1": 1.0}


def test_where_nothing_is_scored_there_is_no_pass_at_k() -> None:
    assert group_metrics([-1, -1], ["a", "b"], 2) == {"distinct_correct": 0.0}


@given(st.integers(1, 7), st.integers(1, 3), st.data())
def test_pass_at_k_is_the_mean_over_all_subsets(size: int, groups: int, data: st.DataObject) -> None:
    correct = data.draw(st.lists(st.integers(0, 1), min_size=size * groups, max_size=size * groups))
    found = group_metrics(correct, [""] * len(correct), size)
    parts = [correct[i : i + size] for i in range(0, len(correct), size)]
    ks = [k for k in (1, 2, 4, 8) if k <= size]
    assert [name for name in found if name.startswith("pass@")] == [f"pass@{k}" for k in ks]
    for k in ks:
        best = [max(subset) for part in parts for subset in itertools.combinations(part, k)]
        assert found[f"pass@{k}"] == pytest.approx(sum(best) / len(best))
