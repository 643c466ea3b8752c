"""T7: the base on which a finite bonus flips, bases on which the rule is global, and the multiplicity threshold.

Along `pi_s ∝ pi0^s e^{r/beta}` the log-odds are log Z_s(K) − log Z_s(I) + 1/beta; a bonus lowers s from 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from flint import arb, fmpq

from theory.certified.base import Box, Certificate, Proof, words

# K = (.3, .2), I = (.01, .48, .01)
K, I = (fmpq(3, 10), fmpq(1, 5)), (fmpq(1, 100), fmpq(12, 25), fmpq(1, 100))  # noqa: E741
# K = (a, b), I = (c, 1 − a − b − c): every correct answer is less likely than every incorrect one; s
GLOBAL: Box = (
    (fmpq(1, 20), fmpq(1, 5)),
    (fmpq(1, 20), fmpq(1, 5)),
    (fmpq(1, 4), fmpq(3, 10)),
    (fmpq(-1), fmpq(3)),
)
MOST = 6  # correct or incorrect answers
NEAR = fmpq(1, 1000)  # how close to the threshold C0 may be
FORMS: Box = ((fmpq(1, 4), fmpq(4)), (fmpq(-1, 2), fmpq(4)), (fmpq(1, 100), fmpq(4)))


def mean_log(pi0: Sequence[arb], s: arb) -> arb:
    """E[log pi0] under the policy ∝ pi0^s."""
    logs = [p.log() for p in pi0]
    # relative to the first, so that an interval of s costs less
    raw = [(s * (one - logs[0])).exp() for one in logs]
    total = sum(raw, arb(0))
    return logs[0] + sum(((w / total) * (one - logs[0]) for w, one in zip(raw, logs)), arb(0))


def slope(correct: Sequence[arb], incorrect: Sequence[arb], s: arb) -> arb:
    """d logit C/ds: a bonus raises C iff it is negative."""
    return mean_log(correct, s) - mean_log(incorrect, s)


def gain(s: arb) -> arb:
    """logit C(pi_s) − logit C(vanilla) on the base that flips, where both classes have half."""
    powers = [sum(((s * arb(p).log()).exp() for p in part), arb(0)) for part in (K, I)]
    return arb(powers[0].log() - powers[1].log())


def _flips(control: bool = False) -> list[Certificate]:
    """E_K log pi0 < E_I log pi0 at s = 1, times 50 and in whole powers; the full bonus counts answers, 2 to 3."""
    small, full, finite, lowers = Proof(), Proof(), Proof(), Proof()
    small.holds(K[0] ** 15 * K[1] ** 10 < I[0] * I[1] ** 24)
    full.holds(fmpq(len(K), len(I)) < sum(K, fmpq(0)) / sum(I, fmpq(0)))
    finite.everywhere(lambda x: gain(x[0]), ((fmpq(3, 10), fmpq(999, 1000)),))
    lowers.everywhere(lambda x: (1 if control else -1) * gain(x[0]), ((fmpq(0), fmpq(29, 100)),))
    where = "K = (3/10, 1/5), I = (1/100, 12/25, 1/100)"
    if control:
        return [lowers.certificate("T7", "a large bonus raises C", f"{where}, s in [0, 0.29]", control)]
    return [
        small.certificate("T7", "a small bonus raises C: d logit C/ds < 0 at s = 1", f"{where}; exact"),
        full.certificate("T7", "and the full bonus, s = 0, lowers it", f"{where}; exact"),
        finite.certificate("T7", "smaller bonuses raise C", f"{where}, s in [0.3, 0.999]"),
        lowers.certificate("T7", "larger bonuses lower C", f"{where}, s in [0, 0.29]"),
    ]


def _global(sign: int, control: bool = False) -> Certificate:
    proof = Proof()
    proof.everywhere(lambda x: sign * slope(x[:2], [x[2], 1 - x[0] - x[1] - x[2]], x[3]), GLOBAL)
    return proof.certificate(
        "T7",
        f"every bonus {'raises' if sign < 0 else 'lowers'} C and every penalty does the opposite",
        f"K = (a, b), I = (c, 1 − a − b − c), {words('a b c s', GLOBAL)}",
        control,
    )


def _threshold(control: bool = False) -> Certificate:
    """Even classes: d logit C/ds = log(C0/M) − log((1−C0)/L) at every s; M > M* iff C0 < M/(M + L).

    control: without the odds' denominator, M* = L C0, that is C0 < M/L.
    """
    proof = Proof()
    for M in range(1, MOST + 1):
        for L in range(1, MOST + 1):
            at = fmpq(M, L) if control else fmpq(M, M + L)
            for sign, low, high in ((-1, NEAR, at - NEAR), (1, at + NEAR, 1 - NEAR)):
                if low >= high or high >= 1:
                    continue
                proof.everywhere(
                    lambda x, M=M, L=L, sign=sign: sign * ((x[0] / M).log() - ((1 - x[0]) / L).log()),  # type: ignore[misc]
                    ((low, high),),
                )
    rule = "L C0" if control else "L C0/(1 − C0)"
    where = f"even classes, M, L ≤ {MOST}, C0 in [.001, .999] but within .001 of the threshold, every s and beta"
    return proof.certificate("T7", f"a bonus raises C iff M > M* = {rule}, a penalty iff M < M*", where, control)


def _shannon(control: bool = False) -> Certificate:
    """Even classes: with y = log(M*/M) of the Shannon form, d logit C/dgamma has the sign of −y.

    logit C = log(M/L) + (beta (log(C0/M) − log((1−C0)/L)) + 1)/(beta + gamma) and y = log(C0/M) − log((1−C0)/L) +
    1/beta: the policy's log-ratio is beta y/(beta + gamma). Box: beta, gamma/beta, y.
    """
    proof = Proof()

    def rising(x: Sequence[arb]) -> arb:
        beta, share, y = x
        ratio = y / (1 + share)  # E_K log pi − E_I log pi
        return ratio / (beta * (1 + share))

    proof.everywhere(lambda x: -rising(x) if control else rising(x), FORMS)
    return proof.certificate(
        "T7",
        f"Shannon form: below M* = e^(1/beta) L C0/(1 − C0) a bonus {'raises' if control else 'lowers'} C",
        f"even classes of any size, {words('beta gamma/beta log(M*/M)', FORMS)}",
        control,
    )


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    return [*_flips(), _global(-1), _threshold(), _shannon()]


def controls() -> list[Certificate]:
    """False claims."""
    return [*_flips(control=True), _global(1, control=True), _threshold(control=True), _shannon(control=True)]
