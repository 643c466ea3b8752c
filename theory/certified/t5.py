"""T5: the odds gain, majorization up to gamma_p = beta, two answers up to 2 beta, and what fails beyond.

Notation: t = gamma_p/beta, u = gamma_n/beta. DS has pi0^{1−t} on K and pi0^{1+u} on I, up to the factor e^{1/beta}.
"""

from __future__ import annotations

from collections.abc import Sequence

from flint import Ordering, arb, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from theory.certified.base import Box, Certificate, Proof, words

# −log pi0(y) and gamma/beta: probabilities from e^−32 to e^(−1/64) = .984
TERMS: Box = ((fmpq(1, 64), fmpq(32)), (fmpq(1, 64), fmpq(4)))
POLICIES: Box = ((fmpq(1, 8), fmpq(3, 8)), (fmpq(1, 16), fmpq(3, 8)), (fmpq(1, 8), fmpq(4)), (fmpq(1, 8), fmpq(4)))
QUARTERS = 4  # gamma_p/beta = 0, 1/4, …, 1


def odds_gain(box: Sequence[arb]) -> arb:
    """Log-odds of DS minus vanilla's for K = (a, b), I = (1 − a − b): box (a, b, t, u)."""
    a, b, t, u = box
    rest = 1 - a - b
    gain = (a * (-t * a.log()).exp() + b * (-t * b.log()).exp()).log() - (a + b).log()
    return arb(gain - u * rest.log())


def _odds(claim: str, sign: int, control: bool = False) -> Certificate:
    proof = Proof()
    proof.everywhere(lambda x: sign * odds_gain(x), POLICIES)
    where = f"K = (a, b), I = (1 − a − b), {words('a b gamma_p/beta gamma_n/beta', POLICIES)}"
    return proof.certificate("T5", claim, where, control)


def _terms() -> list[Certificate]:
    """The gain is the log of a mean of pi0^{−t} on K minus the log of a mean of pi0^u on I."""
    larger, smaller = Proof(), Proof()
    larger.everywhere(lambda x: (x[0] * x[1]).exp() - 1, TERMS)
    smaller.everywhere(lambda x: 1 - (-x[0] * x[1]).exp(), TERMS)
    where = f"any number of answers, each with {words('−log(pi0) gamma/beta', TERMS)}"
    return [
        larger.certificate("T5", "gamma_p raises the odds: each term pi0^(−gamma_p/beta) of their factor > 1", where),
        smaller.certificate("T5", "gamma_n raises the odds: each term pi0^(gamma_n/beta) of their divisor < 1", where),
    ]


def majorizes(answers: int, root: int, exponent: int) -> tuple[bool, bool]:
    """Whether p = x^root majorizes q ∝ x^exponent for every x_1 ≥ … ≥ x_m > 0, and whether strictly somewhere.

    x_i is the sum of gaps g_i + … + g_m ≥ 0. The largest r shares are compared, (Σ_r p)(Σ q) − (Σ_r q)(Σ p), as
    a polynomial in the gaps: no negative coefficient proves that it is nowhere negative.
    """
    gens = fmpq_mpoly_ctx.get([f"g{i}" for i in range(answers)], Ordering.degrevlex).gens()
    zero = 0 * gens[0]
    x = [sum(gens[i:], zero) for i in range(answers)]
    p = [one**root for one in x]
    if exponent >= 0:
        q = [one**exponent for one in x]
    else:  # times the product of all x^|exponent|; the smallest x has the largest share
        q = [product(x[:i] + x[i + 1 :], zero) ** -exponent for i in range(answers)][::-1]
    strict = False
    for r in range(1, answers):
        gap = sum(p[:r], zero) * sum(q, zero) - sum(q[:r], zero) * sum(p, zero)
        if any(c < 0 for c in gap.coeffs()):
            return False, False
        strict = strict or gap != 0
    return True, strict


def product(factors: Sequence[fmpq_mpoly], zero: fmpq_mpoly) -> fmpq_mpoly:
    """The product of polynomials of the ring of `zero`; 1 of none."""
    total = zero + 1
    for one in factors:
        total = total * one
    return total


def _majorization() -> Certificate:
    proof = Proof()
    for answers in (2, 3, 4):
        for k in range(QUARTERS + 1):
            holds, strict = majorizes(answers, QUARTERS, QUARTERS - k)
            proof.holds(holds, strict == (k > 0))
    return proof.certificate(
        "T5",
        "vanilla's pi_K majorizes DS's, strictly somewhere if gamma_p > 0",
        "every base with 2 to 4 correct answers, gamma_p/beta = 0, 1/4, 1/2, 3/4, 1; exact",
    )


def _two() -> list[Certificate]:
    up_to, beyond = Proof(), Proof()
    for exponent in (-1, -2):  # x = √pi0
        up_to.holds(majorizes(2, 2, exponent)[0])
    # beyond: the larger share is that of (x1/x2)^3, vanilla's of (x1/x2)^2
    beyond.holds(*majorizes(2, 3, 2))
    return [
        up_to.certificate("T5", "two correct answers: more diverse", "every base, gamma_p/beta = 3/2, 2; exact"),
        beyond.certificate("T5", "two correct answers: less diverse", "every base, gamma_p/beta = 5/2; exact"),
    ]


def _shares(weights: Sequence[fmpq]) -> list[fmpq]:
    total = sum(weights, fmpq(0))
    return sorted((one / total for one in weights), reverse=True)


def _counterexamples() -> list[Certificate]:
    """Three correct answers beyond gamma_p = beta; and length-mean log-probs."""
    proof = Proof()
    plain = _shares([fmpq(1), fmpq(1), fmpq(1, 10**8)])
    smooth = _shares([fmpq(1), fmpq(1), fmpq(100)])  # the power −1/4
    proof.holds(smooth[0] > plain[0], sum(x * x for x in smooth) > sum(x * x for x in plain))
    lengths = Proof()
    raw = [arb(fmpq(3, 10)) ** arb(0), arb(fmpq(1, 5)) ** arb(fmpq(99, 100))]  # pi0^{1 − 1/T}, T = 1, 100
    share = raw[0] / (raw[0] + raw[1])
    lengths.near(share, "0.83", "0.005")
    lengths.positive(share - fmpq(3, 5))
    return [
        proof.certificate(
            "T5",
            "beyond gamma_p = beta three answers can be less diverse (largest share, Gini–Simpson)",
            "pi_K ∝ (1, 1, 10^−8), gamma_p/beta = 5/4; exact",
        ),
        lengths.certificate(
            "T5",
            "length-mean log-probs break the diversity half: (.83, .17) from (.6, .4)",
            "K = (3/10, 1/5), lengths (1, 100), gamma_p = beta",
        ),
    ]


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    return [*_terms(), _odds("C(DS) > C(vanilla)", 1), _majorization(), *_two(), *_counterexamples()]


def controls() -> list[Certificate]:
    """False claims."""
    three, two = Proof(), Proof()
    three.holds(majorizes(3, QUARTERS, -1)[0])
    two.holds(majorizes(2, 2, -3)[0])
    return [
        _odds("C(DS) < C(vanilla)", -1, control=True),
        three.certificate("T5", "three answers: majorized at gamma_p/beta = 5/4", "every base", control=True),
        two.certificate("T5", "two answers: more diverse at gamma_p/beta = 5/2", "every base", control=True),
    ]
