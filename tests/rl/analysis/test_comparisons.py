"""Intervals say what they should: over seeds where there are several, zero inside where nothing differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import write_experiment, write_mathematics, write_run, write_sampled
from scipy import stats

from rl.analysis.comparisons import (
    benchmarks,
    column,
    comparison,
    correctness,
    curves,
    interval,
    pass_at,
    samples_to_reach,
    within,
)
from rl.analysis.results import ResultError, load


def test_curve_is_the_mean_of_exact_pass_at_k(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    results = load("demo", tmp_path)
    rows = curves(results, ("grpo",), (1, 7))
    expected = [np.mean(1 - (1 - results.of("grpo")[s].problems["C"].to_numpy()) ** 7) for s in range(3)]
    assert rows.loc[rows["k"] == 7, "mean"].item() == pytest.approx(np.mean(expected), abs=1e-12)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(expected), scale=stats.sem(expected))
    assert rows.loc[rows["k"] == 7, ["low", "high"]].to_numpy().ravel() == pytest.approx([low, high], abs=1e-9)
    assert set(rows["over"]) == {"seeds"}


@pytest.mark.parametrize("p", [0.03, 0.2, 0.6])
def test_sampled_pass_at_k_is_unbiased(tmp_path: Path, p: float) -> None:
    """Averaged over how many of 16 samples come out right, it is 1 − (1 − p)^k; the formula for exact C is not."""
    counts = np.arange(17)
    write_sampled(tmp_path, "grpo", 0, counts)
    run = load("sums", tmp_path).of("grpo")[0]
    weights = stats.binom.pmf(counts, 16, p)
    for k in (1, 4, 8):
        assert weights @ pass_at(k)(run) == pytest.approx(1 - (1 - p) ** k, abs=1e-12)
        biased = weights @ (1 - (1 - counts / 16) ** k)
        assert k == 1 or abs(biased - (1 - (1 - p) ** k)) > 1e-3


def test_what_a_sampled_evaluation_cannot_say_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_sampled(tmp_path, "grpo", 0, np.arange(6))
    run = load("sums", tmp_path).of("grpo")[0]
    for quantity in (pass_at(64), correctness, column("coverage_128")):
        with pytest.raises(ResultError) as caught:
            quantity(run)
        assert str(caught.value).startswith(f"{folder / 'eval-heldout.json'}: ")
        assert "\n" not in str(caught.value)
    with pytest.raises(ResultError, match=r"Pass@64 was not evaluated; there are k = 1, 4, 8$"):
        pass_at(64)(run)


def test_benchmarks_part_the_problems(tmp_path: Path) -> None:
    write_mathematics(tmp_path, problems=13)
    results = load("sums", tmp_path)
    assert benchmarks(results) == ["level1", "level2"]
    parts = [within(results, name) for name in benchmarks(results)]
    whole = results.of("ds-grpo")[2].problems
    assert [list(part.of("ds-grpo")[2].problems["problem"]) for part in parts] == [
        list(whole["problem"][::2]),
        list(whole["problem"][1::2]),
    ]
    mean = sum(len(part.runs[0].problems) * curves(part, ("grpo",), (4,))["mean"].item() for part in parts) / 13
    assert mean == pytest.approx(curves(results, ("grpo",), (4,))["mean"].item())
    write_run(tmp_path, "grpo", 0, np.full(4, 0.5))
    with pytest.raises(ResultError, match="belong to no benchmarks"):
        benchmarks(load("demo", tmp_path))


def test_one_seed_has_an_interval_over_problems_and_says_so(tmp_path: Path) -> None:
    write_experiment(tmp_path, seeds=1)
    row = curves(load("demo", tmp_path), ("grpo",), (1,)).iloc[0]
    assert row["over"] == "problems"
    assert row["low"] < row["mean"] < row["high"]


def test_identical_methods_show_no_difference(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for seed in range(4):
        values = rng.random(30)
        write_run(tmp_path, "grpo", seed, values)
        write_run(tmp_path, "ds-grpo", seed, np.clip(values + rng.normal(0, 0.01, 30), 0, 1))
    frame = comparison(load("demo", tmp_path), "grpo", {"Pass@1": pass_at(1)})
    assert frame["low"].iloc[0] < 0 < frame["high"].iloc[0]


def test_a_clear_difference_is_seen_and_primary_p_is_not_corrected(tmp_path: Path) -> None:
    write_experiment(tmp_path, seeds=5)
    frame = comparison(
        load("demo", tmp_path), "grpo", {"Pass@1": pass_at(1), "Pass@64": pass_at(64)}, primary=["ds-grpo:Pass@1"]
    )
    ours = frame[frame["method"] == "ds-grpo"].set_index("quantity")
    assert ours.loc["Pass@1", "low"] > 0
    assert ours.loc["Pass@1", "p_holm"] == ours.loc["Pass@1", "p"]
    assert ours.loc["Pass@64", "p_holm"] >= ours.loc["Pass@64", "p"]


@settings(deadline=None)
@given(
    st.lists(st.floats(0.001, 0.95), min_size=1, max_size=20),
    st.integers(1, 500),
)
def test_samples_to_reach_inverts_pass_at_k(correctness: list[float], k: int) -> None:
    values = np.array(correctness)
    target = float(np.mean(1 - (1 - values) ** k))
    needed = samples_to_reach(values, target)
    assert np.mean(1 - (1 - values) ** needed) == pytest.approx(target, abs=1e-9)
    assert needed <= k * (1 + 1e-6)


def test_samples_to_reach_what_cannot_be_reached() -> None:
    assert samples_to_reach(np.array([0.5, 0.0]), 0.75) == float("inf")


def test_interval_ignores_undefined_problems_in_pairs() -> None:
    a, b = np.array([1.0, np.nan, 3.0]), np.array([0.0, 5.0, np.nan])
    found = interval([a, a], [b, b])
    assert found["mean"] == 1.0
