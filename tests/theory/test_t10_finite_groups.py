"""T10, finite groups."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import groups, policies, sampled, shaping, simulation
from theory.checks import brute, t10
from theory.checks.base import Control, mutated
from theory.sampled import Grpo
from theory.table_data import fig_group_size

P = np.array([0.2, 0.1, 0.05, 0.4, 0.25])
LOG_P = np.log(P)
CORRECT = np.arange(5) < 3


def test_count_vectors_are_all_of_them() -> None:
    assert sampled.number_of_groups(6, 8) == len(sampled.count_vectors(6, 8)) == 1287
    assert sampled.number_of_groups(8, 16) == len(sampled.count_vectors(8, 16)) == 245_157
    wanted = sorted(c for c in itertools.product(range(5), repeat=3) if sum(c) == 4)
    assert [tuple(row) for row in sampled.count_vectors(3, 4).tolist()] == wanted


def test_their_probabilities_sum_to_one() -> None:
    total = np.exp(sampled.log_multinomial(sampled.count_vectors(5, 8), LOG_P)).sum()
    assert total == pytest.approx(1, rel=1e-12)
    found = np.exp(sampled.log_multinomial(np.array([1, 0, 2, 1, 0]), LOG_P))
    assert found == pytest.approx(math.factorial(4) / 2 * 0.2 * 0.05**2 * 0.4)


def test_a_trajectory_without_probability_is_never_drawn() -> None:
    log_p = np.array([0.0, -np.inf])
    np.testing.assert_array_equal(sampled.log_multinomial(np.array([[2, 0], [1, 1]]), log_p), [0.0, -np.inf])


@pytest.mark.parametrize("kind", ["vanilla", "entropy", "ds", "centered"])
@pytest.mark.parametrize("options", t10.OPTIONS, ids=str)
def test_every_ordered_group(kind: str, options: Grpo) -> None:
    gammas = (0.3, 0.2)
    wanted = brute.expected_step(P, CORRECT, 3, lambda log_p, good: t10.literal(log_p, good, kind, gammas, options))
    found = sampled.expected_step(LOG_P, CORRECT, 3, t10.shape(kind, gammas), options)
    np.testing.assert_allclose(found, wanted, atol=1e-13)


def test_base_log_probs_may_stand_in_the_shaping() -> None:
    log_b = np.log([0.1, 0.2, 0.2, 0.3, 0.2])
    base = {round(p, 12): b for p, b in zip(LOG_P, log_b)}

    def advantages(log_p: np.ndarray, good: np.ndarray) -> np.ndarray:
        logs = np.vectorize(lambda value: base[round(value, 12)])(log_p)
        return t10.literal(logs, good, "ds", (0.3, 0.2), Grpo("reward"))

    found = sampled.expected_step(LOG_P, CORRECT, 3, shaping.ds(0.3, 0.2), Grpo("reward"), log_b)
    np.testing.assert_allclose(found, brute.expected_step(P, CORRECT, 3, advantages), atol=1e-13)


def test_vanilla_is_t2() -> None:
    for ddof, eps in ((0, 0.0), (1, 1e-4)):
        found = sampled.expected_step(LOG_P, CORRECT, 8, shaping.vanilla(), Grpo(ddof=ddof, eps=eps))
        np.testing.assert_allclose(found, groups.mean_step(P, CORRECT, 8, ddof, eps), atol=1e-14)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(2, 6), size=st.integers(1, 8), gamma=st.floats(0.01, 3))
def test_centered_part_in_closed_form(seed: int, m: int, size: int, gamma: float) -> None:
    log_p, correct = t10.policy(np.random.default_rng(seed), m)
    full, plain = (
        sampled.expected_step(log_p, correct, size, s) for s in (shaping.ds_centered(gamma), shaping.vanilla())
    )
    np.testing.assert_allclose(full - plain, sampled.centered_ds_part(log_p, correct, size, gamma), atol=1e-12)
    assert not sampled.centered_ds_part(log_p, correct, size, gamma)[~correct].any()


def test_centered_part_where_nothing_is_wrong_any_more() -> None:
    """C = 1: all pairs count, N − 1 of N."""
    log_p = np.array([np.log(0.75), np.log(0.25), -np.inf])
    correct = np.array([True, True, False])
    q = np.array([0.75, 0.25])
    wanted = -0.1 * 3 / 4 * q * (np.log(q) - q @ np.log(q))
    np.testing.assert_allclose(sampled.centered_ds_part(log_p, correct, 4, 0.1), [*wanted, 0], atol=1e-15)


def test_noise_at_uniform_correct_answers() -> None:
    log_p = np.log([0.1, 0.1, 0.1, 0.4, 0.3])
    mean, plain = sampled.step_moments(log_p, CORRECT, 6, shaping.vanilla())
    _, centered = sampled.step_moments(log_p, CORRECT, 6, shaping.ds_centered(0.5))
    _, uncentered = sampled.step_moments(log_p, CORRECT, 6, shaping.ds(0.5))
    np.testing.assert_allclose(centered, plain, atol=1e-15)
    assert np.trace(uncentered) > 1.5 * np.trace(plain)
    np.testing.assert_allclose(mean, groups.mean_step(np.exp(log_p), CORRECT, 6), atol=1e-14)


def test_uncentered_noise_may_offset_vanilla_noise() -> None:
    # "adds noise" is meant of the DS part alone: with one, nearly certain correct answer it pulls against vanilla's
    # noise, and the whole step's variance falls a little.
    log_p, correct = np.log([0.9, 0.1]), np.array([True, False])
    plain, whole = (
        np.trace(sampled.step_moments(log_p, correct, 2, s)[1]) for s in (shaping.vanilla(), shaping.ds(0.5))
    )
    assert plain == pytest.approx(0.0738)
    assert whole == pytest.approx(0.0730439, rel=1e-5)


def test_equal_shaped_rewards_are_not_divided_by_rounding() -> None:
    # both places of the sum round differently, the exact rewards are the same
    correct, counts = np.array([True, True, False]), np.array([2, 2, 0])
    for p0 in ([0.1 + 0.2, 0.3, 0.4], [1 - 0.9, 0.1, 0.8]):
        log_p = np.log(p0)
        assert log_p[0] != log_p[1]
        for gamma in (0.3, 0.5, 0.7, 2.0):
            step = sampled.group_step(log_p, correct, counts, shaping.ds(gamma), Grpo("reward"))
            assert np.abs(step).max() < 1e-12


@pytest.mark.parametrize("apart", [1e-3, 1e-9, 1.5e-12])  # the last: each from their mean by less than SAME
def test_rewards_that_differ_a_little_are_divided_by_their_std(apart: float) -> None:
    found = sampled.normalized(np.array([1, 1, 0]), np.array([1.0, 1.0 + apart, 5.0]), Grpo())
    assert found[:2] == pytest.approx([-1, 1], rel=1e-3)


def test_simulated_step_has_the_exact_moments() -> None:
    rng, runs = np.random.default_rng(3), 40_000
    start = np.tile(LOG_P, (runs, 1))
    options = Grpo("reward", ddof=1, eps=1e-4)
    moved = simulation.simulate(start, CORRECT, 4, shaping.ds(0.3, 0.2), rng, 1, 0.5, options).logits - start
    mean, covariance = sampled.step_moments(LOG_P, CORRECT, 4, shaping.ds(0.3, 0.2), options)
    error = np.sqrt(0.25 * np.diag(covariance) / runs)
    assert np.all(np.abs(moved.mean(0) - 0.5 * mean) < 5 * error)
    np.testing.assert_allclose(np.cov(moved.T), 0.25 * covariance, atol=0.05 * np.abs(covariance).max())


def test_runs_repeat_with_their_seed() -> None:
    start = np.tile(LOG_P, (7, 1))
    first, again, other = (
        simulation.simulate(start, CORRECT, 4, shaping.ds(0.3), np.random.default_rng(seed), 20, 0.5)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.logits, again.logits)
    assert np.abs(first.logits - other.logits).max() > 0.1
    assert first.steps.tolist() == [0]
    np.testing.assert_allclose(first.trace[0], simulation.entropy_on(LOG_P, CORRECT))


def test_collapse_from_a_tie_is_noise_and_fades_with_the_group_size() -> None:
    small = fig_group_size.outcome("tied", "vanilla", 2, 150, seed=1)
    large = fig_group_size.outcome("tied", "vanilla", 64, 150, seed=1)
    # stated: .67 at N = 2, .05 at N = 64
    assert small["collapsed_low"] < 0.67 < small["collapsed_high"]
    assert large["collapsed_low"] < 0.05 < large["collapsed_high"]
    # vanilla can freeze first: all groups alike, no step any more
    assert small["frozen"] > 0.1
    assert large["frozen"] == 0


def test_collapse_from_a_skewed_start_is_drift_and_quicker_in_large_groups() -> None:
    small = fig_group_size.outcome("skewed", "vanilla", 4, 100, seed=1)
    large = fig_group_size.outcome("skewed", "vanilla", 64, 100, seed=1)
    assert large["collapsed"] > 0.95
    assert large["median_step"] < small["median_step"]
    assert small["entropy_50"] < 0.18
    assert large["entropy_50"] < 0.18


@pytest.mark.parametrize("size", [2, 16])
def test_ds_ends_spread(size: int) -> None:
    found = fig_group_size.outcome("skewed", "ds", size, 100, seed=1)
    assert found["collapsed"] == 0
    assert found["entropy_min"] > 1.2  # of log 4 = 1.386
    assert found["ever"] < 0.1  # a few runs pass through collapse on the way


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    hits = rng.binomial(50, 0.3, 2000)
    ends = {h: simulation.fraction_interval(int(h), 50) for h in set(hits.tolist())}
    covered = np.mean([ends[h][0] <= 0.3 <= ends[h][1] for h in hits.tolist()])
    assert covered >= 0.95
    assert simulation.fraction_interval(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert simulation.fraction_interval(10, 10)[1] == 1.0


def test_frozen_and_collapsed_by_hand() -> None:
    log_p = policies.log_base([0.6, 0.3999, 0.0001])
    correct = np.array([True, True, False])
    assert simulation.frozen(log_p, correct, 2)  # 2e-4
    assert not simulation.frozen(log_p, correct, 64)  # 6.4e-3
    assert not simulation.collapsed(log_p, correct)
    assert simulation.collapsed(policies.log_base([0.5, 0.02, 0.48]), correct)


def test_a_policy_that_is_mostly_wrong_freezes_and_collapses_too() -> None:
    correct = np.array([True, True, False])
    log_p = policies.log_base([0.00009, 0.00001, 0.9999])
    assert simulation.frozen(log_p, correct, 2)  # 2e-4
    assert not simulation.frozen(log_p, correct, 64)  # 6.4e-3
    start = np.log([[0.3, 0.001, 0.699], [0.3, 0.1, 0.6]])  # one holds .997 and .75 of pi_K
    found = simulation.simulate(start, correct, 2, shaping.vanilla(), np.random.default_rng(0), 0, 0.1)
    assert found.collapsed_at.tolist() == [0, -1]


def test_check_holds() -> None:
    for outcome in t10.check(np.random.default_rng(5), 5000):
        assert outcome.holds, outcome


@pytest.mark.parametrize("control", t10.THEOREM.controls, ids=lambda control: control.name)
def test_check_notices(control: Control) -> None:
    with mutated(control):
        outcomes = t10.check(np.random.default_rng(6), 1000)
    assert not all(outcome.holds for outcome in outcomes)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Grpo(place="loss"), "place='loss'"),  # type: ignore[arg-type]
        (lambda: Grpo(ddof=2), "ddof=2"),
        (lambda: Grpo(eps=float("nan")), "eps=nan"),
        (lambda: sampled.expected_step(LOG_P, CORRECT, 0, shaping.vanilla()), "size=0"),
        (lambda: sampled.expected_step(LOG_P[:3], CORRECT, 2, shaping.vanilla()), "shape"),
        (lambda: sampled.count_vectors(12, 40), "m=12, size=40"),
        (lambda: simulation.fraction_interval(3, 2), "hits=3"),
    ],
)
def test_bad_input_is_named(make: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()  # type: ignore[operator]
