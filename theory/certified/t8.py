"""T8: the ceiling on gamma_p. After T steps pi_K ∝ pi0^{a^T}, a = 1 − gamma_p/beta."""

from __future__ import annotations

from collections.abc import Sequence

from flint import arb, fmpq

from theory.certified.base import Box, Certificate, Proof, Range, rational
from theory.certified.t5 import odds_gain

LONG, SHORT = 400, 60  # steps
SPREAD = 40  # largest log-ratio of two correct answers, in nats
INSIDE: Box = ((fmpq(-19, 20), fmpq(19, 20)),)  # a
BEYOND: Box = ((fmpq(6, 5), fmpq(3)), (fmpq(1, 64), fmpq(32)))  # −a, and the log-ratio of the two extreme answers
FLAT = rational("1e-6")
SWINGS = ((fmpq(1, 2), fmpq(3, 10), fmpq(1, 5)), (fmpq(3, 5), fmpq(2, 5)), (fmpq(4, 10), fmpq(3, 10), fmpq(3, 10)))
# a, b, then gamma_p/beta and gamma_n/beta: a small box, on which two steps follow each other
TWO_STEPS: Box = (
    (fmpq(9, 40), fmpq(11, 40)),
    (fmpq(9, 80), fmpq(11, 80)),
    (fmpq(1, 4), fmpq(1)),
    (fmpq(1, 4), fmpq(1)),
)


def step(pi_K: Sequence[fmpq], exponent: int) -> list[fmpq]:
    """One DS step on K with a whole a, exact: pi_K^a, normalized."""
    raw = [p**exponent if exponent >= 0 else (1 / p) ** -exponent for p in pi_K]
    total = sum(raw, fmpq(0))
    return [one / total for one in raw]


def _flat(box: Box, control: bool = False) -> Certificate:
    """Every log-ratio shrinks by |a| a step."""
    proof = Proof()
    proof.everywhere(lambda x: FLAT - SPREAD * abs(x[0]) ** LONG, box)
    low, high = _ratio(box[0])
    return proof.certificate(
        "T8",
        f"pi_K becomes uniform: after {LONG} steps every log-ratio is below 1e-6",
        f"any number of answers, log-ratios ≤ {SPREAD}, gamma_p/beta in [{low:g}, {high:g}]",
        control,
    )


def _ratio(a: Range) -> tuple[float, float]:
    return float(1 - a[1]), float(1 - a[0])


def _swings(control: bool = False) -> Certificate:
    """At gamma_p = 2 beta: two steps lead back, and neither policy is uniform."""
    proof = Proof()
    for pi_K in SWINGS:
        one = step(pi_K, -1)
        two = step(one, -1)
        uneven = all(len(set(q)) > 1 for q in (one, two))
        proof.holds(not uneven if control else two == list(pi_K) and one != two and uneven)
    claim = "becomes uniform" if control else "swings between two policies, neither uniform"
    return proof.certificate(
        "T8",
        f"gamma_p = 2 beta: pi_K {claim}",
        "pi_K = (1/2, 3/10, 1/5), (3/5, 2/5), (2/5, 3/10, 3/10); exact",
        control,
    )


def _collapse() -> list[Certificate]:
    instance, box = Proof(), Proof()
    pi_K = list(SWINGS[0])
    for _ in range(8):
        pi_K = step(pi_K, -2)
    instance.holds(max(pi_K) > 1 - fmpq(1, 10**50))
    # the likeliest answer after T steps is the extreme one; its log-ratio to the next has grown by |a|^T
    box.everywhere(lambda x: x[1] * x[0] ** SHORT - SPREAD, BEYOND)
    return [
        instance.certificate(
            "T8",
            "gamma_p = 3 beta: one answer holds more than 1 − 10^−50 after 8 steps",
            "pi_K = (1/2, 3/10, 1/5); exact",
        ),
        box.certificate(
            "T8",
            f"gamma_p > 2 beta: pi_K collapses: after {SHORT} steps the first is {SPREAD} nats above the next",
            "any number of answers, the first apart by [1/64, 32] nats at both ends, gamma_p/beta in [2.2, 4]",
        ),
    ]


def two_steps(box: Sequence[arb]) -> arb:
    """How much the log-odds grow in the second of two DS steps (1/beta = 1), beyond 1/beta."""
    a, b, t, u = box
    raw = [((1 - t) * p.log() + 1).exp() for p in (a, b)] + [((1 + u) * (1 - a - b).log()).exp()]
    total = raw[0] + raw[1] + raw[2]
    return odds_gain([raw[0] / total, raw[1] / total, t, u])


def _growth(sign: int, control: bool = False) -> Certificate:
    proof = Proof()
    proof.everywhere(lambda x: sign * two_steps(x), TWO_STEPS)
    return proof.certificate(
        "T8",
        f"the second step, too, raises the odds by {'more' if sign > 0 else 'less'} than e^(1/beta)",
        "K = (a, b), a in [.225, .275], b in [.1125, .1375], beta = 1, gamma_p and gamma_n in [1/4, 1]",
        control,
    )


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    return [_flat(INSIDE), _swings(), *_collapse(), _growth(1)]


def controls() -> list[Certificate]:
    """False claims."""
    return [
        _flat(((fmpq(-1), fmpq(19, 20)),), control=True),  # the ceiling itself
        _swings(control=True),
        _growth(-1, control=True),
    ]
