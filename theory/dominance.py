"""T5 and T6. Differential smoothing against vanilla RL at equal beta, and against entropy terms at equal closeness.

Notation: `q_s ∝ pi0^s` on K (a *tilt*), Z_s(A) = Σ_A pi0^s, odds = pi(K)/pi(I). Everything is a function of log pi0;
odds are logarithmic, since C rounds to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory import measures, policies
from theory.policies import Array, Mask, Strength


def log_z(log_p0: Array, mask: Mask, s: Strength) -> Array:
    """log Z_s(mask) = log Σ_mask pi0^s, shape (...,)."""
    exponent = np.asarray(s, dtype=float)[..., None]
    return np.asarray(policies.log_sum(policies.only(exponent * log_p0, mask)))


def tilt(log_p0: Array, mask: Mask, s: Strength) -> Array:
    """log q_s on `mask`, shape (..., m), −inf outside."""
    exponent = np.asarray(s, dtype=float)[..., None]
    return policies.only(exponent * log_p0 - log_z(log_p0, mask, s)[..., None], mask)


def compose(log_odds: Array, on_correct: Array, on_incorrect: Array) -> Array:
    """The policy with these log-odds and conditionals (−inf off their sets), as log-probabilities (..., m)."""
    odds = np.asarray(log_odds)[..., None]
    return np.asarray(np.maximum(on_correct - np.logaddexp(0.0, -odds), on_incorrect - np.logaddexp(0.0, odds)))


# ── T5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def odds_gain(log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, gamma_n: Strength = 0.0) -> Array:
    """T5: log-odds of DS minus those of vanilla at the same beta, shape (...,); ≥ 0, zero iff both gammas are."""
    smooth = policies.ds(log_p0, correct, beta, gamma_p, gamma_n)
    plain = policies.vanilla(log_p0, correct, beta)
    return np.asarray(policies.log_odds(smooth, correct) - policies.log_odds(plain, correct))


def ds_length_mean(log_p0: Array, correct: Mask, beta: Strength, gamma_p: Strength, lengths: Array) -> Array:
    """DS on K with length-mean log-probs, the optimum of r − gamma_p log pi0 / T: T5's diversity half fails for it."""
    mask = policies.check_correct(correct, log_p0.shape[-1])
    b = policies.check_strength("beta", beta, positive=True)[..., None]
    p = policies.check_strength("gamma_p", gamma_p)[..., None]
    return policies.log_normalize(log_p0 + np.where(mask, (1 - p * log_p0 / lengths) / b, 0.0))


# ── T6: the companion, and the literal form's exact boundary ────────────────────────────────────────────────────


def companion(log_p: Array, log_p0: Array, correct: Mask) -> Array:
    """T6's pi*: the same C and pi_K as `log_p`, the base's conditional on I. Never farther from pi0 than `log_p`."""
    return compose(
        policies.log_odds(log_p, correct),
        policies.conditional(log_p, correct),
        policies.conditional(log_p0, ~correct),
    )


def slack(log_p: Array, log_p0: Array, correct: Mask) -> Array:
    """T6: KL(pi‖pi0) − KL(pi*‖pi0) = (1 − C) KL(pi_I‖pi0_I), shape (...,)."""
    share = np.exp(policies.log_mass(log_p, ~correct))
    apart = measures.kl(policies.conditional(log_p, ~correct), policies.conditional(log_p0, ~correct))
    return np.asarray(share * apart)


def spend_slack(log_p: Array, log_p0: Array, correct: Mask) -> Array:
    """T6: the largest log-odds with pi_K kept, pi_I = pi0_I and KL to the base no larger than that of `log_p`.

    KL(C) = kl(C‖C0) + C KL(pi_K‖pi0_K) is convex in C; the root above C is bracketed and bisected on the log-odds.
    """
    budget = measures.kl(log_p, log_p0)
    kappa = measures.kl(policies.conditional(log_p, correct), policies.conditional(log_p0, correct))
    low = policies.log_odds(log_p, correct)
    step, cost = np.ones_like(low), _kl_at(log_p0, correct, kappa)

    def within(odds: Array) -> Mask:
        return np.asarray(cost(odds) <= budget)

    for _ in range(12):  # beyond 2^12 nats C is one to every digit, and KL no longer changes
        step = np.where(within(low + step), 2 * step, step)
    high = low + step
    for _ in range(80):
        middle = (low + high) / 2
        inside = within(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(low)


def _kl_at(log_p0: Array, correct: Mask, kappa: Array) -> Callable[[Array], Array]:
    """Of log-odds (...,): kl(C‖C0) + C kappa, KL to the base where pi_I is the base's and KL(pi_K‖pi0_K) is kappa."""
    right0, wrong0 = policies.log_mass(log_p0, correct), policies.log_mass(log_p0, ~correct)

    def cost(odds: Array) -> Array:
        small = np.log1p(np.exp(-np.abs(odds)))
        right, wrong = np.minimum(odds, 0.0) - small, np.minimum(-odds, 0.0) - small
        return np.asarray(np.exp(right) * (right - right0 + kappa) + np.exp(wrong) * (wrong - wrong0))

    return cost


def direct_log_reward(log_p0: Array, correct: Mask, beta: Strength, s: Strength) -> Array:
    """T6, direct regime: 1/beta' of the literal DS policy (gamma_n = 0) that *is* pi*.

    1/beta − log(Z_s(I)/pi0(I)): such a policy exists iff this is positive (pi0_K not uniform); gamma_p = (1 − s) beta'.
    """
    return np.asarray(1 / np.asarray(beta) - log_z(log_p0, ~correct, s) + policies.log_mass(log_p0, ~correct))


@dataclass(frozen=True)
class Boundary:
    """T6's exact boundary for the literal form (reverse KL, diversity as Shannon entropy), each field (...,).

    s_plus: the largest s' ≤ 1 whose tilt is at least as diverse. log_odds_floor: of C̲, which literal DS exceeds if it
    is that diverse. kl_floor: kl(C̲‖C0) + C̲ κ. meets: whether a literal DS policy meets all three conditions. margin:
    how far from the boundary, in nats; positive iff `meets`.
    """

    s_plus: Array
    log_odds_floor: Array
    kl_floor: Array
    meets: Mask
    margin: Array


def boundary(log_p0: Array, correct: Mask, log_ent: Array, s: Strength) -> Boundary:
    """Where the literal form of T6 holds: iff kl(C̲‖C0) + C̲ κ < KL(pi_ent‖pi0); C_ent > C̲ implies it."""
    s_plus = largest_tilt(log_p0, correct, s)
    floor = log_z(log_p0, correct, s_plus) - policies.log_mass(log_p0, ~correct)
    lowest = compose(floor, tilt(log_p0, correct, s_plus), policies.conditional(log_p0, ~correct))
    kl_floor = measures.kl(lowest, log_p0)
    margin = measures.kl(log_ent, log_p0) - kl_floor
    return Boundary(s_plus, floor, kl_floor, margin > 0, margin)


def largest_tilt(log_p0: Array, correct: Mask, s: Strength) -> Array:
    """s₊: the largest s' ≤ 1 with the entropy of q_{s'} at least that of q_s; s itself for 0 ≤ s ≤ 1.

    The entropy of q_{s'} falls as |s'| grows; for s < 0 the equal one in (0, 1] is found by bisection. It is 1 where
    q_1 is diverse enough, as for a base that is uniform on K, where every tilt is the same.
    """
    s = np.broadcast_to(np.asarray(s, dtype=float), log_p0.shape[:-1])
    found, mirrored = np.array(np.minimum(s, 1.0)), s < 0
    found[mirrored] = _mirror(log_p0[mirrored], np.broadcast_to(correct, log_p0.shape)[mirrored], s[mirrored])
    spread = np.where(correct, log_p0, -np.inf).max(axis=-1) - np.where(correct, log_p0, np.inf).min(axis=-1)
    return np.asarray(np.where(spread < 1e-12, 1.0, found))


def _mirror(log_p0: Array, correct: Mask, s: Array) -> Array:
    """For s < 0 (n,) the tilt in [0, 1] as diverse as it, by bisection; 1 where even q_1 is more diverse."""

    def diverse(tilted: Array) -> Mask:
        return np.asarray(measures.shannon_entropy(tilt(log_p0, correct, tilted)) >= wanted)

    wanted = measures.shannon_entropy(tilt(log_p0, correct, s))
    low, high = np.zeros_like(s), np.ones_like(s)
    for _ in range(60):
        middle = (low + high) / 2
        enough = diverse(middle)
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return low


def literal_witness(log_p0: Array, correct: Mask, log_ent: Array, where: Boundary) -> tuple[Array, Array]:
    """(1/beta', s') of a literal DS policy (gamma_n = 0) that meets T6's three conditions, where `where.meets`.

    C_ent > C̲: match C_ent. Otherwise go from C̲ upwards by as little as KL allows. NaN where there is none.
    """
    above = policies.log_odds(log_ent, correct) - where.log_odds_floor
    budget = measures.kl(log_ent, log_p0)
    kappa = measures.kl(tilt(log_p0, correct, where.s_plus), policies.conditional(log_p0, correct))
    reward, cost = np.ones_like(above), _kl_at(log_p0, correct, kappa)
    for _ in range(60):
        far = cost(where.log_odds_floor + reward) > budget
        reward = np.where(far, reward / 2, reward)
    return np.where(where.meets, np.where(above > 0, above, reward), np.nan), where.s_plus


# ── T6: the self-centered form, which always holds for reverse KL ────────────────────────────────────────────────


def centered_log_odds(log_p0: Array, correct: Mask, s: Strength) -> Array:
    """Log-odds of self-centered DS (gamma_n = 0) without e^{1/beta}: log odds0 − KL(q_s‖pi0_K), where KL is least."""
    kappa = measures.kl(tilt(log_p0, correct, s), policies.conditional(log_p0, correct))
    return np.asarray(policies.log_odds(log_p0, correct) - kappa)


def centered_witness(log_p0: Array, correct: Mask, log_ent: Array, s: Strength) -> Array:
    """1/beta' ≥ 0 of the self-centered DS policy (tilt s) that meets T6: match C_ent, or stay where KL is least (0)."""
    above = policies.log_odds(log_ent, correct) - centered_log_odds(log_p0, correct, s)
    return np.asarray(np.maximum(above, 0.0))


def centered_policy(log_p0: Array, correct: Mask, inverse_beta: Strength, s: Strength) -> Array:
    """Self-centered DS (gamma_n = 0) by tilt and 1/beta, so that beta = ∞ is allowed; else `policies.ds_centered`."""
    odds = centered_log_odds(log_p0, correct, s) + inverse_beta
    return compose(odds, tilt(log_p0, correct, s), policies.conditional(log_p0, ~correct))


def renyi_centered_policy(log_p0: Array, correct: Mask, log_ent: Array, s: Strength, alpha: float) -> Array:
    """T6's repair for Rényi alpha > 1 and chi-squared (alpha = 2): centered by e^{−D_alpha(q_s‖pi0_K)}."""
    on_correct, base = tilt(log_p0, correct, s), policies.conditional(log_p0, correct)
    least = policies.log_odds(log_p0, correct) - measures.renyi(on_correct, base, alpha=alpha)
    odds = np.maximum(policies.log_odds(log_ent, correct), least)
    return compose(odds, on_correct, policies.conditional(log_p0, ~correct))


def base_centered_log_odds(log_p0: Array, correct: Mask, s: Strength) -> Array:
    """As `centered_log_odds`, but centered by the *base's* mean of log pi0 on K: larger, so that T6 can fail."""
    mean = policies.expected(policies.conditional(log_p0, correct), log_p0)
    return np.asarray(log_z(log_p0, correct, s) + (1 - np.asarray(s)) * mean - policies.log_mass(log_p0, ~correct))


def penalty_dominator(log_p0: Array, correct: Mask, log_penalty: Array) -> Array:
    """For an entropy penalty (s > 1): the vanilla policy (beta = ∞ allowed) with C ≥, diversity ≥, divergences ≤."""
    odds = np.maximum(policies.log_odds(log_penalty, correct), policies.log_odds(log_p0, correct))
    return compose(odds, policies.conditional(log_p0, correct), policies.conditional(log_p0, ~correct))
