"""T5 by its number: the check holds and notices mutations; the counterexamples by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theory import dominance, measures, policies
from theory.checks import t5
from theory.checks.base import mutated

BASES = arrays(float, 5, elements=st.floats(-6, 0)).map(policies.log_normalize)


def test_t5_holds() -> None:
    for outcome in t5.THEOREM.check(np.random.default_rng(0), 4000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t5.THEOREM.controls, ids=lambda control: control.name)
def test_t5_notices(control) -> None:
    with mutated(control):
        outcomes = t5.THEOREM.check(np.random.default_rng(0), 1000)
    assert not all(outcome.holds for outcome in outcomes)


@settings(deadline=None)
@given(BASES, st.integers(1, 4), st.floats(0.01, 50), st.floats(0, 3), st.floats(0, 3))
def test_t5_odds(log_p0, size, beta, p, n) -> None:
    """Neither gamma ever lowers the odds; a larger one gives larger odds."""
    correct = np.arange(5) < size
    gain = dominance.odds_gain(log_p0, correct, beta, p * beta, n * beta)
    more = dominance.odds_gain(log_p0, correct, beta, (p + 0.5) * beta, n * beta)
    assert gain >= -1e-12
    assert more > gain


@settings(deadline=None)
@given(BASES, st.integers(2, 4), st.floats(0, 1), st.floats(0, 20))
def test_t5_every_diversity(log_p0, size, p, order) -> None:
    correct = np.arange(5) < size
    smooth = policies.conditional(policies.ds(log_p0, correct, 2.0, 2.0 * p), correct)
    plain = policies.conditional(log_p0, correct)
    for diversity in (
        measures.gini_simpson,
        measures.shannon_entropy,
        measures.min_entropy,
        lambda q: measures.hill(q, order=order),
    ):
        assert diversity(smooth) >= diversity(plain) - 1e-9


def test_t5_beyond_two_beta_the_least_likely_takes_over() -> None:
    """n = 2, K = (.3, .1): at gamma_p = 2 beta the two have changed places, beyond it they are farther apart."""
    log_p0, correct = policies.log_base([0.3, 0.1, 0.6]), np.array([True, True, False])
    plain = np.exp(policies.conditional(log_p0, correct))
    at = np.exp(policies.conditional(policies.ds(log_p0, correct, 1.0, 2.0), correct))
    beyond = policies.conditional(policies.ds(log_p0, correct, 1.0, 2.5), correct)
    assert at[[1, 0]] == pytest.approx(plain[[0, 1]])
    assert measures.gini_simpson(beyond) < measures.gini_simpson(policies.conditional(log_p0, correct))


def test_t5_length_mean_breaks_the_diversity_half() -> None:
    """theory.md: K = (.3, .2), lengths (1, 100), gamma_p = beta gives (.83, .17) from (.6, .4); C still rises."""
    log_p0, correct = policies.log_base([0.3, 0.2, 0.5]), np.array([True, True, False])
    found = dominance.ds_length_mean(log_p0, correct, 1.0, 1.0, np.array([1.0, 100.0, 1.0]))
    shares = np.exp(policies.conditional(found, correct))[:2]
    assert shares == pytest.approx([0.83, 0.17], abs=0.005)
    assert policies.log_odds(found, correct) > policies.log_odds(policies.vanilla(log_p0, correct, 1.0), correct)
    ours = np.exp(policies.conditional(policies.ds(log_p0, correct, 1.0, 1.0), correct))[:2]
    assert ours == pytest.approx([0.5, 0.5])  # with sums the same gamma levels them


def test_t5_the_frontier_by_hand() -> None:
    """Other policies with DS's C and KL, found by moving along the constraint, are less diverse."""
    rng = np.random.default_rng(3)
    log_p0, correct = policies.log_normalize(rng.normal(0, 1, 5)), np.arange(5) < 3
    smooth = policies.ds(log_p0, correct, 1.0, 0.5)
    assert t5.most_diverse(rng, log_p0, correct, smooth) == pytest.approx(
        float(measures.shannon_entropy(policies.conditional(smooth, correct))), abs=1e-6
    )
