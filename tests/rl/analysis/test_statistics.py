"""Estimators against enumeration of all subsets and of all samples; intervals against SciPy and by hand."""

import dataclasses
import math
from collections import Counter
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from differential_smoothing import passk
from rl.analysis import statistics


@st.composite
def samples(draw):
    """Up to eight samples: None is wrong, letters are correct answers; and a k ≤ n."""
    found = draw(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=8))
    return found, draw(st.integers(1, len(found)))


@settings(deadline=None)
@given(samples())
def test_estimators_are_the_means_over_all_k_subsets(case):
    found, k = case
    n, counts = len(found), statistics.distinct_correct(found)
    subsets = list(combinations(found, k))
    some = sum(any(subset) for subset in subsets) / len(subsets)
    distinct = sum(len(set(subset) - {None}) for subset in subsets) / len(subsets)
    assert passk.pass_at_k(n, counts.total(), k) == pytest.approx(some, abs=1e-12)
    assert passk.distinct_at_k(n, counts, k) == pytest.approx(distinct, abs=1e-12)
    assert passk.distinct_at_k(n, list(counts.values()), k) == passk.distinct_at_k(n, counts, k)
    assert statistics.coverage(n, counts, k, 3) == pytest.approx(distinct / 3, abs=1e-12)


def expectation(probabilities, n, function):
    """The exact mean of `function(samples)` over n independent samples (answer None first)."""
    answers = [None, "a", "b"]
    return sum(
        math.prod(probabilities[i] for i in draw) * function([answers[i] for i in draw])
        for draw in product(range(3), repeat=n)
    )


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 3), (5, 2), (5, 5)])
def test_estimators_are_unbiased(n, k):
    p = [0.5, 0.3, 0.2]
    passed = expectation(p, n, lambda found: passk.pass_at_k(n, sum(a is not None for a in found), k))
    assert passed == pytest.approx(float(passk.pass_at_k_exact(0.5, k)), abs=1e-12)
    covered = expectation(p, n, lambda found: statistics.coverage(n, statistics.distinct_correct(found), k, 2))
    assert covered == pytest.approx(statistics.coverage_exact([0.3, 0.2], k), abs=1e-12)


def test_biased_estimators_would_be_noticed():
    # Negative control: resampling with replacement, and the plug-in, both miss the exact value.
    n, k, p = 5, 3, [0.5, 0.3, 0.2]
    plug_in = expectation(p, n, lambda found: 1 - (1 - sum(a is not None for a in found) / n) ** k)
    assert abs(plug_in - float(passk.pass_at_k_exact(0.5, k))) > 0.01


def test_gini_simpson_sampled_is_unbiased_given_the_number_correct():
    q = [0.0, 0.7, 0.3]
    mean = expectation(q, 4, lambda found: statistics.gini_simpson_sampled(Counter(found)))
    assert mean == pytest.approx(statistics.gini_simpson([0.7, 0.3]), abs=1e-12)
    assert math.isnan(statistics.gini_simpson_sampled({"a": 1}))


def test_large_counts_are_exact():
    # Floating products lose these: one correct among 10,000, and k close to n.
    assert passk.pass_at_k(10_000, 1, 9_999) == float(Fraction(9_999, 10_000))
    assert passk.pass_at_k(10_000, 0, 10_000) == 0.0
    assert passk.pass_at_k(10_000, 9_999, 1) == float(Fraction(9_999, 10_000))
    assert passk.pass_at_k(4, 2, 2) == float(Fraction(5, 6))


def exactly(n, c, k):
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@st.composite
def counts_of_any_size(draw):
    """n up to 20,000, with c and k of every order of magnitude."""
    n = draw(st.integers(1, 20_000))
    c, k = (min(n, int(n ** draw(st.floats(0, 1)))) for _ in range(2))
    return n, draw(st.sampled_from([0, c, n - c])), draw(st.sampled_from([k, max(1, n - k)]))


@settings(deadline=None, max_examples=300)
@given(counts_of_any_size())
def test_pass_at_k_is_exact_at_every_size(case):
    n, c, k = case
    wanted = exactly(n, c, k)
    found = Fraction(passk.pass_at_k(n, c, k))
    assert abs(found - wanted) <= wanted / 10**14
    if min(c, k) <= 1024:  # where recorded evaluations lie: rounded once
        assert found == Fraction(float(wanted))


@pytest.mark.parametrize(("n", "c", "k"), [(5_000_000, 1_100, 1_300), (10**7, 2_000, 1_100), (3_000, 1_100, 1_100)])
def test_pass_at_k_by_logs_is_exact_where_it_is_far_from_one(n, c, k):
    # Both counts are large, so the integers are left; 1 − the product is .25, .20 and nearly 1.
    missed = Fraction(math.perm(n - c, k), math.perm(n, k))
    assert passk.pass_at_k(n, c, k) == pytest.approx(float(1 - missed), rel=1e-14)


def test_many_samples_take_no_big_integers(monkeypatch):
    assert passk.pass_at_k(100_000, 1, 50_000) == 0.5
    assert passk.pass_at_k(100_000, 3, 50_000) == float(exactly(100_000, 3, 50_000))

    def comb(n, k):  # seconds a value at n = 10^5, and milliseconds for a few factors: count the factors, not the time
        assert min(k, n - k) <= 1024
        return math.comb(n, k)

    monkeypatch.setattr(passk, "comb", comb)
    for c in (40, 1_024, 1_025, 49_999, 99_999):
        assert 1 - 1e-12 < passk.pass_at_k(100_000, c, 50_000) <= 1
    assert passk.distinct_at_k(100_000, [49_999, 1], 50_000) == 1.5


@pytest.mark.parametrize(
    ("n", "c", "k", "match"), [(4, 2, 5, "k=5"), (4, 2, 0, "k=0"), (4, 5, 2, "c=5"), (4, -1, 2, "c=-1")]
)
def test_bad_counts_are_named(n, c, k, match):
    with pytest.raises(ValueError, match=match):
        passk.pass_at_k(n, c, k)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="k=9"):
        passk.distinct_at_k(8, [1], 9)
    with pytest.raises(ValueError, match="sum of counts=9"):
        passk.distinct_at_k(8, [5, 4], 2)
    with pytest.raises(ValueError, match="solutions=1"):
        statistics.coverage(8, [1, 1], 2, 1)
    with pytest.raises(ValueError, match="correctness="):
        passk.pass_at_k_exact(1.1, 2)
    with pytest.raises(ValueError, match="k=0"):
        passk.pass_at_k_exact(0.1, 0)
    with pytest.raises(ValueError, match="distribution"):
        statistics.gini_simpson([0.5, 0.4])
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


@given(st.floats(0, 1), st.integers(1, 1000))
def test_exact_pass_at_k(c, k):
    value = float(passk.pass_at_k_exact(c, k))
    assert value == pytest.approx(float(1 - (1 - Fraction(c)) ** k), rel=1e-9, abs=1e-300)


def test_exact_pass_at_k_of_the_certain_and_of_the_tiny():
    assert passk.pass_at_k_exact([0.0, 1.0, 1e-20], 8).tolist() == [0.0, 1.0, pytest.approx(8e-20, rel=1e-12)]


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_diversity(weights):
    q = np.array(weights) / np.sum(weights)
    differing = sum(a * b for i, a in enumerate(q) for j, b in enumerate(q) if i != j)
    assert statistics.gini_simpson(q) == pytest.approx(differing, abs=1e-12)
    assert statistics.shannon_entropy(q) == pytest.approx(stats.entropy(q), abs=1e-12)
    assert statistics.shannon_entropy([1.0, 0.0]) == 0.0


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
