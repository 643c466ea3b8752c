"""Metrics of groups by hand: unbiased Pass@k, distinct correct answers; what a term's statistics say, row by row."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from differential_smoothing.training.metrics import TermStatistics, group_metrics


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


ALONE = SimpleNamespace(reduce=lambda sums, reduction: sums)  # the accelerator of a single process


@pytest.mark.parametrize("by_token", [False, True])
def test_statistics_of_the_term_against_a_loop_over_rows(by_token: bool) -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 6, 24)
    mask = np.arange(5) < lengths[:, None]
    base, term = rng.normal(size=24), rng.normal(size=(24, 5)) * mask
    term[::4] = 0.0  # rows that the term does not touch
    if not by_token:
        term = term.sum(axis=1, keepdims=True)
    shaped = base[:, None] + term + (99.0 * ~mask if by_token else 0.0)  # what stands where no token counts is nothing
    statistics = TermStatistics(torch.device("cpu"))
    assert statistics.empty
    for part in (slice(0, 9), slice(9, 24)):
        rows = (base[part], shaped[part] if by_token else shaped[part, 0], mask[part])
        statistics.add(*(torch.tensor(one) for one in rows))
        assert not statistics.empty
    found = statistics.collect(ALONE)

    per_row = [term[i, : lengths[i]] if by_token else term[i] for i in range(24)]
    size, mean = (
        [float(f(one)) if len(one) else 0.0 for one in per_row] for f in (lambda t: np.abs(t).mean(), np.mean)
    )
    touched = [i for i in range(24) if size[i] > 0]
    assert found == {
        "ds_term": pytest.approx(np.mean(size)),
        "ds_base": pytest.approx(np.abs(base).mean()),
        "ds_share": pytest.approx(np.mean(size) / (np.mean(size) + np.abs(base).mean())),
        "ds_length_corr": pytest.approx(np.corrcoef([mean[i] for i in touched], lengths[touched])[0, 1]),
    }
    assert statistics.empty
    statistics.add(torch.ones(2), torch.tensor([1.5, 0.5]), torch.ones(2, 3))  # begins anew; equal lengths
    again = statistics.collect(ALONE)
    assert (again["ds_term"], again["ds_base"], again["ds_share"]) == (0.5, 1.0, pytest.approx(1 / 3))
    assert math.isnan(again["ds_length_corr"])


def test_without_advantages_the_share_is_undefined() -> None:
    statistics = TermStatistics(torch.device("cpu"))
    statistics.add(torch.zeros(2), torch.zeros(2), torch.ones(2, 3))
    assert math.isnan(statistics.collect(ALONE)["ds_share"])
