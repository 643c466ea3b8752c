"""T12: the implicit utility, by hand, its certificates, its limits, its controls."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import policies, strategies, utility, weights
from theory.checks import t12
from theory.checks.base import mutated

CHECK = t12.THEOREM.check


def test_t12_holds() -> None:
    failed = [outcome for outcome in CHECK(np.random.default_rng(12), 1_000) if not outcome.holds]
    assert not failed


@pytest.mark.parametrize("control", t12.THEOREM.controls, ids=lambda control: control.name)
def test_t12_check_notices(control) -> None:
    with mutated(control):
        outcomes = CHECK(np.random.default_rng(12), 400)
    assert any(not outcome.holds for outcome in outcomes)


def test_maxrl_of_two_by_hand() -> None:
    """N = 2, unbiased: w = 2 − p, F = 2p − p²/2."""
    advantages = weights.maxrl(2, unbiased=True)
    assert weights.coefficients(advantages).tolist() == [2, 1]
    p = np.array([0.0, 0.25, 1.0])
    assert utility.weight(advantages, p) == pytest.approx(2 - p)
    assert utility.utility(advantages, p) == pytest.approx(2 * p - p**2 / 2)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(2, 24), p=st.floats(0.001, 0.999))
def test_weight_is_that_of_t11(size: int, p: float) -> None:
    for advantages in (weights.grpo(size), weights.maxrl(size), weights.f_grpo(size)):
        assert utility.weight(advantages, p) == pytest.approx(weights.weight(advantages, p), rel=1e-9)


def test_raising_the_degree_keeps_the_certificate_honest() -> None:
    """Coefficients out of order: one weight falls all the same, the other has a bump."""
    d = np.array([1.0, 0.5, 0.501, 0.2])
    table = weights.Advantages(np.r_[0.0, d], np.zeros(5))
    w = utility.weight(table, np.linspace(0, 1, 10_001))
    assert utility.is_decreasing(table, 2_000) == bool((np.diff(w) < 0).all())
    bump = weights.Advantages(np.r_[0.0, [1.0, 0.2, 1.2, 0.1]], np.zeros(5))
    assert not utility.is_decreasing(bump, 2_000)


def test_a_method_that_gives_nothing_does_not_decrease() -> None:
    assert not utility.is_decreasing(weights.Advantages(np.zeros(5), np.zeros(5)))


def test_a_batch_has_a_limit_each_even_where_the_start_is_it() -> None:
    """Every strategy solves all: the uniform policy, from which it starts, is a limit already."""
    found = utility.limit(np.ones((4, 3, 2), dtype=bool), weights.maxrl(8))
    np.testing.assert_allclose(np.exp(found), np.full((4, 2), 0.5))


def test_maxrl_keeps_what_it_should_by_hand() -> None:
    """The uneven model, by MaxRL at N = 8 unbiased: pi = (0, s, 1 − s) with 3 w(s) = w(1 − s)."""
    end = np.exp(utility.limit(strategies.UNEVEN.table, weights.maxrl(8, unbiased=True)))
    assert end[0] < 1e-6
    paid = [weights.weight(weights.maxrl(8, unbiased=True), share) for share in end[1:]]
    assert 3 * paid[0] == pytest.approx(paid[1], rel=1e-4)


def test_f_grpo_forgets_where_two_times_its_weight_at_one_pays_more() -> None:
    """It falls, and still drops the minority: 3 w(1) > w(0). Exact: w(0) = d_0, w(1) = d_{N−1}."""
    d = weights.coefficients(weights.f_grpo(8, 0.5))
    assert 3 * d[-1] > d[0]
    end = utility.limit(strategies.UNEVEN.table, weights.f_grpo(8, 0.5))
    assert np.exp(end[1]) > 1 - 1e-5


def test_the_ends_of_the_weight_are_whole_fractions_for_maxrl() -> None:
    """w(0) = N − 1 and w(1) = 1, as fractions: f(1, 1) = N − 1, f(0, 0) = 0; f(1, N) = 0, f(0, N − 1) = −1."""
    for size in (3, 8, 17):
        d = weights.coefficients(weights.maxrl(size))
        assert [Fraction(float(one)).limit_denominator(1000) for one in (d[0], d[-1])] == [size - 1, 1]


def test_order_of_methods_in_the_table() -> None:
    """At Pass@1 GRPO, F-GRPO (with DS), Pass@2 training, MaxRL; at Pass@64 the reverse."""
    first = [t12.STATED[name][1][0] for name in ("grpo", "f-grpo", "passk-training", "maxrl")]
    last = [t12.STATED[name][1][3] for name in ("grpo", "f-grpo", "passk-training", "maxrl")]
    assert first == sorted(first, reverse=True)
    assert last == sorted(last)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="w_N is not known to fall"):
        utility.limit(strategies.EVEN.table, weights.grpo(8))
    with pytest.raises(ValueError, match="must be increasing and above zero"):
        utility.flow(policies.log_base([0.5, 0.5]), [[1, 0]], weights.grpo(8), [2.0, 1.0])
