"""T11: one speed per method, one orbit for all; numbers by hand, controls, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from theory import groups, policies, utility, weights
from theory.checks import t11
from theory.checks.base import mutated

CHECK = t11.THEOREM.check


def test_t11_holds() -> None:
    failed = [outcome for outcome in CHECK(np.random.default_rng(11), 1_000) if not outcome.holds]
    assert not failed


@pytest.mark.parametrize("control", t11.THEOREM.controls, ids=lambda control: control.name)
def test_t11_check_notices(control) -> None:
    with mutated(control):
        outcomes = CHECK(np.random.default_rng(11), 500)
    assert any(not outcome.holds for outcome in outcomes)


def test_two_rollouts_by_hand() -> None:
    """N = 2, MaxRL: f(1, 1) = 1, f(1, 2) = 0, f(0, 1) = −1, f(0, 0) = 0: w = (1 − p) + p = 1."""
    table = weights.maxrl(2)
    assert table.correct.tolist() == [0, 1, 0]
    assert table.incorrect.tolist() == [0, -1, 0]
    assert weights.weight(table, [0.1, 0.7]) == pytest.approx([1, 1])
    assert weights.weight(weights.maxrl(2, unbiased=True), [0.1]) == pytest.approx([1 + 0.9])


@settings(deadline=None, max_examples=60)
@given(size=st.integers(2, 40), p=st.floats(1e-4, 1 - 1e-4), ddof=st.sampled_from([0, 1]))
def test_grpo_is_t2(size: int, p: float, ddof: int) -> None:
    assert weights.weight(weights.grpo(size, ddof), p) == pytest.approx(groups.gradient_factor(p, size, ddof), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(size=st.integers(2, 12), k=st.integers(1, 12), p=st.floats(0.01, 0.99))
def test_pkpo_is_the_gradient_of_pass_at_k(size: int, k: int, p: float) -> None:
    """d/dp of 1 − (1 − p)^k, whatever the group size."""
    if k <= size:
        h = 1e-6
        slope = ((1 - (p - h)) ** k - (1 - (p + h)) ** k) / (2 * h)
        assert weights.weight(weights.pkpo(size, k), p) == pytest.approx(slope, abs=1e-7)


def test_reinforce_rewards_and_punishes_by_one_unless_told() -> None:
    table = weights.reinforce(3)
    assert table.correct.tolist() == [0, 1, 1, 1]
    assert table.incorrect.tolist() == [-1, -1, -1, 0]


@pytest.mark.parametrize("size", [2, 5, 8])
def test_passk_training_of_one_sample_is_grpo(size: int) -> None:
    """Subsets of one rollout: (r − rho) / sqrt(rho (1 − rho)), the population std."""
    found, wanted = weights.passk_training(size, 1), weights.grpo(size, ddof=0)
    assert found.correct == pytest.approx(wanted.correct)
    assert found.incorrect == pytest.approx(wanted.incorrect)


def test_bbg_is_the_posterior_mean_of_the_gradient_of_pass_at_k() -> None:
    """u(c) against quadrature of k (1 − p)^(k − 1) p^c (1 − p)^(N − c); k above the group size."""
    size, k, positive = 6, 9, 0.3
    table = weights.bbg(size, k, positive=positive)

    def u(c: int) -> float:
        top, bottom = (
            quad(lambda p: p**c * (1 - p) ** (size - c + more), 0, 1, epsabs=1e-14)[0]  # noqa: B023
            for more in (k - 1, 0)
        )
        return k * top / bottom

    found = [u(c) / u(1) for c in range(size + 1)]
    assert table.correct[1:] == pytest.approx([positive * share for share in found[1:]], rel=1e-9)
    assert table.incorrect[:-1] == pytest.approx([-share for share in found[:-1]], rel=1e-9)
    assert (table.correct[0], table.incorrect[-1]) == (0, 0)


def test_bbg_by_hand_and_as_its_paper_has_it() -> None:
    """N = 8, k = 16: u = 6, 2.087, .664 for c = 0, 1, 2 (the first two stand in the paper's table)."""
    table = weights.bbg(8, 16)
    assert table.incorrect[:3] * -2.087 == pytest.approx([6, 2.087, 0.664], abs=1e-3)
    cut = weights.bbg(8, 16, tau=0.05)  # u < .45: of c = 3 and more
    assert np.flatnonzero(cut.incorrect).tolist() == [0, 1, 2]
    assert np.flatnonzero(cut.correct).tolist() == [1, 2]
    assert cut.correct[1] == pytest.approx(0.1)


@pytest.mark.parametrize("table", [weights.bbg(8, 16), weights.bbg(8, 16, 0.01), weights.bbg(4, 2)])
def test_bbg_keeps_prompts(table: weights.Advantages) -> None:
    """T12: its weight falls with p; those of W-REINFORCE, PSR and NSR do not."""
    assert utility.is_decreasing(table)
    assert not utility.is_decreasing(weights.reinforce(table.size, 0.1, 1.0))


def test_f_grpo_lowers_the_weight_of_easy_prompts_alone() -> None:
    easy, hard = (weights.weight(weights.f_grpo(8), p) / weights.weight(weights.grpo(8), p) for p in (0.95, 0.05))
    assert easy < 0.5
    assert hard > 0.8


def test_a_flatter_set_of_correct_answers_gains_more_slowly() -> None:
    correct = np.array([True, True, False])
    skewed, flat = (policies.log_base(p) for p in ([0.38, 0.02, 0.6], [0.2, 0.2, 0.6]))
    assert weights.speed(skewed, correct) > 1.2 * weights.speed(flat, correct)


def test_an_orbit_has_the_success_it_was_asked_for() -> None:
    correct, targets = np.array([True, True, False, False]), [0.35, 0.6, 0.9]
    ends = weights.orbit(weights.grpo(4), policies.log_base([0.25, 0.05, 0.4, 0.3]), correct, targets)
    assert np.exp(policies.log_mass(ends, correct)) == pytest.approx(targets, abs=1e-7)


def test_orbits_are_of_the_base() -> None:
    """Two bases with the same p end apart at the same later p: the orbit is common to methods, not to bases."""
    correct = np.array([True, True, False, False])
    ends = [
        weights.orbit(weights.maxrl(8), policies.log_base(p), correct, [0.9])
        for p in ([0.25, 0.05, 0.4, 0.3], [0.2, 0.1, 0.4, 0.3])
    ]
    assert np.abs(np.exp(ends[0]) - np.exp(ends[1])).max() > 0.05


def test_refusals() -> None:
    with pytest.raises(ValueError, match="incorrect has shape"):
        weights.Advantages(np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match="size=1"):
        weights.dr_grpo(1)
    with pytest.raises(ValueError, match="there is a closed form for dr-grpo"):
        weights.closed_form("darling", 0.5, 8)
    with pytest.raises(ValueError, match=r"must rise from the base's 0\.5"):
        weights.orbit(weights.grpo(4), policies.log_base([0.5, 0.5]), np.array([True, False]), [0.4])
