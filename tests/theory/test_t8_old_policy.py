"""T8: the old policy in place of the base."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import iteration, policies
from theory.checks import t8
from theory.checks.base import mutated

THREE = policies.log_base([0.3, 0.15, 0.05, 0.2, 0.3])
CORRECT = np.array([True, True, True, False, False])


def test_every_fact_holds():
    outcomes = t8.THEOREM.check(np.random.default_rng(1), 5000)
    assert len(outcomes) == 8
    assert all(outcome.holds for outcome in outcomes), [o for o in outcomes if not o.holds]


@pytest.mark.parametrize("control", t8.THEOREM.controls, ids=lambda control: control.name)
def test_each_broken_variant_is_noticed(control):
    with mutated(control):
        outcomes = t8.THEOREM.check(np.random.default_rng(1), 1000)
    assert not all(outcome.holds for outcome in outcomes)


def test_two_steps_by_hand():
    """K = (.4, .1), I = (.5), gamma_p = beta/2, 1/beta = log 2: weights pi^{1/2} · 2 on K, pi on I."""
    first = np.array([2 * 0.4**0.5, 2 * 0.1**0.5, 0.5])
    first /= first.sum()
    second = np.array([2 * first[0] ** 0.5, 2 * first[1] ** 0.5, first[2]])
    beta = 1 / np.log(2)
    log_p0 = policies.log_base([0.4, 0.1, 0.5])
    path = iteration.iterates(log_p0, np.array([True, True, False]), beta, beta / 2, steps=2)
    assert np.allclose(np.exp(path[2]), second / second.sum())
    assert path[2][0] - path[2][1] == pytest.approx(np.log(4) / 4)  # the log-ratio, a quarter of what it was


@pytest.mark.parametrize(("ratio", "entropy"), [(0.1, np.log(3)), (1.0, np.log(3)), (1.9, np.log(3)), (2.1, 0.0)])
def test_the_ceiling_is_twice_beta(ratio, entropy):
    last = iteration.iterates(THREE, CORRECT, 1.0, ratio, steps=200)[-1]
    q = policies.conditional(last, CORRECT)
    assert -policies.expected(q, q) == pytest.approx(entropy, abs=1e-4)


def test_at_the_ceiling_it_swings():
    path = iteration.iterates(THREE, CORRECT, 1.0, 2.0, steps=101)
    q = [policies.conditional(path[t], CORRECT)[:3] for t in (0, 99, 100, 101)]
    assert np.allclose(q[0], q[2])
    assert np.allclose(q[1], q[3])
    assert np.argmax(q[0]) == np.argmin(q[1])


def test_without_smoothing_the_ratios_stay():
    last = iteration.iterates(THREE, CORRECT, 0.7, 0.0, steps=9)[-1]
    assert np.allclose(policies.conditional(last, CORRECT)[:3], policies.conditional(THREE, CORRECT)[:3])


@settings(deadline=None, max_examples=60)
@given(st.floats(0.05, 20), st.floats(0, 2), st.floats(0, 2), st.integers(1, 6))
def test_the_closed_form_and_the_single_step(beta, p, n, steps):
    strengths = (beta, p * beta, n * beta)
    last = iteration.iterates(THREE, CORRECT, *strengths, steps=steps)[-1]
    closed = iteration.conditionals(THREE, CORRECT, *strengths, steps=steps)
    for mask in (CORRECT, ~CORRECT):
        assert np.allclose(closed[mask], policies.conditional(last, mask)[mask], rtol=1e-9, atol=1e-9)
    single = iteration.one_step(THREE, CORRECT, *strengths, steps=steps)
    if single.exists and single.offset > 1e-6:
        new = 1 / float(single.offset)
        direct = policies.ds(
            THREE, CORRECT, new, float(single.gamma_p_over_beta) * new, float(single.gamma_n_over_beta) * new
        )
        assert np.allclose(direct, last, rtol=1e-8, atol=1e-8)


def test_one_step_is_itself_and_exists():
    single = iteration.one_step(THREE, CORRECT, 2.0, 0.5, 1.0, steps=1)
    assert single.offset == pytest.approx(0.5)
    assert (single.gamma_p_over_beta, single.gamma_n_over_beta) == (pytest.approx(0.25), pytest.approx(0.5))
    assert single.exists


def test_beyond_the_ceiling_two_steps_are_no_single_one():
    """a = −3/2: a² = 9/4, so that one step would need gamma_p < 0, though the offset is positive."""
    single = iteration.one_step(THREE, CORRECT, 1.0, 2.5, steps=2)
    assert single.gamma_p_over_beta == pytest.approx(-1.25)
    assert single.offset > 0
    assert not single.exists


def test_a_single_step_needs_a_positive_offset_and_no_negative_gamma():
    zero, some = np.array(0.0), np.array(0.3)
    assert iteration.OneStep(zero, zero, some).exists
    assert not iteration.OneStep(some, zero, zero).exists
    assert not iteration.OneStep(-some, zero, some).exists


def test_the_offset_can_be_negative():
    """gamma_n = beta, beta large: log(C0 + Σ_I pi0²) < 0 is the offset of two steps, and no DS step has it."""
    single = iteration.one_step(THREE, CORRECT, 1e6, 0.0, 1e6, steps=2)
    assert single.offset == pytest.approx(np.log(0.5 + 0.2**2 + 0.3**2), abs=1e-5)
    assert not single.exists


def test_odds_grow_by_the_factor_of_vanilla_at_least():
    path = iteration.iterates(THREE, CORRECT, 2.0, 1.0, 0.5, steps=5)
    assert np.all(np.diff([policies.log_odds(policy, CORRECT) for policy in path]) > 0.5)
    plain = iteration.iterates(THREE, CORRECT, 2.0, 0.0, steps=5)
    assert np.allclose(np.diff([policies.log_odds(policy, CORRECT) for policy in plain]), 0.5)


def test_whole_numbers_of_any_type_are_steps():
    for function in (iteration.iterates, iteration.conditionals):
        np.testing.assert_array_equal(
            function(THREE, CORRECT, 1.0, 0.5, steps=2.0), function(THREE, CORRECT, 1.0, 0.5, steps=2)
        )
    assert iteration.one_step(THREE, CORRECT, 1.0, 0.5, steps=2.0).exists


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_wrong_numbers_of_steps_are_refused(steps):
    for function in (iteration.iterates, iteration.conditionals, iteration.one_step):
        with pytest.raises(ValueError, match=f"steps={steps}"):
            function(THREE, CORRECT, 1.0, 0.5, steps=steps)


def test_wrong_strengths_are_refused():
    with pytest.raises(ValueError, match="after 200 steps its exponent is beyond 1e308"):
        iteration.conditionals(THREE, CORRECT, 1.0, np.array([0.5, 1e10]), steps=200)
    with pytest.raises(ValueError, match=r"gamma_p=-0\.5"):
        iteration.iterates(THREE, CORRECT, 1.0, -0.5, steps=1)
    with pytest.raises(ValueError, match=r"beta=0\.0"):
        iteration.one_step(THREE, CORRECT, 0.0, 0.5, steps=1)
