"""T3, where the flows end: fields against derivatives, limits and rates against an ODE integrator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory import flows, policies, shaping
from theory.checks import brute
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.brute import Array
from theory.checks.t2 import policies_of
from theory.shaping import Shaping

Mask = npt.NDArray[np.bool_]

ODES = (6, 24)  # of each kind: at least, at most
LATE = 1e8  # time at which limits are read off


def base(rng: np.random.Generator, incorrect_leads: float = 1.0) -> tuple[Array, Mask]:
    """One base for the integrator: m in 2..6, 1 to m-1 correct, every pair of correct ones at least 5% apart."""
    while True:
        m = int(rng.integers(2, 7))
        correct = np.arange(m) < rng.integers(1, m)
        p = rng.dirichlet(np.where(correct, 1.0, incorrect_leads)) * 0.95 + 0.05 / m
        ordered = np.sort(np.log(p[correct]))
        if np.all(np.diff(ordered) > 0.05):
            return np.log(p), correct


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    odes = int(np.clip(n // 2000, *ODES))
    return [
        *_fields(rng, n),
        *_conservation(rng, n),
        *_vanilla(rng, odes),
        *_limits(rng, odes),
        *_natural(rng, n, odes),
        *_penalty(rng, odes),
    ]


def _strengths(rng: np.random.Generator, n: int) -> Array:
    """(2, n): log-uniform in [1e-2, 1e2], a tenth zero."""
    return np.where(rng.random((2, n)) < 0.1, 0.0, np.exp(rng.uniform(np.log(1e-2), np.log(1e2), (2, n))))


def _fields(rng: np.random.Generator, n: int) -> list[Outcome]:
    outcomes = []
    for which, name in enumerate(("vanilla", "entropy bonus", "entropy penalty", "DS")):
        p, correct = policies_of(rng, len(range(which, n, 4)), 2 + which)
        theta = np.log(p)
        gamma_p, gamma_n = _strengths(rng, len(p))
        kind = (shaping.vanilla(), shaping.entropy(gamma_p), shaping.entropy(-gamma_p), shaping.ds(gamma_p, gamma_n))
        wanted = brute.gradient(flows.potential, theta, correct, kind[which])
        # what cancels in the field is pi R, so errors are measured against that
        scale = np.abs(p * flows.reward(policies.log_normalize(theta), correct, kind[which])).max(1, keepdims=True)
        error = np.max(np.abs(flows.field(theta, correct, kind[which]) - wanted) / scale)
        outcomes.append(Outcome(f"field = gradient of the potential: {name}", len(p), float(error), 1e-10))
    return outcomes


def _conservation(rng: np.random.Generator, n: int) -> list[Outcome]:
    p, correct = policies_of(rng, n, 5)
    theta = np.log(p)
    velocity = flows.field(theta, correct, shaping.vanilla())
    inverse = -velocity / p  # d/dt of e^-theta, theta = log p
    C = policies.log_odds(theta, correct)
    scale = np.exp(-np.logaddexp(0, -C))[:, None]  # C; on K the common value is -(1 - C), on I it is +C
    error = np.abs(inverse - np.where(correct, scale - 1, scale)).max()
    total = np.abs(velocity.sum(1)).max()
    return [
        Outcome("d/dt e^-theta is common to a class", n, float(error), 1e-12, "-(1-C)/Z on K, C/Z on I"),
        Outcome("sum of the logits is conserved", n, float(total), 1e-12),
    ]


def _vanilla(rng: np.random.Generator, odes: int) -> list[Outcome]:
    drift, rate, share, flat, end = 0.0, 0.0, 0.0, 0.0, 0.0
    times = np.array([1.0, 1e2, 1e4, LATE])
    for _ in range(odes):
        log_p0, correct = base(rng)
        theta = flows.integrate(log_p0, correct, shaping.vanilla(), times)
        log_p = policies.log_normalize(theta)
        before, total = flows.conserved(log_p0, correct)
        after, totals = flows.conserved(theta[:2], correct)
        drift = max(drift, brute.relative(after, before[None]), float(np.abs(totals - total).max()))
        miss, losers = flows.vanilla_tail(log_p0, correct, times[-1:])
        rate = max(rate, abs(policies.log_mass(log_p[-1], ~correct) - np.log(miss[0])))
        gap = np.abs(log_p[-1] - np.log(losers[0]))
        share = max(share, float(np.nanmax(gap, initial=0.0)))
        L = int((~correct).sum())
        if L > 1:  # e^-theta on I grows like t^{1/(L+1)} past differences that are conserved
            early, late = (np.log(np.ptp(log_p[i][~correct])) for i in (-2, -1))
            flat = max(flat, abs(float(late - early + np.log(times[-1] / times[-2]) / (L + 1))))
        end = max(end, float(np.abs(np.exp(log_p[-1]) - flows.limit(log_p0, correct, shaping.vanilla())).max()))
    return [
        Outcome("vanilla conserves e^-theta differences along the flow", odes, drift, 1e-6, "LSODA to t = 100"),
        Outcome("vanilla ends on the likeliest correct", odes, end, 0.03, f"LSODA to t = {LATE:g}"),
        Outcome("1 - C ~ L/((L+1) t)", odes, float(rate), 0.05, f"log-ratio at t = {LATE:g}"),
        Outcome("pi_K(y) ~ ((L+1) c t)^(-L/(L+1)) / Delta_y", odes, share, 0.1, f"log-ratio at t = {LATE:g}"),
        Outcome("pi_I -> uniform, its spread ~ t^(-1/(L+1))", odes, flat, 0.5, "log of the spread, 1e4 to 1e8"),
    ]


def _limits(rng: np.random.Generator, odes: int) -> list[Outcome]:
    bonus, spread, miss, falls = 0.0, 0.0, 0.0, 0.0
    for _ in range(odes):
        log_p0, correct = base(rng)
        gamma_p, gamma_n = np.exp(rng.uniform(np.log(0.2), np.log(2), 2))
        kind = shaping.entropy(gamma_p)
        last = flows.integrate(log_p0, correct, kind, [LATE])[-1]
        gap = policies.log_normalize(last) - np.log(flows.limit(log_p0, correct, kind))
        bonus = max(bonus, float(np.abs(gap).max()))
        kind = shaping.ds(gamma_p, rng.choice([0.0, gamma_n]))
        theta = flows.integrate(log_p0, correct, kind, np.geomspace(1e-2, LATE, 30))
        last = policies.log_normalize(theta[-1])
        spread = max(spread, float(np.ptp(last[correct])))
        miss = max(miss, float(np.exp(policies.log_mass(last, ~correct))))
        falls = max(falls, -float(np.diff(flows.potential(theta, correct, kind)).min()))
    return [
        Outcome("bonus ends at e^{r/gamma}: uniform pi_K, C < 1", odes, bonus, 1e-4, "LSODA; largest log-ratio"),
        Outcome("DS ends with pi_K uniform", odes, spread, 1e-3, f"LSODA; spread of log pi_K at t = {LATE:g}"),
        Outcome("DS ends with C = 1", odes, miss, 1e-3, f"1 - C at t = {LATE:g}"),
        Outcome("DS climbs its potential", odes, falls, 1e-6, "largest fall between 30 times"),
    ]


def _natural(rng: np.random.Generator, n: int, odes: int) -> list[Outcome]:
    p, correct = policies_of(rng, n, 5)
    log_p = policies.log_normalize(np.log(p))
    gamma_p, gamma_n = _strengths(rng, n)

    def odds_rate(kind: Shaping) -> Array:
        velocity = flows.field(log_p, correct, kind, natural=True)
        rates = [policies.expected(policies.conditional(log_p, mask), velocity) for mask in (correct, ~correct)]
        return np.asarray(rates[0] - rates[1])

    short = float(np.max((1 - odds_rate(shaping.ds(gamma_p, gamma_n))) / (1 + gamma_p + gamma_n)))
    exact = np.abs(odds_rate(shaping.ds_centered(gamma_p)) - odds_rate(shaping.vanilla())) / (1 + gamma_p)
    ratios, odds = 0.0, 0.0
    for i in range(odes):
        log_p0, mask = base(rng)
        kind = (shaping.vanilla(), shaping.ds(0.7, 0.3), shaping.ds_centered(0.7), shaping.entropy(-0.4))[i % 4]
        last = policies.log_normalize(flows.integrate(log_p0, mask, kind, [2.0], natural=True)[-1])
        found = np.where(mask, policies.conditional(last, mask), policies.conditional(last, ~mask))
        ratios = max(ratios, float(np.abs(found - flows.natural_conditionals(log_p0, mask, kind, 2.0)).max()))
        if i % 2 == 0:
            odds = max(odds, abs(float(policies.log_odds(last, mask) - policies.log_odds(log_p0, mask)) - 2.0))
    return [
        Outcome("natural DS: d logit C/dt >= 1", n, short, 1e-12, "shortfall"),
        Outcome("natural self-centered DS has vanilla's d logit C/dt", n, float(exact.max()), 1e-12, "gamma_n = 0"),
        Outcome("natural log-ratios scale by e^{-gamma_p t}, e^{gamma_n t}", odes, ratios, 1e-7, "LSODA to t = 2"),
        Outcome("natural vanilla and self-centered: logit C grows by t", odes // 2, odds, 1e-7, "LSODA to t = 2"),
    ]


def ends_incorrect(log_p0: Array, correct: Mask, gamma: float, natural: bool) -> bool:
    """Whether the flow with the entropy penalty gamma puts most of its mass on an incorrect trajectory in the end."""
    late = [30 / gamma] if natural else [LATE]
    last = flows.integrate(log_p0, correct, shaping.entropy(-gamma), late, natural)[-1]
    return not correct[last.argmax()]


def _penalty(rng: np.random.Generator, odes: int) -> list[Outcome]:
    wrong = {"natural": 0, "above": 0, "likeliest correct": 0, "two": 0}
    counts = dict.fromkeys(wrong, 0)
    for i in range(odes):
        log_p0, correct = base(rng, incorrect_leads=2.0)
        threshold = float(flows.penalty_threshold(log_p0, correct))
        factor = float(np.exp(rng.uniform(0.1, 1.0)))  # gamma is never within 10% of the threshold
        gamma = (threshold if np.isfinite(threshold) else 1.0) * (factor if i % 2 else 1 / factor)
        counts["natural"] += 1
        wrong["natural"] += ends_incorrect(log_p0, correct, gamma, True) != (gamma > threshold)
        key = "likeliest correct" if np.isinf(threshold) else "above" if gamma > threshold else None
        if key is not None:
            counts[key] += 1
            wrong[key] += ends_incorrect(log_p0, correct, gamma, False) != (gamma > threshold)
        two = np.log(np.array([0.02, 0.98]) + rng.uniform(0, 0.4) * np.array([1, -1]))
        limit = float(flows.penalty_threshold(two, np.array([True, False])))
        counts["two"] += 1
        gamma = limit * (factor if i % 2 else 1 / factor)
        wrong["two"] += ends_incorrect(two, np.array([True, False]), gamma, False) != (gamma > limit)
    return [
        Outcome(
            "penalty, natural: ends incorrect iff gamma > gamma*", counts["natural"], wrong["natural"], 0, "wrong ends"
        ),
        Outcome("penalty, plain: ends incorrect if gamma > gamma*", counts["above"], wrong["above"], 0, "wrong ends"),
        Outcome(
            "penalty, plain: not if the likeliest is correct",
            counts["likeliest correct"],
            wrong["likeliest correct"],
            0,
            "wrong ends",
        ),
        Outcome("penalty, plain, m = 2: iff gamma > gamma*", counts["two"], wrong["two"], 0, "wrong ends"),
    ]


def _with_odd_sign(shape: Shaping) -> Shaping:
    return Shaping(shape.on_correct, -np.asarray(shape.on_incorrect), shape.centered)


THEOREM = Theorem(
    id="T3",
    title="Where the flows end",
    statement=(
        "Plain policy-gradient flow: vanilla conserves e^-theta differences, ends on the likeliest correct trajectory "
        "with 1-C ~ L/((L+1)t); the bonus ends with pi_K uniform but C < 1; DS (any gamma_p > 0) with C = 1 and pi_K "
        "uniform, climbing F; a penalty on a point mass, incorrect if gamma > gamma*. Natural gradient: vanilla keeps "
        "every ratio inside K, DS shrinks them by e^{-gamma_p t}, self-centered DS has exactly vanilla's C(t)."
    ),
    tag="derived; potential, rates and penalty threshold new",
    oracle="complex-step gradient of F; LSODA in the clock log(1+t) to t = 1e8",
    instances=(
        "fields: policies Dirichlet(a), a log-uniform in [.03, 30], m 2 to 5, gammas log-uniform in [.01, 100], one in "
        "ten 0; integrator: m 2 to 6, p >= .05/m, correct ones 5% apart, gammas in [.2, 2], penalties 10% off gamma*"
    ),
    check=check,
    controls=(
        Control(
            "gamma_n with the wrong sign",
            "theory.shaping:ds",
            lambda real: lambda *a: _with_odd_sign(real(*a)),
        ),
        Control(
            "correct trajectories learn faster than incorrect ones",
            "theory.flows:field",
            lambda real: lambda theta, correct, *a, **k: real(theta, correct, *a, **k) * np.where(correct, 1.1, 1.0),
        ),
        Control(
            "potential without its linear term",
            "theory.flows:potential",
            lambda real: (
                lambda theta, correct, shape: (
                    real(theta, correct, shape)
                    + shape.term(np.exp(theta - np.log(np.exp(theta).sum(-1, keepdims=True))), correct).sum(-1)
                )
            ),
        ),
        Control(
            "self-centering left out",
            "theory.shaping:ds_centered",
            lambda real: lambda *a: shaping.ds(*a),
        ),
        Control(
            "threshold of the penalty doubled",
            "theory.flows:penalty_threshold",
            lambda real: lambda *a: 2 * real(*a),
        ),
    ),
    module="theory/flows.py",
    notebook="notebooks/T3_flows.ipynb",
    test="tests/theory/test_t3_flows.py",
    figure="fig_flows",
)
