"""Pass@k against enumeration of all subsets, of all samples, and exact fractions."""

import math
from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from differential_smoothing import passk


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=8), st.data())
def test_estimators_are_the_means_over_all_k_subsets(found, data):
    n, k = len(found), data.draw(st.integers(1, len(found)))
    counts = Counter(answer for answer in found if answer)
    subsets = list(combinations(found, k))
    some = sum(any(subset) for subset in subsets) / len(subsets)
    distinct = sum(len(set(subset) - {None}) for subset in subsets) / len(subsets)
    assert passk.pass_at_k(n, counts.total(), k) == pytest.approx(some, abs=1e-12)
    assert passk.distinct_at_k(n, counts, k) == pytest.approx(distinct, abs=1e-12)
    assert passk.distinct_at_k(n, list(counts.values()), k) == passk.distinct_at_k(n, counts, k)


def expectation(n, p, function):
    """The exact mean of `function(number of correct samples)` over n samples, each correct with probability p."""
    return sum(stats.binom.pmf(c, n, p) * function(c) for c in range(n + 1))


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 3), (5, 2), (5, 5)])
def test_pass_at_k_is_unbiased(n, k):
    found = expectation(n, 0.5, lambda c: passk.pass_at_k(n, c, k))
    assert found == pytest.approx(float(passk.pass_at_k_exact(0.5, k)), abs=1e-12)


def test_biased_estimators_would_be_noticed():
    # Negative control: the plug-in misses the exact value.
    plug_in = expectation(5, 0.5, lambda c: 1 - (1 - c / 5) ** 3)
    assert abs(plug_in - float(passk.pass_at_k_exact(0.5, 3))) > 0.01


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
    with pytest.raises(ValueError, match="correctness="):
        passk.pass_at_k_exact(1.1, 2)
    with pytest.raises(ValueError, match="k=0"):
        passk.pass_at_k_exact(0.1, 0)


@given(st.floats(0, 1), st.integers(1, 1000))
def test_exact_pass_at_k(c, k):
    value = float(passk.pass_at_k_exact(c, k))
    assert value == pytest.approx(float(1 - (1 - Fraction(c)) ** k), rel=1e-9, abs=1e-300)


def test_exact_pass_at_k_of_the_certain_and_of_the_tiny():
    assert passk.pass_at_k_exact([0.0, 1.0, 1e-20], 8).tolist() == [0.0, 1.0, pytest.approx(8e-20, rel=1e-12)]
