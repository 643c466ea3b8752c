"""T5 and T6. Differential smoothing against vanilla at equal beta, and against entropy regularisation at equal closeness.

Everything here is built from the conditionals q_s ∝ pi0^s, the partition sums Z_s(A) = Σ_A pi0^s, and the log-odds of
being correct. Log-probabilities are (..., m); odds, strengths and divergences (...,) and in nats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from theory import measures, policies
from theory.measures import Divergence, Diversity
from theory.policies import Array, Mask, Strength

REACH = 60.0  # log-odds this far above a start are as good as certainty
SMALLEST_STEP = 1e-12  # 1/beta of a policy that stands for the limit beta = ∞


def tempered(log_p0: Array, mask: Mask, s: Strength) -> Array:
    """log q_s, q_s ∝ pi0^s on `mask`, −inf outside."""
    return policies.conditional(np.asarray(s)[..., None] * log_p0, mask)


def log_z(log_p0: Array, mask: Mask, s: Strength) -> Array:
    """log Z_s(mask)."""
    return policies.log_mass(np.asarray(s)[..., None] * log_p0, mask)


def compose(odds: Array, log_on_correct: Array, log_on_incorrect: Array, correct: Mask) -> Array:
    """The log-policy with these log-odds of being correct and these conditionals on K and on I."""
    heads, tails = log_expit(odds)[..., None], log_expit(-odds)[..., None]
    return np.asarray(np.where(correct, heads + log_on_correct, tails + log_on_incorrect))


def furthest(closeness: Callable[[Array], Array], start: Array, budget: Array) -> Array:
    """The largest log-odds in [start, start + REACH] up to which a convex `closeness` stays within `budget`."""
    low, high = start, start + REACH
    inside = closeness(high) <= budget
    for _ in range(60):
        middle = (low + high) / 2
        within = closeness(middle) <= budget
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return np.asarray(np.where(inside, start + REACH, low))


# ------------------------------------------------------------------------------------------------------------ T5


def correctness_gain(log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength) -> Array:
    """T5: log-odds of DS minus those of vanilla at the same beta, [log Z_{1−γp/β}/Z_1](K) − [log Z_{1+γn/β}/Z_1](I)."""
    up = log_z(log_p0, correct, 1 - np.asarray(gamma_p) / beta) - log_z(log_p0, correct, 1.0)
    down = log_z(log_p0, ~correct, 1 + np.asarray(gamma_n) / beta) - log_z(log_p0, ~correct, 1.0)
    return np.asarray(up - down)


def frontier(log_p0: Array, correct: Mask, odds: Array, kl: Array) -> tuple[Array, Array]:
    """T5, the price: the policy of largest Shannon entropy on K with these log-odds and KL to the base at most `kl`.

    Returns it and its s: pi_K = q_s with the smallest s in [0, 1] whose KL fits, pi_I = pi0_I. Where even s = 1 needs
    more than `kl`, no policy exists, and s is 1.
    """
    price = measures.binary_kl(odds, policies.log_odds(log_p0, correct))
    low, high = np.zeros_like(odds), np.ones_like(odds)
    for _ in range(55):
        middle = (low + high) / 2
        fits = price + expit(odds) * flattening_cost(log_p0, correct, middle) <= kl
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    s = np.where(price + expit(odds) * flattening_cost(log_p0, correct, np.zeros_like(odds)) <= kl, 0.0, high)
    base = policies.conditional(log_p0, ~correct)
    return compose(odds, tempered(log_p0, correct, s), base, correct), s


def ds_length_mean(log_p0: Array, correct: Mask, lengths: Array, beta: Strength, gamma_p: Strength) -> Array:
    """DS on K with the mean log-prob per token, log pi0/length, in place of the sum: the variant that T5 warns of."""
    b, g = np.asarray(beta)[..., None], np.asarray(gamma_p)[..., None]
    return policies.log_normalize(log_p0 + np.where(correct, 1 - g * log_p0 / lengths, 0.0) / b)


# ------------------------------------------------------------------------------------------------------------ T6


def flattening_cost(log_p0: Array, correct: Mask, s: Strength, divergence: Divergence = measures.kl) -> Array:
    """D(q_s‖pi0_K): what the conditional on K costs; κ for the KL."""
    return divergence(tempered(log_p0, correct, s), policies.conditional(log_p0, correct))


def merged(log_p: Array, log_p0: Array, correct: Mask) -> Array:
    """T6's pi*: C and pi_K of the policy, pi_I of the base."""
    odds = policies.log_odds(log_p, correct)
    return compose(odds, policies.conditional(log_p, correct), policies.conditional(log_p0, ~correct), correct)


def slack(log_p: Array, log_p0: Array, correct: Mask) -> Array:
    """T6: KL(pi‖pi0) − KL(pi*‖pi0), which is (1 − C) KL(pi_I‖pi0_I)."""
    apart = measures.kl(policies.conditional(log_p, ~correct), policies.conditional(log_p0, ~correct))
    return np.asarray(np.exp(policies.log_mass(log_p, ~correct)) * apart)


def direct(log_p0: Array, correct: Mask, beta: Strength, gamma: Strength) -> Mask:
    """T6, direct regime: pi* is itself a DS policy with gamma_n = 0 iff e^{1/beta} > Z_s(I)/pi0(I).

    If pi0_K is uniform, every s gives the same pi_K, and the condition is C_ent > C0.
    """
    s = 1 - np.asarray(gamma) / beta
    above = 1 / np.asarray(beta) > log_z(log_p0, ~correct, s) - log_z(log_p0, ~correct, 1.0)
    odds = policies.log_odds(policies.entropy_ce(log_p0, correct, beta, gamma), correct)
    return np.asarray(np.where(is_uniform(log_p0, correct), odds > policies.log_odds(log_p0, correct), above))


def is_uniform(log_p0: Array, mask: Mask) -> Mask:
    """True where pi0 is uniform on the mask (one trajectory counts)."""
    high = np.where(mask, log_p0, -np.inf).max(axis=-1)
    return np.asarray(high - np.where(mask, log_p0, np.inf).min(axis=-1) < 1e-12)


def diverse_exponent(log_p0: Array, correct: Mask, s: Array, diversity: Diversity) -> Array:
    """T6's s₊: the largest s' ≤ 1 at which `diversity` of q_{s'} is at least that of q_s; s itself for 0 ≤ s ≤ 1."""
    wanted = diversity(tempered(log_p0, correct, s), correct)
    low, high = np.zeros_like(s), np.ones_like(s)
    for _ in range(50):  # diversity falls on [0, 1]
        middle = (low + high) / 2
        enough = diversity(tempered(log_p0, correct, middle), correct) >= wanted
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    whole = diversity(tempered(log_p0, correct, np.ones_like(s)), correct) >= wanted
    mirrored = np.where(whole, 1.0, low)
    return np.asarray(np.where(is_uniform(log_p0, correct), 1.0, np.where(s >= 0, s, mirrored)))


@dataclass(frozen=True)
class Boundary:
    """T6's exact boundary for reverse KL: the entropy policy beside the infimum of the literal DS policies (...,)."""

    s: Array  # s₊
    odds: Array  # logit of C̲: literal DS reaches every C above it, and none at it
    kl: Array  # kl(C̲‖C0) + C̲ κ: the KL that it approaches there
    entropy_odds: Array
    entropy_kl: Array

    @property
    def literal(self) -> Mask:
        """True where some literal DS policy has C, diversity at least and KL at most those of the entropy policy."""
        return np.asarray((self.entropy_odds > self.odds) | (self.kl < self.entropy_kl))


def boundary(
    log_p0: Array, correct: Mask, beta: Strength, gamma: Strength, diversity: Diversity = measures.shannon_entropy
) -> Boundary:
    """T6: where the literal form (r in {0, 1}, gamma_n ≥ 0) holds. gamma ≥ 0; the diversity matters for gamma > beta."""
    policy = policies.entropy_ce(log_p0, correct, beta, policies.check_strength("gamma", gamma))
    exponent = np.broadcast_to(1 - np.asarray(gamma) / beta, policy.shape[:-1])
    s = diverse_exponent(log_p0, correct, exponent, diversity)
    odds = log_z(log_p0, correct, s) - log_z(log_p0, ~correct, 1.0)
    base = policies.log_odds(log_p0, correct)
    kl = measures.binary_kl(odds, base) + expit(odds) * flattening_cost(log_p0, correct, s)
    return Boundary(s, odds, kl, policies.log_odds(policy, correct), measures.kl(policy, log_p0))


def literal_witness(log_p0: Array, correct: Mask, found: Boundary) -> tuple[Array, Array]:
    """(beta, gamma_p) of the literal DS policy that meets all three conditions, where `found.literal` holds.

    It spends the whole KL of the entropy policy on correctness, so that closeness is equal and C as large as it can be.
    """
    start = np.maximum(found.entropy_odds, found.odds)
    odds = furthest(_kl_at(log_p0, correct, found.s), start, found.entropy_kl)
    beta = 1 / np.maximum(odds - found.odds, SMALLEST_STEP)
    return beta, (1 - found.s) * beta


def least_odds(log_p0: Array, correct: Mask, s: Strength, divergence: Divergence = measures.kl) -> Array:
    """Log-odds of self-centred DS as beta → ∞: logit C0 − D(q_s‖pi0_K).

    For the KL and every Rényi divergence this is the C of least divergence to the base for these conditionals.
    """
    return np.asarray(policies.log_odds(log_p0, correct) - flattening_cost(log_p0, correct, s, divergence))


def centred_witness(
    log_p0: Array,
    correct: Mask,
    beta: Strength,
    gamma: Strength,
    divergence: Divergence = measures.kl,
    centre: Divergence = measures.kl,
) -> tuple[Array, Array]:
    """(beta, gamma_p) of the self-centred DS policy that T6 puts beside the entropy policy (beta, gamma), gamma ≥ 0.

    Its pi_K is the entropy policy's, its divergence equal (unless C → 1 is nearer still), its C then as large as can
    be. `centre`: the divergence that centres the odds (KL is the method's own).
    """
    policy = policies.entropy_ce(log_p0, correct, beta, policies.check_strength("gamma", gamma))
    s = 1 - np.asarray(gamma) / beta
    least = least_odds(log_p0, correct, s, centre)
    closeness = _kl_at(log_p0, correct, s)
    if divergence is not measures.kl:
        closeness = _divergence_at(log_p0, correct, s, divergence)
    start = np.maximum(policies.log_odds(policy, correct), least)
    inverse = np.maximum(furthest(closeness, start, divergence(policy, log_p0)) - least, SMALLEST_STEP)
    return 1 / inverse, (1 - s) / inverse


def _kl_at(log_p0: Array, correct: Mask, s: Strength) -> Callable[[Array], Array]:
    base, cost = policies.log_odds(log_p0, correct), flattening_cost(log_p0, correct, s)
    return lambda odds: measures.binary_kl(odds, base) + expit(odds) * cost


def _divergence_at(log_p0: Array, correct: Mask, s: Strength, divergence: Divergence) -> Callable[[Array], Array]:
    on_correct, on_incorrect = tempered(log_p0, correct, s), policies.conditional(log_p0, ~correct)
    return lambda odds: divergence(compose(odds, on_correct, on_incorrect, correct), log_p0)


def penalty_witness(log_p0: Array, correct: Mask, beta: Strength, gamma: Strength) -> Array:
    """T6: beta of the vanilla policy that dominates an entropy penalty (gamma < 0): its C, or the base if that is larger."""
    policy = policies.entropy_ce(log_p0, correct, beta, gamma)
    gain = policies.log_odds(policy, correct) - policies.log_odds(log_p0, correct)
    return np.asarray(1 / np.maximum(gain, SMALLEST_STEP))
