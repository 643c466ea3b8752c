"""T6, DS against entropy terms at equal closeness: the companion, the literal form's boundary, what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from theory import dominance, measures, policies
from theory.checks.base import Control, Outcome, Theorem
from theory.checks.instances import DISTRIBUTION, random_instances
from theory.policies import Array, Mask

Divergence = Callable[[Array, Array], Array]
# For each: every f-divergence and Rényi divergence falls when I is merged into one atom.
DIVERGENCES: dict[str, Divergence] = {
    "reverse KL": lambda p, q: measures.kl(p, q),
    "forward KL": lambda p, q: measures.forward_kl(p, q),
    "total variation": lambda p, q: measures.total_variation(p, q),
    "Rényi 1/2": lambda p, q: measures.renyi(p, q, alpha=0.5),
    "Rényi 2": lambda p, q: measures.renyi(p, q, alpha=2.0),
    "Rényi 5": lambda p, q: measures.renyi(p, q, alpha=5.0),
}
CENTERED_HOLDS = ("reverse KL", "forward KL", "total variation", "Rényi 1/2")
RIVALS = 24  # literal DS policies drawn at random for each instance that should have none


class Worst:
    """The largest error of each fact, and over how many instances."""

    def __init__(self) -> None:
        self.errors: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, name: str, errors: Array, where: Mask | None = None) -> None:
        """Take note of `errors` (instances,), those in `where` only; a NaN stays."""
        errors = errors if where is None else errors[where]
        worst = float(np.max(errors, initial=0.0)) if not np.isnan(errors).any() else float("nan")
        self.errors[name] = max(self.errors.get(name, 0.0), worst) if worst == worst else worst
        self.counts[name] = self.counts.get(name, 0) + len(errors)

    def outcome(self, name: str, tolerance: float, detail: str = "") -> Outcome:
        """The outcome of the fact `name`."""
        return Outcome(name, self.counts.get(name, 0), self.errors.get(name, float("nan")), tolerance, detail)


def excess(larger: Array, smaller: Array) -> Array:
    """By how much `smaller` exceeds `larger`, relative to their size; 0 where it does not."""
    return np.asarray(np.maximum(smaller - larger, 0.0) / (1 + np.abs(smaller)))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    worst, fails, literal, chi = Worst(), 0, 0, 0
    for batch in random_instances(rng, n):
        log_p0, correct, beta = batch.log_p0, batch.correct, batch.beta
        s = 1 - batch.gamma_p / beta
        bonus = policies.entropy_ce(log_p0, correct, beta, batch.gamma_p)
        closeness = {name: divergence(bonus, log_p0) for name, divergence in DIVERGENCES.items()}
        _companion(worst, log_p0, correct, bonus, closeness)
        _direct(worst, log_p0, correct, beta, s, bonus)
        found = _boundary(worst, rng, log_p0, correct, bonus, s)
        literal, fails = literal + len(found), fails + int(np.sum(~found))
        chi += _centered(worst, log_p0, correct, bonus, s, closeness)
        _penalty(worst, log_p0, correct, beta, batch.gamma_p)
    rate = f"the literal form fails on {fails / literal:.1%} of these instances"
    return [
        worst.outcome("pi* has the same C and pi_K", 1e-9, "log-odds and log-probs, relative"),
        *(worst.outcome(f"D(pi*) ≤ D(pi_ent): {name}", 1e-9, "relative") for name in DIVERGENCES),
        worst.outcome("reverse KL: slack = (1 − C) KL(pi_I‖pi0_I)", 1e-9, "relative"),
        worst.outcome("positive slack buys strictly larger C", 0, "violations; bisection on KL"),
        worst.outcome("direct regime: pi* is that DS policy", 1e-8, "log-probs, relative"),
        worst.outcome("and none where e^{1/beta} < Z_s(I)/pi0(I)", 0, "least odds of literal DS still too large"),
        worst.outcome("boundary: the witness meets all three", 1e-7, "C, entropy of pi_K, KL"),
        worst.outcome("boundary: beyond it no literal DS does", 0, f"violations, {RIVALS} rivals each; {rate}"),
        worst.outcome("boundary: C_ent > C̲ lies within it", 0, "violations"),
        worst.outcome("self-centered: fixed point of its own reward", 1e-8, "stationarity, relative"),
        worst.outcome("self-centered: without e^{1/beta}, the C of least KL", 1e-12, "four neighbors each, relative"),
        worst.outcome("self-centered: C and pi_K as wanted", 1e-8, "C at least, pi_K equal"),
        *(worst.outcome(f"self-centered: D ≤ D(pi_ent): {name}", 1e-9, "relative") for name in CENTERED_HOLDS),
        worst.outcome(
            "Rényi 2 (chi-squared): holds centered by D_2", 1e-9, f"without that repair it fails on {chi / n:.1%}"
        ),
        worst.outcome("a penalty is dominated by vanilla", 1e-9, "C, majorisation, six divergences"),
    ]


def _companion(worst: Worst, log_p0: Array, correct: Mask, bonus: Array, closeness: dict[str, Array]) -> None:
    star = dominance.companion(bonus, log_p0, correct)
    odds = policies.log_odds(bonus, correct)
    same_c = np.abs(policies.log_odds(star, correct) - odds) / (1 + np.abs(odds))
    apart = np.where(correct, np.abs(star - bonus), 0.0).max(-1) / (1 + np.abs(bonus).max(-1))
    worst.add("pi* has the same C and pi_K", np.maximum(same_c, apart))
    for name, divergence in DIVERGENCES.items():
        worst.add(f"D(pi*) ≤ D(pi_ent): {name}", excess(closeness[name], divergence(star, log_p0)))
    gap = closeness["reverse KL"] - measures.kl(star, log_p0)
    slack = dominance.slack(bonus, log_p0, correct)
    worst.add("reverse KL: slack = (1 − C) KL(pi_I‖pi0_I)", np.abs(gap - slack) / (1 + closeness["reverse KL"]))
    larger = dominance.spend_slack(bonus, log_p0, correct)
    spent = dominance.compose(larger, policies.conditional(bonus, correct), policies.conditional(log_p0, ~correct))
    bought = (larger > odds) & (excess(closeness["reverse KL"], measures.kl(spent, log_p0)) < 1e-9)
    worst.add("positive slack buys strictly larger C", (~bought).astype(float), slack > 1e-6)


def _direct(worst: Worst, log_p0: Array, correct: Mask, beta: Array, s: Array, bonus: Array) -> None:
    star = dominance.companion(bonus, log_p0, correct)
    inverse = dominance.direct_log_reward(log_p0, correct, beta, s)
    exists = inverse > 1e-6
    new_beta = 1 / np.where(exists, inverse, 1.0)
    literal = policies.ds(log_p0, correct, new_beta, (1 - s) * new_beta)
    error = np.abs(literal - star).max(-1) / (1 + np.abs(star).max(-1))
    worst.add("direct regime: pi* is that DS policy", error, exists)
    # equal diversity forces gamma_p = (1 − s) beta'; the odds then fall with beta', so beta' = 10^9 has the least
    flat = np.full_like(s, 1e9)
    least = policies.log_odds(policies.ds(log_p0, correct, flat, (1 - s) * flat), correct)
    reached = least <= policies.log_odds(star, correct)
    worst.add("and none where e^{1/beta} < Z_s(I)/pi0(I)", reached.astype(float), inverse < -1e-6)


def violation(candidate: Array, rival: Array, log_p0: Array, correct: Mask) -> Array:
    """The worst shortfall of `candidate` in T6's three conditions against `rival`: log-odds, entropy of pi_K, KL."""
    shortfalls = [
        excess(policies.log_odds(candidate, correct), policies.log_odds(rival, correct)),
        excess(
            measures.shannon_entropy(policies.conditional(candidate, correct)),
            measures.shannon_entropy(policies.conditional(rival, correct)),
        ),
        excess(measures.kl(rival, log_p0), measures.kl(candidate, log_p0)),
    ]
    return np.asarray(np.max(shortfalls, axis=0))


def _boundary(worst: Worst, rng: np.random.Generator, log_p0: Array, correct: Mask, bonus: Array, s: Array) -> Mask:
    where = dominance.boundary(log_p0, correct, bonus, s)
    inverse, tilt = dominance.literal_witness(log_p0, correct, bonus, where)
    clear = where.meets & (where.margin > 1e-6)
    new_beta = 1 / np.maximum(np.where(clear, inverse, 1.0), 1e-12)
    witness = policies.ds(log_p0, correct, new_beta, np.maximum(1 - tilt, 0.0) * new_beta)
    worst.add("boundary: the witness meets all three", violation(witness, bonus, log_p0, correct), clear)
    above = policies.log_odds(bonus, correct) - where.log_odds_floor > 1e-6
    worst.add("boundary: C_ent > C̲ lies within it", (where.margin < -1e-9).astype(float), above)
    beyond = np.flatnonzero(~where.meets & (where.margin < -1e-6))
    name = "boundary: beyond it no literal DS does"
    worst.add(name, np.zeros(len(beyond)))
    for index in np.array_split(beyond, max(1, len(beyond) // 4000)):
        # rivals: tilts at and near the least one that is diverse enough, odds just above the floor and beyond
        shape = (len(index), RIVALS)
        reward = np.exp(rng.uniform(np.log(1e-7), np.log(20), shape))
        near = np.exp(rng.uniform(np.log(1e-9), np.log(4), shape))
        rival_tilt = np.where(rng.random(shape) < 0.8, where.s_plus[index, None] - near * (rng.random(shape) < 0.7), 1)
        negative = np.where(rng.random(shape) < 0.5, 0.0, np.exp(rng.uniform(np.log(1e-6), np.log(4), shape)))
        b = 1 / reward
        lp, c, other = log_p0[index, None], correct[index, None], bonus[index, None]
        rival = policies.ds(
            lp, np.broadcast_to(c, (*shape, c.shape[-1])), b, np.maximum(1 - rival_tilt, 0) * b, negative * b
        )
        meets = (
            (policies.log_odds(rival, c) >= policies.log_odds(other, c))
            & (
                measures.shannon_entropy(policies.conditional(rival, c))
                >= measures.shannon_entropy(policies.conditional(other, c))
            )
            & (measures.kl(rival, lp) <= measures.kl(other, lp))
        )
        worst.errors[name] += float(meets.sum())
    return where.meets


def _centered(worst: Worst, log_p0: Array, correct: Mask, bonus: Array, s: Array, closeness: dict[str, Array]) -> int:
    inverse = dominance.centered_witness(log_p0, correct, bonus, s)
    ours = dominance.centered_policy(log_p0, correct, inverse, s)
    odds = policies.log_odds(bonus, correct)
    less = np.maximum(odds - policies.log_odds(ours, correct), 0.0) / (1 + np.abs(odds))
    wanted = policies.conditional(bonus, correct)
    apart = np.abs(np.where(correct, policies.conditional(ours, correct), 0.0) - np.where(correct, wanted, 0.0)).max(-1)
    scale = 1 + np.where(correct, np.abs(wanted), 0.0).max(-1)
    worst.add("self-centered: C and pi_K as wanted", np.maximum(less, apart / scale))
    for name in CENTERED_HOLDS:
        worst.add(f"self-centered: D ≤ D(pi_ent): {name}", excess(closeness[name], DIVERGENCES[name](ours, log_p0)))
    name = "self-centered: without e^{1/beta}, the C of least KL"  # neighbors, from the bonus's own pi_K, are farther
    least = dominance.centered_log_odds(log_p0, correct, s)
    nearest = measures.kl(dominance.centered_policy(log_p0, correct, 0.0, s), log_p0)
    rest = policies.conditional(log_p0, ~correct)
    around = [dominance.compose(least + step, wanted, rest) for step in (-3.0, -0.1, 0.1, 3.0)]
    worst.add(name, np.max([excess(measures.kl(near, log_p0), nearest) for near in around], axis=0))
    repaired = dominance.renyi_centered_policy(log_p0, correct, bonus, s, 2.0)
    two = DIVERGENCES["Rényi 2"]
    worst.add("Rényi 2 (chi-squared): holds centered by D_2", excess(closeness["Rényi 2"], two(repaired, log_p0)))

    real = inverse > 1e-6
    b = 1 / np.where(real, inverse, 1.0)
    fixed = policies.ds_centered(log_p0, correct, b, (1 - s) * b)
    worst.add(
        "self-centered: fixed point of its own reward",
        _stationarity(fixed, log_p0, correct, b, (1 - s) * b, ours),
        real,
    )
    return int(np.sum(excess(closeness["Rényi 2"], two(ours, log_p0)) > 1e-6))


def _stationarity(fixed: Array, log_p0: Array, correct: Mask, beta: Array, gamma: Array, ours: Array) -> Array:
    """R/beta − log(pi/pi0) is one constant where R is the self-centered reward under pi itself; and pi is `ours`."""
    mean = policies.expected(policies.conditional(fixed, correct), log_p0)[:, None]
    reward = np.where(correct, 1 - gamma[:, None] * (log_p0 - mean), 0.0)
    residual = reward / beta[:, None] - (fixed - log_p0)
    scale = 1 + np.abs(fixed).max(-1) + np.abs(reward / beta[:, None]).max(-1)
    spread = (residual.max(-1) - residual.min(-1)) / scale
    return np.asarray(np.maximum(spread, np.abs(fixed - ours).max(-1) / scale))


def _penalty(worst: Worst, log_p0: Array, correct: Mask, beta: Array, gamma: Array) -> None:
    penalty = policies.entropy_ce(log_p0, correct, beta, -gamma)
    plain = dominance.penalty_dominator(log_p0, correct, penalty)
    odds = policies.log_odds(penalty, correct)
    error = np.maximum(odds - policies.log_odds(plain, correct), 0.0) / (1 + np.abs(odds))
    sums = [
        np.cumsum(np.sort(np.exp(policies.conditional(log_p, correct)), axis=-1)[..., ::-1], axis=-1)
        for log_p in (plain, penalty)
    ]
    error = np.maximum(error, (sums[0] - sums[1]).max(-1))
    for divergence in DIVERGENCES.values():
        error = np.maximum(error, excess(divergence(penalty, log_p0), divergence(plain, log_p0)))
    worst.add("a penalty is dominated by vanilla", error)


THEOREM = Theorem(
    id="T6",
    title="DS against entropy terms at equal closeness",
    statement=(
        "For an entropy bonus pi_ent, the policy pi* with its C and pi_K and the base's pi_I is no farther from the "
        "base in any f- or Rényi divergence; only correct trajectories need another reward. A literal DS policy does "
        "as well as pi_ent in C, diversity and KL iff kl(C̲‖C0) + C̲ κ < KL(pi_ent‖pi0), C̲ the least C of one that "
        "diverse; self-centered DS always does. An entropy penalty is dominated by vanilla."
    ),
    tag="paper (Theorem 3.4); boundary, self-centered form and penalty new",
    oracle=(
        "divergences computed on all atoms; explicit witnesses put through T4's closed forms; random literal DS rivals "
        "where none may exist; stationarity of the self-centered reward"
    ),
    instances=DISTRIBUTION,
    check=check,
    controls=(
        Control(
            "pi* keeps pi_ent's conditional on I",
            "theory.dominance:companion",
            lambda companion: lambda lp, lp0, c: companion(lp, lp, c),
        ),
        Control(
            "the boundary by C_ent > C̲ alone",
            "theory.dominance:boundary",
            lambda boundary: lambda lp0, c, ent, s: _only_odds(boundary(lp0, c, ent, s), policies.log_odds(ent, c)),
        ),
        Control(
            "the literal form taken to hold everywhere",
            "theory.dominance:boundary",
            lambda boundary: lambda *a: replace(_everywhere(boundary(*a)), margin=np.ones(len(a[0]))),
        ),
        Control(
            "self-centered without its center",
            "theory.dominance:centered_log_odds",
            lambda centered: lambda lp0, c, s: centered(lp0, c, np.ones_like(s)),
        ),
        Control(
            "DS with its gammas on the wrong classes",
            "theory.policies:ds",
            lambda ds: lambda lp, c, b, p, n=0.0: ds(lp, c, b, n, p),
        ),
        Control(
            "a penalty taken for a bonus",
            "theory.policies:entropy_ce",
            lambda entropy: lambda lp, c, b, g: entropy(lp, c, b, -np.abs(g)),
        ),
    ),
    module="theory/dominance.py",
    notebook="notebooks/T6_ds_vs_entropy.ipynb",
    test="tests/theory/test_t6_ds_vs_entropy.py",
    figure="fig_frontier",
)


def _only_odds(found: dominance.Boundary, log_odds: Array) -> dominance.Boundary:
    margin = log_odds - found.log_odds_floor
    return replace(found, meets=margin > 0, margin=margin)


def _everywhere(found: dominance.Boundary) -> dominance.Boundary:
    return replace(found, meets=np.ones_like(found.meets))
