"""Intervals and tests against SciPy and by hand."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rl.analysis import statistics


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="level=95"):
        statistics.t_interval([1.0, 2.0], level=95)
    with pytest.raises(ValueError, match="values="):
        statistics.t_interval([1.0, math.nan])
    with pytest.raises(ValueError, match="shapes"):
        statistics.paired_bootstrap([1.0], [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="finite"):
        statistics.paired_bootstrap([1.0, math.nan], [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="'b'"):
        statistics.holm({"a": 0.1, "b": 1.2})


def test_paired_bootstrap_is_that_of_scipy_and_follows_the_stream():
    rng = np.random.default_rng(0)
    a = rng.random(80)
    b = a + 0.05 * rng.standard_normal(80) - 0.01
    found = statistics.paired_bootstrap(a, b, np.random.default_rng(1))
    other = stats.bootstrap((a - b,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(2))
    assert found.estimate == pytest.approx(np.mean(a - b))
    assert found.low == pytest.approx(other.confidence_interval.low, abs=5e-4)
    assert found.high == pytest.approx(other.confidence_interval.high, abs=5e-4)
    assert statistics.paired_bootstrap(a, b, np.random.default_rng(1)) == found
    assert statistics.paired_bootstrap(a, b, np.random.default_rng(3)) != found
    # Negative control: without the pairing the interval would be several times as wide.
    unpaired = statistics.paired_bootstrap(a, rng.permutation(b), np.random.default_rng(1))
    assert unpaired.high - unpaired.low > 3 * (found.high - found.low)


def test_paired_bootstrap_averages_seeds_first():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 40)), rng.random((3, 40))
    pooled = statistics.paired_bootstrap(a, b, np.random.default_rng(1))
    averaged = statistics.paired_bootstrap(a.mean(axis=0), b.mean(axis=0), np.random.default_rng(1))
    assert dataclasses.astuple(pooled) == pytest.approx(dataclasses.astuple(averaged), abs=1e-12)
    # Negative control: taking the seeds' problems for as many new ones would give a narrower interval.
    flat = statistics.paired_bootstrap(np.tile(a[0], 3), np.tile(b[0], 3), np.random.default_rng(1))
    single = statistics.paired_bootstrap(a[0], b[0], np.random.default_rng(1))
    assert flat.high - flat.low < 0.8 * (single.high - single.low)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=10).filter(lambda x: np.std(x) > 1e-6))
def test_t_interval_and_t_test_are_those_of_scipy(values):
    found = statistics.t_interval(values, 0.9)
    expected = stats.ttest_1samp(values, 0.0)
    ends = expected.confidence_interval(0.9)
    assert (found.low, found.high) == (pytest.approx(ends.low, abs=1e-9), pytest.approx(ends.high, abs=1e-9))
    assert statistics.t_test(values) == pytest.approx(expected.pvalue, abs=1e-12)


def test_t_interval_of_one_seed_says_nothing():
    assert statistics.t_interval([0.4]) == statistics.Interval(0.4, -math.inf, math.inf)
    assert math.isnan(statistics.t_test([0.4]))
    assert statistics.t_test([0.0, 0.0]) == 1.0
    assert statistics.t_test([0.5, 0.5]) == 0.0


def test_holm_by_hand():
    assert statistics.holm({"a": 0.04, "b": 0.01, "c": 0.03}) == pytest.approx({"a": 0.06, "b": 0.03, "c": 0.06})
    assert statistics.holm({}) == {}


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(values, alpha):
    pvalues = {str(i): value for i, value in enumerate(values)}
    adjusted = statistics.holm(pvalues)
    rejected = set()
    for rank, name in enumerate(sorted(pvalues, key=pvalues.get)):
        if (len(values) - rank) * pvalues[name] > alpha:
            break
        rejected.add(name)
    assert {name for name, value in adjusted.items() if value <= alpha} == rejected
    assert list(adjusted) == list(pvalues)


def grid(rng, seeds, problems, seed_sd, problem_sd, noise_sd):
    """Differences with an effect of the seed, one of the problem, and noise; their true mean is zero."""
    of_seeds, of_problems = rng.normal(0, seed_sd, (seeds, 1)), rng.normal(0, problem_sd, (1, problems))
    return of_seeds + of_problems + rng.normal(0, noise_sd, (seeds, problems))


def test_two_way_bootstrap_has_the_spread_of_new_seeds_and_new_problems():
    x = grid(np.random.default_rng(0), 40, 60, 0.02, 0.1, 0.05)
    found = statistics.two_way_bootstrap(x, np.random.default_rng(1))
    expected = math.sqrt(0.02**2 / 40 + 0.1**2 / 60)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(expected, rel=0.2)
    assert found.estimate == pytest.approx(x.mean())
    # Negative control: new problems alone, or problems drawn for each seed apart, are too sure.
    alone = statistics.paired_bootstrap(x, np.zeros_like(x), np.random.default_rng(1))
    assert alone.high - alone.low < found.high - found.low
    assert statistics.two_way_bootstrap(x, np.random.default_rng(1)) == found
    with pytest.raises(ValueError, match=r"\(3,\); wanted finite"):
        statistics.two_way_bootstrap([1.0, 2.0, 3.0], np.random.default_rng(0))


def test_two_way_bootstrap_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        found = statistics.two_way_bootstrap(grid(rng, 12, 40, 0.05, 0.1, 0.1), rng, resamples=400)
        covered += found.low <= 0 <= found.high
    assert covered / 200 > 0.86


def test_pooled_interval_of_two_methods_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (2, 6))
    pooled, paired = statistics.pooled_interval(x, 0, 1), statistics.t_interval(x[0] - x[1])
    assert dataclasses.astuple(pooled) == pytest.approx(dataclasses.astuple(paired))


def test_pooled_interval_covers_with_few_seeds_and_is_narrower_than_t():
    rng = np.random.default_rng(1)
    covered, widths = 0, []
    for _ in range(2000):
        x = rng.normal(0, 1, (5, 3)) + rng.normal(0, 5, (1, 3))  # large effects of the seeds, no difference of methods
        pooled, paired = statistics.pooled_interval(x, 0, 3), statistics.t_interval(x[0] - x[3])
        covered += pooled.low <= 0 <= pooled.high
        widths.append((pooled.high - pooled.low, paired.high - paired.low))
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    narrow, wide = np.median(widths, axis=0)
    assert narrow < 0.75 * wide
    assert statistics.pooled_interval(x[:, :1], 0, 1).high == math.inf


def test_interquartile_mean_leaves_out_a_quarter_at_each_end():
    scores = [[0.0, 0.1, 0.2, 9.0], [-5.0, 0.3, 0.4, 0.5]]
    assert statistics.interquartile_mean(scores).estimate == pytest.approx(np.mean([0.1, 0.2, 0.3, 0.4]))
    found = statistics.interquartile_mean(scores)
    assert found.low < found.estimate < found.high
    assert statistics.interquartile_mean([[0.5]]) == statistics.Interval(0.5, -math.inf, math.inf)


def test_probability_of_improvement_is_that_of_mann_and_whitney():
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(0.5, 1, (2, 9)), rng.normal(0, 1, (2, 7))
    found = statistics.probability_of_improvement(ours, theirs)
    u = [stats.mannwhitneyu(a, b).statistic / 63 for a, b in zip(ours, theirs)]
    assert found.estimate == pytest.approx(np.mean(u))
    assert found.low < found.estimate < found.high
    assert statistics.probability_of_improvement([[1.0, 1.0]], [[1.0, 1.0]]).estimate == 0.5
    with_itself = statistics.probability_of_improvement(ours, ours)
    assert with_itself.estimate == pytest.approx(0.5)
    assert with_itself.low < 0.5 < with_itself.high
