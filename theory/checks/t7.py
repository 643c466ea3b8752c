"""T7, when an entropy heuristic helps: slopes and thresholds against differentiation, covariance and counting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory import heuristics, policies
from theory.checks.base import Control, Outcome, Theorem
from theory.policies import Array, Mask

SIZES = (2, 3, 5, 8)
STEP = 1e-30  # of a complex step: nothing is subtracted, so the derivative is exact to rounding
GRID = np.array([0.0, 0.25, 0.5, 0.75, 0.9, 1.1, 1.5, 2.0, 3.0])


def instances(rng: np.random.Generator, n: int, m: int) -> tuple[Array, Mask, Array, Array]:
    """n of (log pi0 (n, m), correct (n, m), beta (n,), s (n,)); see `THEOREM.instances`."""
    kind = rng.integers(4, size=(n, 1))
    logits = rng.uniform(-27, 0, (n, m))
    logits = np.where(kind == 1, np.round(logits / 9) * 9, logits)
    logits = np.where(kind == 2, logits * 0.1, logits)
    logits = np.where(kind == 3, np.log(rng.standard_exponential((n, m))), logits)
    correct = np.argsort(rng.random((n, m)), axis=1) < rng.integers(1, m, (n, 1))
    drawn = [np.zeros(n), np.ones(n), rng.uniform(-1, 0, n), rng.uniform(0, 1, n), rng.uniform(1, 3, n)]
    s = np.choose(rng.integers(len(drawn), size=n), drawn)
    return policies.log_normalize(logits), correct, 10 ** rng.uniform(-2, 2, n), s


def even_instances(rng: np.random.Generator, n: int, m: int) -> tuple[Array, Mask, Array, Array, npt.NDArray[np.int64]]:
    """n of (log pi0, correct, beta, C0 (n,), M (n,)) with both classes even; M from 1 to m − 1."""
    M = rng.integers(1, m, n)
    odds = rng.uniform(-27, 27, n)
    log_C0, log_rest = -np.logaddexp(0, -odds), -np.logaddexp(0, odds)
    correct = np.arange(m) < M[:, None]
    log_p0 = np.where(correct, (log_C0 - np.log(M))[:, None], (log_rest - np.log(m - M))[:, None])
    return log_p0, correct, 10 ** rng.uniform(-2, 2, n), np.exp(log_C0), M


def by_complex_step(logits: np.ndarray, correct: Mask) -> Array:
    """d/dx of log sum_K e^logits − log sum_I e^logits, (n,), for logits (n, m) evaluated at x + i STEP."""
    total = []
    for part in (correct, ~correct):
        top = np.where(part, logits.real, -np.inf).max(-1, keepdims=True)
        weights = np.where(part, np.exp(np.where(part, logits - top, 0)), 0)
        total.append(np.log(weights.sum(-1)))
    return np.asarray((total[0] - total[1]).imag / STEP)


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    slope = covariance = shannon = full = 0.0
    wrong_way = counted = 0
    part = -(-n // len(SIZES))
    for m in SIZES:
        log_p0, correct, beta, s = instances(rng, part, m)
        found = heuristics.log_odds_slope(log_p0, correct, s)
        wanted = by_complex_step((s + 1j * STEP)[:, None] * log_p0 + correct / beta[:, None], correct)
        slope = max(slope, float(np.abs(found - wanted).max()))

        logits = s[:, None] * log_p0 + correct / beta[:, None]
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        away = log_p0 - (p * log_p0).sum(-1, keepdims=True)
        direct = (p * away * correct).sum(-1)  # Cov(1_K, log pi0): d E_pi[1_K]/ds of an exponential family
        found = heuristics.correctness_slope(log_p0, correct, beta, s)
        covariance = max(covariance, float(np.abs(found - direct).max()))

        gamma = beta * rng.choice([0.0, 1.0, -0.5, 3.0], part)
        total = beta + gamma + 1j * STEP
        wanted = by_complex_step((beta[:, None] * log_p0 + correct) / total[:, None], correct) * total.real
        found = heuristics.shannon_slope(log_p0, correct, beta, gamma) * total.real
        shannon = max(shannon, float(np.max(np.abs(found - wanted) / (1 + np.abs(wanted)))))

        at_one = heuristics.log_odds_slope(log_p0, correct, 1.0)
        width = np.ptp(log_p0, axis=-1)
        # a bonus so small that the slope decides: |second derivative| ≤ range^2/4
        small = np.abs(at_one) / np.maximum(width, 1e-9) ** 2
        decided = (small * np.abs(at_one) > 1e-10 / beta) & (small * np.abs(at_one) > 1e-9)
        for sign in (1, -1):
            moved = policies.log_odds(policies.entropy_ce(log_p0, correct, beta, sign * small * beta), correct)
            moved -= policies.log_odds(policies.vanilla(log_p0, correct, beta), correct)
            wrong_way += int(np.sum(decided & (moved * sign * -at_one <= 0)))
        counted += 2 * int(decided.sum())

        K, L = correct.sum(-1), (~correct).sum(-1)
        odds0 = policies.log_odds(log_p0, correct)
        full = max(full, float(np.abs(heuristics.gain(log_p0, correct, 0.0) - (np.log(K / L) - odds0)).max()))
    return [
        Outcome("d logit C/ds = complex step", n, slope, 1e-10, "nats"),
        Outcome("dC/ds = covariance of 1_K and log pi0", n, covariance, 1e-12),
        Outcome("Shannon form: d logit C/dgamma = complex step", n, shannon, 1e-10, "relative, times beta + gamma"),
        Outcome("a small bonus helps iff K is less likely", counted, wrong_way, 0, "violations; penalty reversed"),
        Outcome("full bonus counts trajectories", n, full, 1e-12, "logit C − logit C(vanilla) = log |K|/M*"),
        *_flips(rng, n),
        *_even(rng, n),
    ]


def _flips(rng: np.random.Generator, n: int) -> list[Outcome]:
    """`flips` against probabilities raised to powers, and how often it happens on Dirichlet(1) bases, m = 5."""
    pi0 = rng.dirichlet(np.ones(5), n)
    correct = np.argsort(rng.random((n, 5)), axis=1) < rng.integers(1, 5, (n, 1))
    log_p0 = np.log(pi0)

    def odds(s: float) -> Array:
        power = pi0**s
        return np.asarray((power * correct).sum(-1) / (power * ~correct).sum(-1))

    disagree, shares = 0, []
    near = 1e-5
    decided = np.abs(heuristics.log_odds_slope(log_p0, correct, 1.0)) > 1e-3 * np.ptp(log_p0, axis=-1) ** 2
    for s in GRID:
        small = np.log(odds(1 + near * np.sign(s - 1)) / odds(1.0))
        finite = np.log(odds(float(s)) / odds(1.0))
        found = heuristics.flips(log_p0, correct, float(s))
        disagree += int(np.sum(decided & (np.abs(finite) > 1e-12) & (found != (small * finite < 0))))
        shares.append(f"s={s:g}: {found.mean():.3f}")
    example = policies.log_base([0.3, 0.2, 0.01, 0.48, 0.01])
    of = np.array([True, True, False, False, False])
    facts = [
        bool(heuristics.gain(example, of, 0.9) > 0),
        bool(heuristics.gain(example, of, 0.0) < 0),
        bool(heuristics.flips(example, of, 0.0)),
        not heuristics.flips(example, of, 0.9),
    ]
    return [
        Outcome("finite steps flip where powers say so", n, disagree, 0, "flip share, " + ", ".join(shares)),
        Outcome("K = (.3,.2), I = (.01,.48,.01) flips", 1, float(facts.count(False)), 0, "facts that fail"),
    ]


def _even(rng: np.random.Generator, n: int) -> list[Outcome]:
    """The multiplicity rule on even classes, for every finite bonus and penalty, both forms; DS gains on both sides."""
    m = 12
    log_p0, correct, beta, C0, M = even_instances(rng, n, m)
    start = policies.log_odds(policies.vanilla(log_p0, correct, beta), correct)
    share = rng.uniform(0.1, 3, n) * rng.choice([-1, 1], n)  # gamma / beta: a bonus or a penalty
    side = np.log(M / heuristics.multiplicity_threshold(C0, m - M))
    moved = policies.log_odds(policies.entropy_ce(log_p0, correct, beta, share * beta), correct) - start
    clear = np.abs(side) > 1e-6
    wrong = int(np.sum(clear & (moved * share * side <= 0)))

    share = np.maximum(share, -0.9)
    with np.errstate(over="ignore"):
        threshold = heuristics.shannon_threshold(C0, m - M, beta)
    side = np.log(M) - np.log(threshold)
    moved = policies.log_odds(policies.entropy_shannon(log_p0, correct, beta, share * beta), correct) - start
    clear_shannon = np.abs(side) > 1e-6 * (1 + 1 / beta)
    wrong_shannon = int(np.sum(clear_shannon & (moved * share * side <= 0)))

    gamma_p, gamma_n = beta * np.abs(share), beta * rng.choice([0.0, 0.5], n)
    gained = policies.log_odds(policies.ds(log_p0, correct, beta, gamma_p, gamma_n), correct) - start
    worth = np.abs(share) * -np.where(correct, log_p0, -np.inf).max(-1) > 1e-9 * (1 + 1 / beta)
    behind = int(np.sum(worth & (gained <= 0)))
    return [
        Outcome(
            "even classes: bonus iff M > M*", int(clear.sum()), wrong, 0, "violations; any finite bonus or penalty"
        ),
        Outcome("even classes, Shannon form: its own M*", int(clear_shannon.sum()), wrong_shannon, 0, "violations"),
        Outcome("DS raises C on both sides of M*", int(worth.sum()), behind, 0, "violations"),
    ]


THEOREM = Theorem(
    id="T7",
    title="When an entropy heuristic helps",
    statement=(
        "d logit C/ds = E_{pi|K}[log pi0] − E_{pi|I}[log pi0] on pi_s ∝ pi0^s e^{r/beta}: a small bonus raises C iff "
        "correct trajectories are the less likely ones, a penalty iff the likelier; a finite step can flip. With even "
        "classes the rule is global and switches at M* = L C0/(1−C0) (Shannon form: e^{1/beta} times that). DS gains "
        "on both sides."
    ),
    tag="paper (qualitative); exact condition derived",
    oracle="complex-step derivatives of the enumerated odds; covariances; powers of probabilities; counting",
    instances=(
        "m in {2, 3, 5, 8}; a quarter each: log pi0 uniform over 27 nats, rounded to 9 nats (ties), over 2.7 nats, "
        "Dirichlet(1); |K| uniform in 1..m−1; beta log-uniform in [1e-2, 1e2]; s = 0, 1, or uniform in [-1, 0], "
        "[0, 1], [1, 3]; gamma/beta in {0, 1, -1/2, 3} (Shannon). Even classes: m = 12, logit C0 uniform in [-27, 27]. "
        "Flips: Dirichlet(1), m = 5"
    ),
    check=check,
    controls=(
        Control(
            "slope of the other sign",
            "theory.heuristics:log_odds_slope",
            lambda real: lambda log_p0, correct, s: -real(log_p0, correct, s),
        ),
        Control(
            "averages under the base instead of pi_s",
            "theory.heuristics:log_odds_slope",
            lambda real: lambda log_p0, correct, s: real(log_p0, correct, np.ones_like(s)),
        ),
        Control(
            "Shannon form with vanilla's log-probs",
            "theory.heuristics:shannon_slope",
            lambda real: lambda log_p0, correct, beta, gamma: real(log_p0, correct, beta, 0 * gamma),
        ),
        Control(
            "a finite step never flips",
            "theory.heuristics:flips",
            lambda real: lambda log_p0, correct, s: real(log_p0, correct, s) & False,
        ),
        Control(
            "threshold without the odds' denominator",
            "theory.heuristics:multiplicity_threshold",
            lambda real: lambda C0, L: real(C0, L) * (1 - C0),
        ),
        Control(
            "Shannon threshold without e^{1/beta}",
            "theory.heuristics:shannon_threshold",
            lambda real: lambda C0, L, beta: real(C0, L, np.full_like(beta, 1e12)),
        ),
        Control(
            "DS smooths incorrect trajectories too",
            "theory.policies:ds",
            lambda real: (
                lambda log_p0, correct, beta, gamma_p, gamma_n=0.0: policies.entropy_ce(log_p0, correct, beta, gamma_p)
            ),
        ),
    ),
    module="theory/heuristics.py",
    notebook="notebooks/T7_when_heuristics_help.ipynb",
    test="tests/theory/test_t7_when_heuristics_help.py",
    figure="fig_multiplicity",
)
