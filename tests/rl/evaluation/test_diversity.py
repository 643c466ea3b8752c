"""Measures of diversity against enumeration of all subsets and of all samples."""

import math
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rl.evaluation import diversity


@settings(deadline=None)
@given(st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=8), st.data())
def test_coverage_is_the_mean_over_all_k_subsets(found, data):
    k = data.draw(st.integers(1, len(found)))
    counts = Counter(answer for answer in found if answer)
    subsets = list(combinations(found, k))
    distinct = sum(len(set(subset) - {None}) for subset in subsets) / len(subsets)
    assert diversity.coverage(len(found), counts, k, 3) == pytest.approx(distinct / 3, abs=1e-12)


def expectation(probabilities, n, function):
    """The exact mean of `function(counts of the two correct answers)` over n independent samples (wrong ones first)."""
    return sum(
        math.prod(probabilities[i] for i in draw) * function([draw.count(1), draw.count(2)])
        for draw in product(range(3), repeat=n)
    )


@pytest.mark.parametrize(("n", "k"), [(4, 1), (4, 3), (5, 2), (5, 5)])
def test_coverage_is_unbiased(n, k):
    covered = expectation([0.5, 0.3, 0.2], n, lambda counts: diversity.coverage(n, counts, k, 2))
    assert covered == pytest.approx(diversity.coverage_exact([0.3, 0.2], k), abs=1e-12)


def test_gini_simpson_sampled_is_unbiased_given_the_number_correct():
    weights = stats.binom.pmf(np.arange(5), 4, 0.3)
    mean = sum(weight * diversity.gini_simpson_sampled([4 - n, n]) for n, weight in enumerate(weights))
    assert mean == pytest.approx(diversity.gini_simpson([0.7, 0.3]), abs=1e-12)
    assert math.isnan(diversity.gini_simpson_sampled({"a": 1}))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="solutions=1"):
        diversity.coverage(8, [1, 1], 2, 1)
    with pytest.raises(ValueError, match="distribution"):
        diversity.gini_simpson([0.5, 0.4])


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_diversity(weights):
    q = np.array(weights) / np.sum(weights)
    differing = sum(a * b for i, a in enumerate(q) for j, b in enumerate(q) if i != j)
    assert diversity.gini_simpson(q) == pytest.approx(differing, abs=1e-12)
    assert diversity.shannon_entropy(q) == pytest.approx(stats.entropy(q), abs=1e-12)
    assert diversity.shannon_entropy([1.0, 0.0]) == 0.0
