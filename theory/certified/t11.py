"""T11: the mean step for every policy and every f, closed forms as polynomials, the shape of GRPO's weight."""

from __future__ import annotations

import itertools
from math import comb

from flint import Ordering, fmpq, fmpq_mpoly_ctx, fmpq_poly

from theory.certified import bernstein
from theory.certified.base import Certificate, Number, Proof, rational, width
from theory.certified.bernstein import P, Q

LARGEST = 32
STATED = {  # w_8 at P_STATED, to two decimals
    "GRPO": (lambda: bernstein.grpo(8), ("2.44", "2.18", "1.74", "2.18", "2.44")),
    "MaxRL": (lambda: bernstein.maxrl(8), ("6.79", "5.22", "1.98", "1.11", "1.01")),
    "F-GRPO, gamma .5": (lambda: bernstein.f_grpo(8, fmpq(1, 2)), ("2.27", "1.96", "1.21", "0.92", "0.88")),
    "Pass@2 training": (lambda: bernstein.passk_training(8, 2), ("1.70", "1.48", "0.93", "0.33", "0.04")),
}
P_STATED = ("0.01", "0.1", "0.5", "0.9", "0.99")


def _mean_step(m: int, correct: int, size: int, control: bool = False) -> Certificate:
    """E[step] = w_N(p) pi (1_K − p) as an identity of polynomials in pi_1 … pi_{m−1} and all values of f.

    control: the correct rollout is not counted among its group.
    """
    values = [f"f{r}_{c}" for r in (1, 0) for c in range(size + 1)]
    names = [*(f"pi{y}" for y in range(1, m)), *values]
    gens = fmpq_mpoly_ctx.get(names, Ordering.degrevlex).gens()
    pi = [*gens[: m - 1], 1 - sum(gens[: m - 1])]
    right, wrong = gens[m - 1 : m + size], gens[m + size :]
    zero = 0 * gens[0]
    step = [zero] * m
    for group in itertools.product(range(m), repeat=size):
        c = sum(y < correct for y in group)
        chance = zero + 1
        for y in group:
            chance *= pi[y]
        given = [right[c] if y < correct else wrong[c] for y in group]
        for y in range(m):
            pull = zero
            for drawn, f in zip(group, given):
                pull += ((1 if drawn == y else 0) - pi[y]) * f
            step[y] += chance * pull * fmpq(1, size)
    p = sum(pi[:correct])
    weight = zero
    for b in range(size):
        own = 0 if control else 1
        weight += comb(size - 1, b) * p**b * (1 - p) ** (size - 1 - b) * (right[b + own] - wrong[b])
    proof = Proof()
    proof.holds(*(step[y] - weight * pi[y] * ((1 if y < correct else 0) - p) == 0 for y in range(m)))
    claim = "E[step] = w_N(p) grad p, an identity of polynomials" + (", without counting itself" if control else "")
    where = f"every policy over {m} trajectories, {correct} correct, every f(r, c), N = {size}"
    return proof.certificate("T11", claim, where, control)


def _closed_forms() -> list[Certificate]:
    found = []
    one = fmpq_poly([1])
    for name, options, pairs in (
        ("Dr. GRPO: 1 − 1/N", "", lambda n: [(bernstein.dr_grpo(n), one * fmpq(n - 1, n))]),
        (
            "REINFORCE: lambda⁺ + lambda⁻",
            ", every lambda (both sides are linear in them)",
            lambda n: [(bernstein.reinforce(n, fmpq(a), fmpq(1 - a)), one) for a in (0, 1)],
        ),
        ("MaxRL: (1 − (1−p)^N)/p − (1−p)^(N−1)", "", lambda n: [(bernstein.maxrl(n), _geometric(n) - Q ** (n - 1))]),
        ("MaxRL, unbiased: (1 − (1−p)^N)/p", "", lambda n: [(bernstein.maxrl(n, True), _geometric(n))]),
        (
            "PKPO: k (1−p)^(k−1)",
            ", every k ≤ N",
            lambda n: [(bernstein.pkpo(n, k), k * Q ** (k - 1)) for k in range(1, n + 1)],
        ),
    ):
        proof = Proof()
        for size in range(2, LARGEST + 1):
            proof.holds(*(bernstein.polynomial(d) == wanted for d, wanted in pairs(size)))
        found.append(proof.certificate("T11", f"w_N of {name}", f"every p, N = 2 … {LARGEST}{options}; exact"))
    return found


def _geometric(size: int) -> fmpq_poly:
    """(1 − (1−p)^N)/p, a polynomial: the division leaves no remainder."""
    quotient, rest = divmod(1 - Q**size, P)
    if rest != 0:
        raise ArithmeticError("1 − (1−p)^N is not divisible by p")
    return quotient


def radicals(size: int) -> list[dict[int, fmpq]]:
    """GRPO's d_b as rational numbers times the roots √(N(N−1) c(N−c)): by c(N−c), exact."""
    found: list[dict[int, fmpq]] = []
    for b in range(size):
        terms: dict[int, fmpq] = {}
        for c, top in ((b + 1, size - b - 1), (b, b)):
            if 0 < c < size and top:
                terms[c * (size - c)] = terms.get(c * (size - c), fmpq(0)) + fmpq(top, size * c * (size - c))
        found.append(terms)
    return found


def _symmetric() -> Certificate:
    proof = Proof()
    for size in range(2, LARGEST + 1):
        d = radicals(size)
        proof.holds(d == d[::-1])
    return proof.certificate("T11", "GRPO's w_N is symmetric about ½", f"every p, N = 2 … {LARGEST}; exact")


def _constant() -> Certificate:
    proof = Proof()
    for size in (2, 3):
        d = radicals(size)
        proof.holds(all(one == d[0] for one in d))
    return proof.certificate("T11", "GRPO's w_N is constant for N = 2 and 3", "every p; exact")


def in_square(d: list[Number]) -> list[Number]:
    """A polynomial that is symmetric about ½ as one of u = (2p − 1)²: the coefficients of its powers, lowest first."""
    n = len(d) - 1
    even: list[Number] = [fmpq(0)] * (n // 2 + 1)
    for b, coefficient in enumerate(d):
        # p = (1 + x)/2: the powers of x in (1 + x)^b (1 − x)^(n − b); odd ones cancel by symmetry
        terms = fmpq_poly([1, 1]) ** b * fmpq_poly([1, -1]) ** (n - b)
        for j in range(n // 2 + 1):
            even[j] = even[j] + terms[2 * j] * fmpq(comb(n, b), 2**n) * coefficient
    return even


def _to_bernstein(powers: list[Number]) -> list[Number]:
    n = len(powers) - 1
    found: list[Number] = []
    for i in range(n + 1):
        total: Number = fmpq(0)
        for j in range(i + 1):
            total = total + fmpq(comb(i, j), comb(n, j)) * powers[j]
        found.append(total)
    return found


def least_at_half(d: list[Number]) -> tuple[bool, int]:
    """Whether a weight symmetric about ½ rises with u = (2p − 1)² on (0, 1), and on how many parts that was decided."""
    powers = in_square(d)
    falling = [-(j * one) for j, one in enumerate(powers)][1:]
    return bernstein.negative_inside(_to_bernstein(falling)) if falling else (False, 0)


def _least_at_half(smallest: int, largest: int, control: bool = False) -> Certificate:
    proof = Proof()
    for size in range(smallest, largest + 1):
        d = bernstein.grpo(size)
        rises, parts = least_at_half(d)
        proof.holds(rises)
        proof.boxes += parts - 1
        proof.width = max(proof.width, *map(width, d))
    claim = "GRPO's w_N is least at ½ alone and rises strictly toward both ends"
    return proof.certificate("T11", claim, f"every p in [0, 1], N = {smallest} … {largest}", control)


def _stated(control: bool = False) -> list[Certificate]:
    found = []
    for name, (table, numbers) in STATED.items():
        proof, d = Proof(), table()
        wanted = ("9.99", *numbers[1:]) if control else numbers
        for p, number in zip(P_STATED, wanted):
            proof.near(bernstein.value(d, rational(p)), number, "0.005")
        claim = f"w_8 of {name} = {'/'.join(wanted)}, to two decimals"
        found.append(proof.certificate("T11", claim, f"p = {', '.join(P_STATED)}", control))
    return found


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    return [
        *(_mean_step(m, correct, size) for m, correct, size in ((3, 1, 3), (3, 2, 3), (3, 2, 4), (4, 2, 3))),
        *_closed_forms(),
        _symmetric(),
        _constant(),
        _least_at_half(4, LARGEST),
        *_stated(),
    ]


def controls() -> list[Certificate]:
    """False claims."""
    proof = Proof()
    for size in (4, 8):  # MaxRL's weight is not symmetric, let alone least at ½
        d = bernstein.maxrl(size)
        proof.holds(d == d[::-1])
    return [
        _mean_step(3, 2, 3, control=True),
        proof.certificate("T11", "MaxRL's w_N is symmetric about ½", "N = 4, 8; exact", control=True),
        _least_at_half(3, 3, control=True),  # constant
        _stated(control=True)[1],
    ]
