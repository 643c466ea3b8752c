"""Bad input is a ValueError that names the argument and its value."""

import numpy as np
import pytest

from theory import policies

LOG_P0 = policies.log_base([0.2, 0.3, 0.5])
CORRECT = np.array([True, False, True])


@pytest.mark.parametrize(
    ("pi0", "message"),
    [
        ([0.2, 0.3, 0.4], r"pi0 sums to 0\.9"),
        ([0.5, 0.6], r"pi0 sums to 1\.1"),
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
