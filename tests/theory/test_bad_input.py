"""Bad input is a ValueError that names the argument and its value."""

import numpy as np
import pytest

from theory import groups, iteration, policies, sampled

LOG_P0 = policies.log_base([0.2, 0.3, 0.5])
CORRECT = np.array([True, False, True])


@pytest.mark.parametrize(
    ("pi0", "message"),
    [
        ([0.2, 0.3, 0.4], r"pi0 sums to 0\.9"),
        ([0.5, 0.6], r"pi0 sums to 1\.1"),
        ([0.5, 0.5 + 2e-9], r"pi0 sums to 1\.000000002"),
        ([0.0, 1.0], r"pi0=0\.0"),
        ([-0.5, 1.5], r"pi0=-0\.5"),
        ([float("nan"), 1.0], "pi0=nan"),
        ([float("inf"), 1.0], "pi0=inf"),
        ([1.0], r"pi0=\[1\.0\].*two"),
        (1.0, r"pi0=1\.0"),
        ([[0.5, 0.5], [0.5, 0.4]], r"pi0 sums to 0\.9"),
    ],
)
def test_a_wrong_base_is_refused(pi0, message):
    with pytest.raises(ValueError, match=message):
        policies.log_base(pi0)


def test_a_base_may_miss_one_by_rounding():
    assert np.exp(policies.log_base([0.5, 0.5 + 5e-10])) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("correct", "message"),
    [
        ([False, False, False], "correct=.*one trajectory must be correct"),
        ([True, True, True], "correct=.*one incorrect"),
        ([True, False], r"correct has shape \(2,\).*3 trajectories"),
        (True, r"correct has shape \(\)"),
        ([[True, False, False], [True, True, True]], "correct="),
    ],
)
def test_a_wrong_correct_set_is_refused(correct, message):
    for call in (
        lambda: policies.check_correct(correct, 3),
        lambda: policies.ds(LOG_P0, np.asarray(correct), 1.0, 0.1),
        lambda: policies.vanilla(LOG_P0, np.asarray(correct), 1.0),
        lambda: policies.entropy_ce(LOG_P0, np.asarray(correct), 1.0, 0.1),
        lambda: policies.entropy_shannon(LOG_P0, np.asarray(correct), 1.0, 0.1),
        lambda: policies.ds_centered(LOG_P0, np.asarray(correct), 1.0, 0.1),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wrong_beta_is_refused(beta):
    for call in (
        lambda: policies.vanilla(LOG_P0, CORRECT, beta),
        lambda: policies.ds(LOG_P0, CORRECT, beta, 0.1),
        lambda: policies.ds_centered(LOG_P0, CORRECT, beta, 0.1),
        lambda: policies.entropy_ce(LOG_P0, CORRECT, beta, 0.1),
        lambda: policies.entropy_shannon(LOG_P0, CORRECT, beta, 0.1),
    ):
        with pytest.raises(ValueError, match=f"beta={beta}"):
            call()


@pytest.mark.parametrize("gamma", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("form", [policies.ds, policies.ds_centered])
def test_a_wrong_gamma_is_refused(form, gamma):
    with pytest.raises(ValueError, match=f"gamma_p={gamma}"):
        form(LOG_P0, CORRECT, 1.0, gamma)
    with pytest.raises(ValueError, match=f"gamma_n={gamma}"):
        form(LOG_P0, CORRECT, 1.0, 0.1, gamma)


def test_entropy_takes_either_sign_but_no_nan():
    assert np.isfinite(policies.entropy_ce(LOG_P0, CORRECT, 1.0, -0.5)).all()
    with pytest.raises(ValueError, match="gamma=nan"):
        policies.entropy_ce(LOG_P0, CORRECT, 1.0, float("nan"))


@pytest.mark.parametrize("gamma", [-1.0, -2.0, float("nan")])
def test_the_shannon_form_needs_an_interior_optimum(gamma):
    with pytest.raises(ValueError, match=r"beta \+ gamma="):
        policies.entropy_shannon(LOG_P0, CORRECT, 1.0, gamma)


def test_the_first_wrong_value_of_a_batch_is_named():
    with pytest.raises(ValueError, match=r"beta=-3\.0"):
        policies.vanilla(np.stack([LOG_P0, LOG_P0]), CORRECT, np.array([1.0, -3.0]))


@pytest.mark.parametrize("correct", [["False", "True", "True"], [0.5, 1, 0], [0, 2, 0], [None, True, False]])
def test_a_correct_set_of_other_things_is_refused(correct):
    with pytest.raises(ValueError, match=r"correct=.*every entry must be true or false"):
        policies.check_correct(correct, 3)
    assert policies.check_correct([0, 1.0, True], 3).tolist() == [False, True, True]


def test_a_base_that_rules_a_trajectory_out_is_refused():
    with pytest.raises(ValueError, match="log_p0=-inf: every log-probability of the base must be finite"):
        policies.ds(np.array([-np.inf, np.log(0.5), np.log(0.5)]), CORRECT, 1.0, 0.1)


@pytest.mark.parametrize("steps", [float("inf"), float("nan"), 1.5, 0])
def test_steps_that_are_no_number_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match=f"steps={steps}: must be an integer"):
        iteration.conditionals(LOG_P0, CORRECT, 1.0, 0.1, steps=steps)


def test_an_exponent_beyond_all_numbers_is_refused():
    with pytest.raises(ValueError, match=r"gamma_p=5\.0 with beta=1\.0: after 2000 steps"):
        iteration.conditionals(LOG_P0, CORRECT, 1.0, 5.0, steps=2000)
    with pytest.raises(ValueError, match=r"gamma_n=5\.0 with beta=1\.0: after 2000 steps"):
        iteration.conditionals(LOG_P0, CORRECT, 1.0, 0.5, 5.0, steps=2000)


def test_a_policy_without_correct_trajectories_has_no_centered_part():
    with pytest.raises(ValueError, match="log_p gives the correct trajectories probability 0"):
        sampled.centered_ds_part(np.array([-np.inf, 0.0, -np.inf]), CORRECT, 4, 0.1)


def test_a_sum_that_rounds_above_the_whole_is_the_whole():
    assert 0.1 + 0.2 > 0.3
    assert groups.reinforcement_probability(0.1 + 0.2, 0.3, 4) == groups.reinforcement_probability(0.3, 0.3, 4)
    with pytest.raises(ValueError, match=r"must lie in \(0, C\]"):
        groups.reinforcement_probability(0.3 + 1e-9, 0.3, 4)
