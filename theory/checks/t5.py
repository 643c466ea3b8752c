"""T5, DS against vanilla at equal beta: odds by quadrature, majorisation, the ceiling, the price by an optimizer."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from theory import dominance, policies
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.instances import DISTRIBUTION, random_instances
from theory.policies import Array, Mask

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
PANELS = 8


def gain_by_quadrature(log_p0: Array, correct: Mask, down: Array, up: Array) -> Array:
    """−∫_{1−down}^1 E_{q_s on K}[log pi0] ds − ∫_1^{1+up} E_{q_s on I}[log pi0] ds, as d log Z_s/ds = E_{q_s}[log pi0].

    Composite Gauss–Legendre; the averages are plain weighted sums, not the code under test.
    """
    total = np.zeros(down.shape)
    for mask, low, high in ((correct, 1 - down, np.ones_like(down)), (~correct, np.ones_like(up), 1 + up)):
        top = np.where(mask, log_p0, -np.inf).max(axis=-1)
        bottom = np.where(mask, log_p0, np.inf).min(axis=-1)
        for panel in range(PANELS):
            width = (high - low) / PANELS
            for node, weight in zip(NODES, WEIGHTS):
                s = low + width * (panel + (node + 1) / 2)
                shift = np.where(s >= 0, s * top, s * bottom)  # the largest exponent, so that nothing overflows
                raw = np.where(mask, np.exp(s[:, None] * log_p0 - shift[:, None]), 0.0)
                total -= width / 2 * weight * (raw * log_p0).sum(-1) / raw.sum(-1)
    return total


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    integral = lost = order = 0.0
    strict = ceiling = 0
    ceiling_cases = diverse_cases = 0
    quadrature = max(1, n // 20)
    seen = 0
    for batch in random_instances(rng, n):
        log_p0, correct = batch.log_p0, batch.correct
        p, q = batch.gamma_p / batch.beta, batch.gamma_n / batch.beta
        gain = dominance.odds_gain(log_p0, correct, batch.beta, batch.gamma_p, batch.gamma_n)
        scale = 1 + np.abs(policies.log_odds(log_p0, correct)) + 1 / batch.beta
        lost = max(lost, float(np.max(-gain / scale)))
        # every probability is below one: a positive gamma gains at least gamma/beta times the smallest −log pi0
        floor = p * _least(log_p0, correct) + q * _least(log_p0, ~correct)
        strict += int(np.sum((floor > 1e-9 * scale) & ~(gain > 0)))
        part = slice(0, max(0, min(len(gain), quadrature - seen)))
        if part.stop:
            wanted = gain_by_quadrature(log_p0[part], correct[part], p[part], q[part])
            integral = max(integral, float(np.max(np.abs(gain[part] - wanted) / (scale[part] + wanted))))
            seen += part.stop
        smooth = policies.conditional(policies.ds(log_p0, correct, batch.beta, batch.gamma_p, batch.gamma_n), correct)
        plain = policies.conditional(policies.vanilla(log_p0, correct, batch.beta), correct)
        within = p <= 1
        diverse_cases += int(within.sum())
        sums = [np.cumsum(np.sort(np.exp(log_q), axis=-1)[..., ::-1], axis=-1) for log_q in (smooth, plain)]
        order = max(order, float(np.max(np.where(within[:, None], sums[0] - sums[1], 0.0))))
        two = (correct.sum(-1) == 2) & (np.abs(p - 2) > 1e-6) & (_spread(log_p0, correct) > 1e-6)
        ceiling_cases += int(two.sum())
        # of two answers every diversity is a falling function of their log-ratio, which does not round to nothing
        more = _spread(smooth, correct) <= _spread(plain, correct) * (1 + 1e-9)
        ceiling += int(np.sum(two & (more != (p <= 2))))
    return [
        Outcome("log-odds gain = integral of −E[log pi0]", seen, integral, 1e-6, "relative; Gauss–Legendre, 512 nodes"),
        Outcome("C(DS) ≥ C(vanilla)", n, lost, 1e-12, "log-odds, relative"),
        Outcome("strictly, for positive gammas", n, strict, 0, "violations"),
        Outcome("gamma_p ≤ beta: vanilla's pi_K majorises DS's", diverse_cases, order, 1e-12, "partial sums"),
        Outcome("two correct: more diverse iff gamma_p ≤ 2 beta", ceiling_cases, ceiling, 0, "violations"),
        _price(rng, min(n // 100, 100)),
    ]


def _least(log_p0: Array, mask: Mask) -> Array:
    return np.asarray(np.where(mask, -log_p0, np.inf).min(axis=-1))


def _spread(log_p0: Array, mask: Mask) -> Array:
    return np.asarray(np.where(mask, log_p0, -np.inf).max(axis=-1) - np.where(mask, log_p0, np.inf).min(axis=-1))


def _price(rng: np.random.Generator, n: int) -> Outcome:
    """At DS's own C and KL no policy has a larger entropy of pi_K: an optimizer, started anywhere, finds DS's."""
    error = 0.0
    for _ in range(max(n, 3)):
        m = int(rng.integers(4, 7))
        correct = np.arange(m) < rng.integers(2, m - 1)
        log_p0 = policies.log_normalize(rng.normal(0, 1, m))
        beta = float(rng.uniform(0.5, 5))
        smooth = policies.ds(log_p0, correct, beta, float(rng.uniform(0.05, 0.95)) * beta)
        error = max(error, abs(most_diverse(rng, log_p0, correct, smooth) - _entropy(smooth, correct)))
    return Outcome(
        "DS (gamma_n = 0) is the frontier: most entropy of pi_K at its C and KL", max(n, 3), error, 1e-4, "SLSQP"
    )


def _entropy(log_p: Array, correct: Mask) -> float:
    q = np.exp(log_p[correct])
    q = q / q.sum()
    return float(-(q * np.log(q)).sum())


def most_diverse(rng: np.random.Generator, log_p0: Array, correct: Mask, reference: Array) -> float:
    """The largest entropy of pi_K with the reference's C and at most its KL, by SLSQP from random starts."""
    odds = float(np.log(np.exp(reference[correct]).sum() / np.exp(reference[~correct]).sum()))
    budget = float((np.exp(reference) * (reference - log_p0)).sum())

    def logp(theta: Array) -> Array:
        return np.asarray(theta - np.log(np.exp(theta).sum()))

    def excess_odds(theta: Array) -> float:
        p = np.exp(logp(theta))
        return float(np.log(p[correct].sum() / p[~correct].sum()) - odds)

    def left(theta: Array) -> float:
        return float(budget - (np.exp(logp(theta)) * (logp(theta) - log_p0)).sum())

    def entropy_slope(theta: Array) -> Array:
        q = np.where(correct, np.exp(logp(theta)), 0.0)
        q = q / q.sum()
        return np.asarray(-q * (np.log(np.where(correct, q, 1.0)) + _entropy(logp(theta), correct)))

    def odds_slope(theta: Array) -> Array:
        p = np.exp(logp(theta))
        return np.asarray(np.where(correct, p / p[correct].sum(), -p / p[~correct].sum()))

    def left_slope(theta: Array) -> Array:
        return np.asarray(-np.exp(logp(theta)) * (logp(theta) - log_p0 - budget + left(theta)))

    limits = [
        {"type": "eq", "fun": excess_odds, "jac": odds_slope},
        {"type": "ineq", "fun": left, "jac": left_slope},
    ]
    best = -np.inf
    for _ in range(4):
        start = reference + rng.normal(0, 0.3, len(reference))
        found = minimize(
            lambda theta: -_entropy(logp(theta), correct),
            start,
            jac=lambda theta: -entropy_slope(theta),
            method="SLSQP",
            constraints=limits,
            options={"ftol": 1e-12, "maxiter": 500},
        )
        if abs(excess_odds(found.x)) < 1e-7 and left(found.x) > -1e-7:
            best = max(best, -float(found.fun))
    return best


THEOREM = Theorem(
    id="T5",
    title="DS against vanilla at equal beta",
    statement=(
        "C(DS) ≥ C(vanilla) for all gamma_p, gamma_n ≥ 0, strictly iff one is positive. For gamma_p ≤ beta every "
        "Schur-concave diversity of the correct answers is at least vanilla's; with two of them exactly up to 2 beta. "
        "DS with gamma_n = 0 and gamma_p ≤ beta has the largest entropy of pi_K that any policy of its C and KL has."
    ),
    tag="paper; proof derived",
    oracle="quadrature of d log Z_s/ds; partial sums (majorisation); SLSQP from random starts",
    instances=DISTRIBUTION,
    check=check,
    controls=(
        Control(
            "gamma_p with the wrong sign",
            "theory.policies:ds",
            lambda ds: lambda lp, c, b, p, n=0.0: policies.log_normalize(2 * ds(lp, c, b, 0.0, n) - ds(lp, c, b, p, n)),
        ),
        Control(
            "gammas on the wrong classes",
            "theory.policies:ds",
            lambda ds: lambda lp, c, b, p, n=0.0: ds(lp, c, b, n, p),
        ),
        Control(
            "gamma_n with the wrong sign",
            "theory.policies:ds",
            lambda ds: lambda lp, c, b, p, n=0.0: policies.log_normalize(2 * ds(lp, c, b, p, 0.0) - ds(lp, c, b, p, n)),
        ),
    ),
    module="theory/dominance.py",
    notebook="notebooks/T5_ds_vs_vanilla.ipynb",
    test="tests/theory/test_t5_ds_vs_vanilla.py",
    figure="fig_frontier",
)
