"""T3, where the flows end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from theory import flows, policies, shaping
from theory.checks import brute, t3
from theory.checks.base import Control, mutated
from theory.checks.t2 import policies_of
from theory.shaping import Shaping

P0 = np.array([0.15, 0.12, 0.03, 0.3, 0.25, 0.15])
CORRECT = np.arange(6) < 3
LOG_P0 = np.log(P0)
DIP, DIP_CORRECT = np.log([0.02, 0.01, 0.5, 0.3, 0.17]), np.arange(5) < 2


def end(kind: Shaping, t: float = 1e8, natural: bool = False) -> np.ndarray:
    return np.exp(policies.log_normalize(flows.integrate(LOG_P0, CORRECT, kind, [t], natural)[-1]))


@pytest.mark.parametrize(
    "kind", [shaping.vanilla(), shaping.entropy(0.4), shaping.entropy(-0.4), shaping.ds(0.3, 0.7)], ids=str
)
def test_the_field_is_the_gradient_of_the_potential(kind: Shaping) -> None:
    gradient = brute.gradient(flows.potential, LOG_P0, CORRECT, kind)
    np.testing.assert_allclose(flows.field(LOG_P0, CORRECT, kind), gradient, rtol=1e-12, atol=1e-15)


def test_the_centered_field_is_no_gradient() -> None:
    # the Jacobian of a gradient is symmetric
    kind, h = shaping.ds_centered(0.5), 1e-6
    columns = [
        (flows.field(LOG_P0 + h * e, CORRECT, kind) - flows.field(LOG_P0 - h * e, CORRECT, kind)) / (2 * h)
        for e in np.eye(6)
    ]
    jacobian = np.array(columns)
    assert np.abs(jacobian - jacobian.T).max() > 1e-3
    with pytest.raises(ValueError, match="centered=True"):
        flows.potential(LOG_P0, CORRECT, kind)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(2, 8))
def test_vanilla_conserves(seed: int, m: int) -> None:
    p, correct = policies_of(np.random.default_rng(seed), 1, m)
    theta = np.log(p[0])
    velocity = flows.field(theta, correct[0], shaping.vanilla())
    rates = -velocity / p[0]  # of e^-theta
    assert np.ptp(rates[correct[0]]) < 1e-12
    assert np.ptp(rates[~correct[0]]) < 1e-12
    assert abs(velocity.sum()) < 1e-12


def test_vanilla_conserves_along_the_flow() -> None:
    before, total = flows.conserved(LOG_P0, CORRECT)
    after, totals = flows.conserved(flows.integrate(LOG_P0, CORRECT, shaping.vanilla(), [1, 10, 100]), CORRECT)
    np.testing.assert_allclose(after, np.broadcast_to(before, after.shape), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(totals, total, rtol=1e-9)


def test_vanilla_collapses_at_the_stated_rates() -> None:
    times = np.array([1e4, 1e6, 1e8])
    log_p = policies.log_normalize(flows.integrate(LOG_P0, CORRECT, shaping.vanilla(), times))
    miss, losers = flows.vanilla_tail(LOG_P0, CORRECT, times)
    for found, wanted in (
        (policies.log_mass(log_p, ~CORRECT), np.log(miss)),
        (log_p[:, 1], np.log(losers[:, 1])),
        (log_p[:, 2], np.log(losers[:, 2])),
    ):
        gap = np.abs(found - wanted)
        assert gap[0] > gap[1] > gap[2]
        assert gap[2] < 1e-4
    assert np.isnan(losers[:, 0]).all()
    assert np.ptp(log_p[:, ~CORRECT], axis=1)[2] < np.ptp(log_p[:, ~CORRECT], axis=1)[0] / 5


@pytest.mark.parametrize("ties", [2, 3])
def test_tied_winners_have_a_rate_of_their_own(ties: int) -> None:
    p0 = np.array([0.1] * ties + [0.05, 0.02, 0.3])
    p0 = np.append(p0, 1 - p0.sum())
    correct = np.arange(len(p0)) < ties + 2
    times = np.array([1e6, 1e8])
    log_p = policies.log_normalize(flows.integrate(np.log(p0), correct, shaping.vanilla(), times))
    miss, losers = flows.vanilla_tail(np.log(p0), correct, times)
    for found, wanted in (
        (policies.log_mass(log_p, ~correct), np.log(miss)),
        (log_p[:, ties], np.log(losers[:, ties])),
        (log_p[:, ties + 1], np.log(losers[:, ties + 1])),
    ):
        gap = np.abs(found - wanted)
        assert gap[1] < gap[0]
        assert gap[1] < 2e-3
    assert np.isnan(losers[:, :ties]).all()


def test_vanilla_shares_between_ties() -> None:
    log_p0 = np.log([0.2, 0.2, 0.1, 0.5])
    correct = np.array([True, True, True, False])
    np.testing.assert_allclose(flows.limit(log_p0, correct, shaping.vanilla()), [0.5, 0.5, 0, 0])
    last = policies.log_normalize(flows.integrate(log_p0, correct, shaping.vanilla(), [1e8])[-1])
    np.testing.assert_allclose(np.exp(last), [0.5, 0.5, 0, 0], atol=2e-3)


def test_entropy_bonus_ends_even_but_short_of_one() -> None:
    gamma = 0.5
    C = 3 * np.exp(1 / gamma) / (3 * np.exp(1 / gamma) + 3)
    np.testing.assert_allclose(end(shaping.entropy(gamma)), np.where(CORRECT, C / 3, (1 - C) / 3), rtol=1e-6)
    np.testing.assert_allclose(
        end(shaping.entropy(gamma)), flows.limit(LOG_P0, CORRECT, shaping.entropy(gamma)), rtol=1e-6
    )


@pytest.mark.parametrize("gamma_n", [0.0, 0.5, 2.0])
def test_ds_ends_even_and_correct(gamma_n: float) -> None:
    kind = shaping.ds(0.2, gamma_n)
    np.testing.assert_allclose(end(kind), flows.limit(LOG_P0, CORRECT, kind), atol=1e-6)


def test_ds_may_first_lose_correctness_by_orders_of_magnitude() -> None:
    kind = shaping.ds(0.1, 3.0)
    times = np.r_[0.0, np.geomspace(1, 1e8, 400)]
    log_p = policies.log_normalize(flows.integrate(DIP, DIP_CORRECT, kind, times))
    C = np.exp(policies.log_mass(log_p, DIP_CORRECT))
    assert C[0] == pytest.approx(0.03)
    # The reconstruction of the statement said 8e-5; two integrators agree on 5.6e-5.
    assert C.min() == pytest.approx(5.609e-5, rel=1e-3)
    assert 1e3 < times[C.argmin()] < 1e4
    assert C[-1] == pytest.approx(1, abs=1e-7)
    assert np.ptp(log_p[-1, :2]) < 1e-6
    other = solve_ivp(
        lambda t, theta: flows.field(theta, DIP_CORRECT, kind), (0, 1e4), DIP, method="DOP853", rtol=1e-11, atol=1e-13
    )
    again = np.exp(policies.log_mass(policies.log_normalize(other.y.T), DIP_CORRECT)).min()
    assert again == pytest.approx(5.609e-5, rel=1e-3)


def test_ds_climbs_its_potential_while_correctness_falls() -> None:
    kind = shaping.ds(0.1, 3.0)
    theta = flows.integrate(DIP, DIP_CORRECT, kind, np.geomspace(1, 1e3, 30))
    assert np.all(np.diff(flows.potential(theta, DIP_CORRECT, kind)) > 0)
    assert np.all(np.diff(policies.log_odds(policies.log_normalize(theta), DIP_CORRECT))[-5:] < 0)


def test_the_potential_of_far_logits_is_finite() -> None:
    theta, correct = np.array([1000.0, 1000.0, -1000.0]), np.array([True, True, False])
    # pi = (½, ½, 0): 1 − gamma_p (−log 2 − 1)
    assert flows.potential(theta, correct, shaping.ds(0.5)) == pytest.approx(1 + 0.5 * (np.log(2) + 1))


def test_penalty_threshold_and_its_two_sides() -> None:
    log_p0, correct = np.log([0.3, 0.05, 0.4, 0.25]), np.arange(4) < 2
    threshold = float(flows.penalty_threshold(log_p0, correct))
    assert threshold == pytest.approx(1 / np.log(0.4 / 0.3))
    for natural in (True, False):
        assert t3.ends_incorrect(log_p0, correct, 1.1 * threshold, natural)
    assert not t3.ends_incorrect(log_p0, correct, 0.9 * threshold, natural=True)
    # below the threshold the plain flow goes either way
    assert t3.ends_incorrect(log_p0, correct, 0.9 * threshold, natural=False)
    assert not t3.ends_incorrect(log_p0, correct, 0.7 * threshold, natural=False)


@pytest.mark.parametrize("gamma", [0.5, 5.0, 50.0])
def test_penalty_never_ends_incorrect_from_a_correct_leader(gamma: float) -> None:
    log_p0, correct = np.log([0.35, 0.05, 0.3, 0.3]), np.arange(4) < 2
    assert flows.penalty_threshold(log_p0, correct) == np.inf
    assert not t3.ends_incorrect(log_p0, correct, gamma, natural=False)


@pytest.mark.parametrize(("factor", "incorrect"), [(0.95, False), (1.05, True)])
def test_penalty_with_two_trajectories_is_decided_by_the_threshold(factor: float, incorrect: bool) -> None:
    log_p0, correct = np.log([0.2, 0.8]), np.array([True, False])
    gamma = factor * float(flows.penalty_threshold(log_p0, correct))
    assert t3.ends_incorrect(log_p0, correct, gamma, natural=False) == incorrect


def test_natural_vanilla_keeps_every_ratio_and_the_self_centered_spreads_for_free() -> None:
    t = 3.0
    vanilla, centered, ds = (
        policies.log_normalize(flows.integrate(LOG_P0, CORRECT, kind, [t], natural=True)[-1])
        for kind in (shaping.vanilla(), shaping.ds_centered(0.8), shaping.ds(0.8, 0.4))
    )
    np.testing.assert_allclose(
        policies.conditional(vanilla, CORRECT)[CORRECT], policies.conditional(LOG_P0, CORRECT)[CORRECT], atol=1e-8
    )
    start = float(policies.log_odds(LOG_P0, CORRECT))
    assert policies.log_odds(vanilla, CORRECT) == pytest.approx(start + t, abs=1e-7)
    assert policies.log_odds(centered, CORRECT) == pytest.approx(start + t, abs=1e-7)
    assert policies.log_odds(ds, CORRECT) > start + t
    for found in (centered, ds):
        shrunk = (found[0] - found[2]) / (LOG_P0[0] - LOG_P0[2])
        assert shrunk == pytest.approx(np.exp(-0.8 * t), rel=1e-6)
    assert (ds[3] - ds[5]) / (LOG_P0[3] - LOG_P0[5]) == pytest.approx(np.exp(0.4 * t), rel=1e-6)


def test_each_class_is_centered_by_its_own_mean() -> None:
    log_p, correct = np.log([0.3, 0.1, 0.4, 0.2]), np.arange(4) < 2
    means = (0.75 * log_p[0] + 0.25 * log_p[1], (2 * log_p[2] + log_p[3]) / 3)
    wanted = np.r_[1 - 0.5 * (log_p[:2] - means[0]), 0.3 * (log_p[2:] - means[1])]
    np.testing.assert_allclose(flows.reward(log_p, correct, shaping.ds_centered(0.5, 0.3)), wanted, rtol=1e-12)


def test_check_holds() -> None:
    for outcome in t3.check(np.random.default_rng(5), 3000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t3.THEOREM.controls, ids=lambda control: control.name)
def test_check_notices(control: Control) -> None:
    with mutated(control):
        outcomes = t3.check(np.random.default_rng(6), 200)
    assert not all(outcome.holds for outcome in outcomes)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: shaping.ds(-0.1), "gamma_p=-0.1"),
        (lambda: shaping.ds(0.1, -0.2), "gamma_n=-0.2"),
        (lambda: shaping.ds_centered(float("nan")), "gamma_p=nan"),
        (lambda: shaping.entropy(float("inf")), "gamma=inf"),
        (lambda: flows.integrate(LOG_P0, CORRECT, shaping.vanilla(), [2.0, 1.0]), "times="),
        (lambda: flows.integrate(LOG_P0, CORRECT, shaping.vanilla(), [-1.0, 1.0]), "times="),
        (lambda: flows.integrate(LOG_P0, CORRECT, shaping.vanilla(), [1.0, 1.0]), "times="),
        (lambda: flows.limit(LOG_P0, CORRECT, shaping.entropy(-0.1)), "no limit"),
        (lambda: flows.limit(LOG_P0, CORRECT, shaping.ds_centered(0.1)), "centered=True"),
        (lambda: flows.limit(LOG_P0, CORRECT, shaping.ds(0.0, 0.3)), "no limit"),
        (lambda: flows.limit(np.tile(LOG_P0, (2, 1)), CORRECT, shaping.entropy(np.array([0.0, 0.3]))), "no limit"),
    ],
)
def test_bad_input_is_named(make: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()  # type: ignore[operator]
