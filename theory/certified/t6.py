"""T6: merging for chi-squared, where literal DS fails and where it holds, the self-centered form, its counterexample.

Four trajectories: K = (a, b), I = (c, d), d = 1 − a − b − c. The bonus is `pi_ent ∝ pi0^s e^{r/beta}`, 0 ≤ s ≤ 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from flint import Ordering, arb, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from theory.certified.base import Box, Certificate, Number, Proof, Range, rational, words
from theory.certified.t5 import product

HAND = (fmpq(1, 5), fmpq(1, 20), fmpq(7, 20))  # a, b, c; d = 2/5; beta = gamma = 10, so s = 0
CHI = (fmpq(1, 20), fmpq(7, 10)), fmpq(1, 4), fmpq(1, 2), fmpq(1, 10)  # K, I, s, 1/beta


def around(low: str, high: str) -> Range:
    """A side of a box, from two decimals."""
    return rational(low), rational(high)


# a, b, c, 1/beta, s
FAILS: Box = (
    around("0.19", "0.21"),
    around("0.045", "0.055"),
    around("0.34", "0.36"),
    around("0.08", "0.125"),
    around("0", "0.1"),
)
HOLDS: Box = (*FAILS[:3], around("2", "4"), around("0", "1"))
CENTERED: tuple[Box, ...] = (  # all five sides at once take too many boxes
    (
        around("0.05", "0.05"),
        around("0.7", "0.7"),
        around("0.15", "0.15"),
        around("0.05", "0.15"),
        around("0.2", "0.8"),
    ),
    (
        around("0.045", "0.055"),
        around("0.69", "0.71"),
        around("0.14", "0.16"),
        around("0.1", "0.1"),
        around("0.5", "0.5"),
    ),
)


def _words(box: Box) -> str:
    return f"K = (a, b), I = (c, 1 − a − b − c), {words('a b c 1/beta s', box)}"


def _merging(n: int, control: bool = False) -> Certificate:
    """(Σ p²/q)(Σ q) − (Σ p)² = Σ_{i<j} (p_i q_j − p_j q_i)²/(q_i q_j), times Π q: the gap is a sum of squares.

    p is pi on I and q is pi0; the first sum is what I adds to chi-squared, (Σ p)²/Σ q what it adds for pi*.
    control: a term of the sum is left out.
    """
    names = [f"{letter}{i}" for letter in "pq" for i in range(n)]
    gens = fmpq_mpoly_ctx.get(names, Ordering.degrevlex).gens()
    p, q = gens[:n], gens[n:]
    zero = 0 * p[0]

    def rest(*without: int) -> fmpq_mpoly:
        return product([q[i] for i in range(n) if i not in without], zero)

    gap = sum((p[i] ** 2 * rest(i) for i in range(n)), zero) * sum(q, zero) - sum(p, zero) ** 2 * rest()
    pairs = list(combinations(range(n), 2))[: -1 if control else None]
    squares = sum(((p[i] * q[j] - p[j] * q[i]) ** 2 * rest(i, j) for i, j in pairs), zero)
    proof = Proof()
    proof.holds(gap == squares)
    claim = "chi-squared and Rényi 2 of pi* are at most pi_ent's: the gap is a sum of squares"
    claim += ", one of them left out" if control else ""
    return proof.certificate("T6", claim, f"every pi, pi0 and K with {n} incorrect trajectories", control)


def kl_bonus(pi0: Sequence[Number], inverse_beta: Number, s: Number) -> arb:
    """KL(pi_ent ‖ pi0); the first two trajectories are correct."""
    logs = [arb(p).log() for p in pi0]
    raw = [(s * one + (inverse_beta if y < 2 else 0)).exp() for y, one in enumerate(map(arb, logs))]
    total = sum(raw, arb(0))
    mean = sum((w * ((s - 1) * one) for w, one in zip(raw, logs)), arb(0)) + inverse_beta * (raw[0] + raw[1])
    return arb(mean / total - total.log())


def kl_floor(pi0: Sequence[Number], s: Number) -> arb:
    """kl(C̲‖C0) + C̲ κ: the KL of the policy q_s on K, pi0 on I, with odds Z_s(K)/pi0(I)."""
    logs = [arb(p).log() for p in pi0[:2]]
    raw = [(s * one).exp() for one in logs]
    total = raw[0] + raw[1] + pi0[2] + pi0[3]
    mean = sum((w * (s - 1) * one for w, one in zip(raw, logs)), arb(0))
    return arb(mean / total - arb(total).log())


def _split(box: Sequence[arb]) -> tuple[list[arb], arb, arb]:
    a, b, c, inverse_beta, s = box
    return [a, b, c, 1 - a - b - c], inverse_beta, s


def margin(box: Sequence[arb]) -> arb:
    """KL(pi_ent‖pi0) − kl(C̲‖C0) − C̲ κ: literal DS meets all three conditions iff it is positive (0 ≤ s ≤ 1)."""
    pi0, inverse_beta, s = _split(box)
    return kl_bonus(pi0, inverse_beta, s) - kl_floor(pi0, s)


def centered_gap(box: Sequence[arb]) -> arb:
    """KL(pi_ent‖pi0) less the least KL of a policy with q_s on K and pi0 on I, which self-centered DS has at beta' = ∞.

    −1 where that policy's C is not above C_ent for certain. The least KL is −log(C0 e^{−κ} + 1 − C0).
    """
    pi0, inverse_beta, s = _split(box)
    logs = [p.log() for p in pi0]
    raw = [(s * one).exp() for one in logs]
    C0, z = pi0[0] + pi0[1], raw[0] + raw[1]
    kappa = (s - 1) * (raw[0] * logs[0] + raw[1] * logs[1]) / z - z.log() + C0.log()
    ent = inverse_beta + z.log() - (raw[2] + raw[3]).log()
    if not ent < C0.log() - (1 - C0).log() - kappa:
        return arb(-1)
    return kl_bonus(pi0, inverse_beta, s) + (C0 * (-kappa).exp() + 1 - C0).log()


def _on_box(claim: str, sign: int, box: Box, control: bool = False) -> Certificate:
    proof = Proof()
    proof.everywhere(lambda x: sign * margin(x), box)
    return proof.certificate("T6", claim, _words(box), control)


def _centered(box: Box) -> Certificate:
    proof = Proof()
    proof.everywhere(centered_gap, box)
    claim = "self-centered DS (beta' = ∞) has larger C than pi_ent and is closer in reverse KL"
    return proof.certificate("T6", claim, _words(box))


def _by_hand() -> Certificate:
    """K = (.2, .05), I = (.35, .4), beta = gamma = 10: equal diversity of two answers forces an even pi_K."""
    pi0 = [*HAND, 1 - sum(HAND, fmpq(0))]
    proof, v = Proof(), fmpq(1, 10)
    ent = 1 / (1 + (arb(0) - v).exp())  # both classes have two trajectories and s = 0
    floor = fmpq(2) / (2 + pi0[2] + pi0[3])  # every literal DS policy with an even pi_K has more than this
    C0 = pi0[0] + pi0[1]
    kappa = -(arb(4 * pi0[0] * pi0[1] / C0**2)).log() / 2  # KL of the even pi_K from the base's
    proof.near(ent, "0.525", "0.0005")
    proof.near(kl_bonus(pi0, v, fmpq(0)), "0.291", "0.0005")
    proof.near(floor, "0.727", "0.0005")
    proof.near(kl_floor(pi0, fmpq(0)), "0.663", "0.0005")
    # from that C on KL rises with C: its slope is logit C − logit C0 + κ
    proof.positive(arb(floor / (1 - floor)).log() - arb(C0 / (1 - C0)).log() + kappa)
    proof.positive(kl_floor(pi0, fmpq(0)) - kl_bonus(pi0, v, fmpq(0)))
    return proof.certificate(
        "T6",
        "literal DS fails: C = .525, KL = .291, but as diverse forces C > .727, KL > .663",
        "K = (1/5, 1/20), I = (7/20, 2/5), beta = gamma = 10",
    )


def _chi_squared(control: bool = False) -> Certificate:
    """Self-centered DS with pi_ent's pi_K: C at least that of pi_ent and at least that of beta' = ∞."""
    (a, b), rest, s, v = CHI
    proof = Proof()
    raw = [arb(p) ** arb(s) for p in (a, b)]
    z, C0 = raw[0] + raw[1], a + b
    q = [one / z for one in raw]
    boost = arb(v).exp()
    C_ent = boost * z / (boost * z + arb(rest) ** arb(s))
    on_correct = q[0] ** 2 * C0 / a + q[1] ** 2 * C0 / b  # 1 + chi² of q against pi0 on K
    kappa = sum((x * (x * C0 / p).log() for x, p in zip(q, (a, b))), arb(0))
    odds = arb(C0 / (1 - C0)) * (-kappa).exp()
    least = (odds / (1 + odds)).max(C_ent)

    def chi(C: arb) -> arb:
        return arb(C**2 / C0 * on_correct + (1 - C) ** 2 / (1 - C0) - 1)

    proof.near(chi(C_ent), "0.2318", "0.00005")
    proof.near(chi(least), "0.2391", "0.00005")
    proof.positive(2 * least / C0 * on_correct - 2 * (1 - least) / (1 - C0))  # convex: it rises from there on
    proof.positive((chi(C_ent) - chi(least)) if control else (chi(least) - chi(C_ent)))
    claim = "self-centered DS holds for chi-squared" if control else "self-centered DS fails for chi-squared: ≥ .2391"
    return proof.certificate("T6", f"{claim} against .2318", "K = (1/20, 7/10), I = (1/4), s = 1/2, beta = 10", control)


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    return [
        *(_merging(n) for n in (2, 3, 4)),
        _by_hand(),
        _on_box("literal DS fails (beyond the boundary)", -1, FAILS),
        _on_box("literal DS holds (within the boundary)", 1, HOLDS),
        *map(_centered, CENTERED),
        _chi_squared(),
    ]


def controls() -> list[Certificate]:
    """False claims."""
    return [
        _merging(3, control=True),
        _on_box("literal DS holds everywhere", 1, FAILS, control=True),
        _chi_squared(control=True),
    ]
