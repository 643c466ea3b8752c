"""T12: which weights fall, and the table of limits as the only points that satisfy the conditions of a maximum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise

from flint import arb, fmpq

from theory.certified import bernstein
from theory.certified.base import Certificate, Number, Proof, rational, root, width
from theory.certified.bernstein import Coefficients
from theory.certified.t9 import pass_at_k
from theory.certified.t11 import radicals

SIZE = 8
KS = (1, 2, 8, 64)
METHODS: dict[str, Callable[[], Coefficients]] = {
    "Dr. GRPO": lambda: bernstein.dr_grpo(SIZE),
    "GRPO": lambda: bernstein.grpo(SIZE),
    "F-GRPO": lambda: bernstein.f_grpo(SIZE, fmpq(1, 2)),
    "Pass@2 training": lambda: bernstein.passk_training(SIZE, 2),
    "MaxRL": lambda: bernstein.maxrl(SIZE),
}
MAJORITY = ("0.750", "0.750", "0.750", "0.750")
# Limits in the uneven model of T9, Pass@1/2/8/64: without DS and with gamma_p = 1, to three digits
STATED = {
    "Dr. GRPO": (MAJORITY, ("0.691", "0.795", "0.909", "1.000")),
    "GRPO": (MAJORITY, ("0.746", "0.754", "0.764", "0.843")),
    "F-GRPO": (MAJORITY, ("0.661", "0.807", "0.948", "1.000")),
    "Pass@2 training": (("0.674", "0.803", "0.933", "1.000"), ("0.631", "0.812", "0.971", "1.000")),
    "MaxRL": (("0.643", "0.811", "0.963", "1.000"), ("0.625", "0.812", "0.975", "1.000")),
}
SHARES = fmpq(3, 4), fmpq(1, 4)  # of the prompts: solved by S1 alone, by S2 alone; S0 solves none
F_GRPO_FROM = {4: "0.21", 8: "0.39", 16: "0.46", 64: "0.49"}  # the gamma from which w_N falls, to two digits


def _falls(name: str, tables: list[Coefficients], where: str, control: bool = False) -> Certificate:
    proof = Proof()
    for d in tables:
        certain, parts = bernstein.negative_inside(bernstein.slope(d))
        proof.holds(certain)
        proof.boxes += parts - 1
        proof.width = max(proof.width, *map(width, d))
    return proof.certificate("T12", f"w_N falls strictly: {name}", f"every p in (0, 1); {where}", control)


def _f_grpo_falls(size: int, low: str) -> Certificate:
    """On boxes of gamma: every Bernstein coefficient is below the one before it."""
    proof = Proof()

    def least_drop(box: Sequence[arb]) -> Number:
        drops = [arb(before) - arb(after) for before, after in pairwise(bernstein.f_grpo(size, box[0]))]
        return reduce(lambda one, other: one.min(other), drops)

    proof.everywhere(least_drop, ((rational(low), fmpq(1)),))
    return proof.certificate("T12", f"w_{size} falls strictly: F-GRPO", f"every p in (0, 1), every gamma in [{low}, 1]")


def _f_grpo_rises(size: int, low: str) -> Certificate:
    """Below the threshold: two successes p < p' with w(p) < w(p')."""
    gamma = rational(low) - fmpq(1, 100)
    d, proof = bernstein.f_grpo(size, gamma), Proof()
    proof.positive(bernstein.value(d, fmpq(1)) - bernstein.value(d, fmpq(999, 1000)))
    return proof.certificate("T12", f"w_{size} does not fall: F-GRPO", f"gamma = {float(gamma):g}, p = 999/1000 and 1")


def _difference(d: Coefficients) -> Coefficients:
    """R(S1) − R(S2) without DS where S0 has no mass, as Bernstein coefficients in the probability x of S1."""
    return [SHARES[0] * one - SHARES[1] * other for one, other in zip(d, d[::-1])]


def ahead(h: Coefficients, gamma_p: fmpq, x: arb) -> Number:
    """R(S1) − R(S2) with DS, 0 < x < 1."""
    smooth = SHARES[1] * (1 - x).log() - SHARES[0] * x.log() if gamma_p else fmpq(0)
    return bernstein.value(h, x) + gamma_p * smooth


def fall(h: Coefficients, gamma_p: fmpq, x: arb) -> Number:
    """−x (1 − x) d/dx of `ahead`, without the poles at 0 and 1."""
    smooth = SHARES[0] * (1 - x) + SHARES[1] * x
    return gamma_p * smooth - x * (1 - x) * bernstein.value(bernstein.slope(h), x)


def only_maximum(d: Coefficients, gamma_p: fmpq, proof: Proof) -> Number | None:
    """The probability of S1 at the only policy that satisfies the conditions of a maximum of Φ.

    Every step is noted in `proof`. S0 is paid nothing and S1 more than that while it has not all the mass, so S0 has
    none. On the rest h(x) = R(S1) − R(S2) decides: if it is positive throughout, x = 1; if it falls, its zero, or 1
    where h(1) ≥ 0.
    """
    proof.holds(all(one >= 0 for one in d), d[0] > 0)
    h = _difference(d)
    if gamma_p == 0:
        if all(one > 0 for one in h):
            proof.positive(*h)
            return fmpq(1)
        proof.holds(bernstein.negative_inside(bernstein.slope(h))[0])
        if h[-1] > 0:
            return fmpq(1)
    else:
        proof.everywhere(lambda box: fall(h, gamma_p, box[0]), ((fmpq(0), fmpq(1)),))
    edge = fmpq(1, 10**9)
    return root(lambda x: ahead(h, gamma_p, x), edge, 1 - edge)


def _table(name: str, gamma_p: fmpq, stated: tuple[str, ...], control: bool = False) -> Certificate:
    proof = Proof()
    x = only_maximum(METHODS[name](), gamma_p, proof)
    proof.holds(x is not None)
    if x is not None:
        C = [*[x] * 3, 1 - x]
        for k, wanted in zip(KS, stated):
            proof.near(pass_at_k(C, k), wanted, "0.0005")
    claim = (
        f"{name}{', DS with gamma_p = 1' if gamma_p else ''}: the one maximum has Pass@1/2/8/64 = {'/'.join(stated)}"
    )
    return proof.certificate("T12", claim, f"uneven model, N = {SIZE}, every base", control)


def _even() -> list[Certificate]:
    """In the even model R(S1) − R(S2) = (w(x) − w(1 − x))/2 where S0 has no mass."""
    rest, single = Proof(), Proof()
    d = radicals(SIZE)
    rest.holds(d == d[::-1])
    falling = bernstein.maxrl(SIZE)
    h = [one - other for one, other in zip(falling, falling[::-1])]
    single.holds(bernstein.negative_inside(bernstein.slope(h))[0], bernstein.value(h, fmpq(1, 2)) == 0)
    return [
        rest.certificate(
            "T12",
            "GRPO: every policy over S1 and S2 is at rest, so that the end depends on the base",
            f"even model, N = {SIZE}; exact",
        ),
        single.certificate(
            "T12", "MaxRL: the one maximum is S1 and S2 with ½ each", f"even model, N = {SIZE}, every base"
        ),
    ]


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    sizes, few = range(3, 65), range(3, 17)
    return [
        _falls("MaxRL", [bernstein.maxrl(n) for n in sizes], "N = 3 … 64; exact"),
        _falls("MaxRL, unbiased", [bernstein.maxrl(n, True) for n in sizes], "N = 3 … 64; exact"),
        _falls("PKPO", [bernstein.pkpo(n, k) for n in few for k in range(2, n + 1)], "N = 3 … 16, k = 2 … N; exact"),
        _falls(
            "Pass@k training",
            [bernstein.passk_training(n, k) for n in few for k in range(2, n)],
            "N = 3 … 16, k = 2 … N − 1",
        ),
        *(_f_grpo_falls(size, low) for size, low in F_GRPO_FROM.items()),
        *(_f_grpo_rises(size, low) for size, low in F_GRPO_FROM.items()),
        *(
            _table(name, gamma_p, stated)
            for gamma_p, column in ((fmpq(0), 0), (fmpq(1), 1))
            for name, stated in ((name, both[column]) for name, both in STATED.items())
        ),
        *_even(),
    ]


def controls() -> list[Certificate]:
    """False claims."""
    return [
        _falls("GRPO", [bernstein.grpo(SIZE)], f"N = {SIZE}", control=True),
        _falls("F-GRPO, gamma = .38", [bernstein.f_grpo(SIZE, fmpq(38, 100))], f"N = {SIZE}", control=True),
        _table("GRPO", fmpq(0), STATED["MaxRL"][0], control=True),
        _table("MaxRL", fmpq(1), ("0.626", "0.812", "0.975", "1.000"), control=True),
    ]
