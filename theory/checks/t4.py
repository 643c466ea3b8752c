"""T4, closed forms: stationarity on every instance, the gap to random rivals, an optimizer that knows no formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from theory import policies
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.instances import DISTRIBUTION, Instances, random_instances
from theory.policies import Array, Mask

FORMS = ("vanilla", "entropy bonus", "entropy penalty", "Shannon bonus", "Shannon penalty", "DS")
INSTANCES_PER_OPTIMIZATION = 100


def problem(form: str, found: Instances) -> tuple[Array, Array, Array]:
    """(policy by the closed form (b, m), reward as the table has it (b, m), gamma of the Shannon term (b,))."""
    log_p0, correct, beta, gamma = found.log_p0, found.correct, found.beta, found.gamma_p
    reward = correct.astype(float)
    none = np.zeros_like(beta)
    if form == "vanilla":
        return policies.vanilla(log_p0, correct, beta), reward, none
    if form == "entropy bonus":
        return policies.entropy_ce(log_p0, correct, beta, gamma), reward - gamma[:, None] * log_p0, none
    if form == "entropy penalty":
        return policies.entropy_ce(log_p0, correct, beta, -gamma), reward + gamma[:, None] * log_p0, none
    if form == "Shannon bonus":
        return policies.entropy_shannon(log_p0, correct, beta, gamma), reward, gamma
    if form == "Shannon penalty":
        # as strong as gamma, but below beta: beyond it there is no interior optimum
        weaker = -gamma * beta / (gamma + beta)
        return policies.entropy_shannon(log_p0, correct, beta, weaker), reward, weaker
    shaped = reward - gamma[:, None] * np.where(correct, log_p0, 0.0)
    shaped = shaped + found.gamma_n[:, None] * np.where(correct, 0.0, log_p0)
    return policies.ds(log_p0, correct, beta, gamma, found.gamma_n), shaped, none


def value(log_p: Array, log_p0: Array, reward: Array, beta: Array, gamma: Array) -> Array:
    """E R − beta KL(pi‖pi0) + gamma H(pi), shape (b,)."""
    weighed = reward - beta[:, None] * (log_p - log_p0) - gamma[:, None] * log_p
    return np.asarray((np.exp(log_p) * weighed).sum(-1))


def stationarity(log_p: Array, log_p0: Array, reward: Array, beta: Array, gamma: Array) -> Array:
    """Spread over trajectories of the objective's derivative with respect to pi(y), relative to its terms, (b,)."""
    slope = reward - beta[:, None] * (log_p - log_p0) - gamma[:, None] * log_p
    scale = np.abs(reward).max(-1) + (beta + np.abs(gamma)) * np.abs(log_p).max(-1) + beta * np.abs(log_p0).max(-1)
    return np.asarray(np.ptp(slope, axis=-1) / scale)


def optimize(payoff: Array, weight: float) -> Array:
    """The log-policy (m,) that maximizes E[payoff] + weight H(pi): SciPy's trust-region Newton on logits, from zero."""

    def loss(theta: Array) -> tuple[float, Array]:
        log_p = theta - np.logaddexp.reduce(theta)
        p, score = np.exp(log_p), payoff - weight * log_p
        return -float(p @ score), p * (p @ score - score)

    def curvature(theta: Array) -> Array:
        p, slope = np.exp(theta - np.logaddexp.reduce(theta)), loss(theta)[1]
        mixed = np.outer(slope, p)
        return weight * (np.diag(p) - np.outer(p, p)) + np.diag(slope) - mixed - mixed.T

    start = np.zeros(len(payoff))
    found = minimize(loss, start, jac=True, hess=curvature, method="trust-ncg", options={"gtol": 1e-12})
    return np.asarray(found.x - np.logaddexp.reduce(found.x))


def mild_instances(rng: np.random.Generator, n: int, m: int) -> Instances:
    """Problems whose optimum an optimizer can resolve: probabilities of 1e-6 have gradients of 1e-6."""
    beta = np.exp(rng.uniform(np.log(0.5), np.log(10), n))
    size = rng.integers(1, m, n)
    correct = np.argsort(rng.random((n, m)), axis=-1) < size[:, None]
    log_p0 = policies.log_normalize(rng.normal(0, 1, (n, m)))
    ratios = np.where(rng.random((2, n)) < 0.2, rng.integers(0, 2, (2, n)), rng.uniform(0, 1.5, (2, n)))
    return Instances(log_p0, correct, beta, ratios[0] * beta, ratios[1] * beta)


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    spread = dict.fromkeys(FORMS, 0.0)
    gap = 0.0
    for batch in random_instances(rng, n):
        rival = policies.log_normalize(rng.normal(0, 3, batch.log_p0.shape))
        for form in FORMS:
            log_p, reward, gamma = problem(form, batch)
            spread[form] = _larger(spread[form], stationarity(log_p, batch.log_p0, reward, batch.beta, gamma))
            best, other = (value(p, batch.log_p0, reward, batch.beta, gamma) for p in (log_p, rival))
            weight = batch.beta + gamma
            away = weight * (np.exp(rival) * (rival - log_p)).sum(-1)
            scale = np.abs(reward).max(-1) + weight * np.abs(log_p).max(-1) + batch.beta * np.abs(batch.log_p0).max(-1)
            gap = _larger(gap, np.abs(best - other - away) / scale)
    names = {form: f"stationary: R − beta log(pi/pi0) is constant, {form}" for form in FORMS}
    return [
        *(Outcome(names[form], n, spread[form], 1e-12, "relative to its terms") for form in FORMS),
        Outcome("and a maximum: a rival loses (beta + gamma) KL(rival‖pi)", n, gap, 1e-11, "relative; six forms"),
        *_against_optimizer(rng, max(n // INSTANCES_PER_OPTIMIZATION, 2 * len(FORMS))),
    ]


def _against_optimizer(rng: np.random.Generator, n: int) -> list[Outcome]:
    odds = probabilities = 0.0
    sizes = rng.integers(2, 9, n)
    for i, m in enumerate(sizes.tolist()):
        one = mild_instances(rng, 1, m)
        log_p, reward, gamma = problem(FORMS[i % len(FORMS)], one)
        found = optimize(reward[0] + one.beta[0] * one.log_p0[0], float(one.beta[0] + gamma[0]))
        correct = one.correct[0]
        wanted = np.log(np.exp(found[correct]).sum() / np.exp(found[~correct]).sum())
        odds = _larger(odds, np.abs(policies.log_odds(log_p, one.correct) - wanted))
        probabilities = _larger(probabilities, np.abs(log_p[0] - found))
    detail = "absolute; trust-region Newton on logits; m 2..8, logits normal, beta in [.5, 10], gammas in [0, 1.5 beta]"
    return [
        Outcome("an optimizer's log-odds", n, odds, 1e-4, detail),
        Outcome("an optimizer's log-probabilities", n, probabilities, 1e-3, detail),
    ]


def _larger(worst: float, errors: Array) -> float:
    """The larger of both, NaN if there is one."""
    return float(np.max(np.append(errors, worst)))


def _flip_p(ds: Callable[..., Array]) -> Callable[..., Array]:
    def broken(log_p0: Array, correct: Mask, beta: Any, gamma_p: Any, gamma_n: Any = 0.0) -> Array:
        right, without = ds(log_p0, correct, beta, gamma_p, gamma_n), ds(log_p0, correct, beta, 0.0, gamma_n)
        return policies.log_normalize(2 * without - right)

    return broken


THEOREM = Theorem(
    id="T4",
    title="Closed forms",
    statement=(
        "The maximizer of E_pi[R] − beta KL(pi‖pi0) is ∝ pi0 e^{r/beta} (vanilla), pi0^{1−gamma/beta} e^{r/beta} "
        "(entropy, cross-entropy form), pi0^{beta/(beta+gamma)} e^{r/(beta+gamma)} (Shannon form), and for DS "
        "pi0^{1−gamma_p/beta} e^{1/beta} on K, pi0^{1+gamma_n/beta} on I."
    ),
    tag="derived",
    oracle="the first-order condition; the objective at random rivals; SciPy's trust-region Newton on the logits",
    instances=DISTRIBUTION,
    check=check,
    controls=(
        Control("gamma_p with the wrong sign", "theory.policies:ds", _flip_p),
        Control(
            "gammas on the wrong classes",
            "theory.policies:ds",
            lambda ds: lambda log_p0, correct, beta, p, n=0.0: ds(log_p0, correct, beta, n, p),
        ),
        Control(
            "gammas not divided by beta",
            "theory.policies:ds",
            lambda ds: lambda log_p0, correct, beta, p, n=0.0: ds(log_p0, correct, beta, p * beta, n * beta),
        ),
        Control(
            "bonus taken for a penalty",
            "theory.policies:entropy_ce",
            lambda real: lambda log_p0, correct, beta, gamma: real(log_p0, correct, beta, -gamma),
        ),
        Control(
            "Shannon form taken for the cross-entropy form",
            "theory.policies:entropy_shannon",
            lambda real: lambda log_p0, correct, beta, gamma: policies.entropy_ce(log_p0, correct, beta, gamma),
        ),
        Control(
            "beta halved",
            "theory.policies:vanilla",
            lambda real: lambda log_p0, correct, beta: real(log_p0, correct, beta / 2),
        ),
    ),
    module="theory/policies.py",
    notebook="notebooks/T4_closed_forms.ipynb",
    test="tests/theory/test_t4_closed_forms.py",
    figure=None,
)
