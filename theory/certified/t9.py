"""T9: both models of the table, the order of Pass@k at large k, and the ties that T9.4 must leave out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from flint import arb, fmpq

from theory import strategies
from theory.certified.base import Certificate, Number, Proof, power, rational, root, width
from theory.strategies import Model

Table = Sequence[Sequence[int]]  # prompts by strategies
LARGEST_K = 4096
ZERO = fmpq(0)
# T9.4 without its condition is false: equal accuracies, and two of three strategies that tie. (base, table, vanilla)
TIES = (
    ("two strategies, as accurate", ("0.75", "0.25"), ((1, 0), (0, 1)), ("0.75", "0.25")),
    ("two of three tie", ("0.4", "0.4", "0.2"), ((1, 0, 1), (1, 1, 0), (0, 1, 1), (1, 1, 0)), ("0.5", "0.5", "0")),
)


def accuracy(solves: Table) -> list[fmpq]:
    """a(y), exact."""
    return [fmpq(sum(column), len(solves)) for column in zip(*solves)]


def success(policy: Sequence[Number], solves: Table) -> list[Number]:
    """C(x) by prompt."""
    return [sum((p for p, one in zip(policy, row) if one), fmpq(0)) for row in solves]


def pass_at_k(C: Sequence[Number], k: int) -> Number:
    """The mean of 1 − (1 − C)^k."""
    return 1 - sum((power(1 - c, k) for c in C), fmpq(0)) / len(C)


def limit(a: Sequence[fmpq], gamma_p: fmpq, gamma_n: fmpq = ZERO) -> list[Number] | None:
    """The end of the DS flow, exp((a − c)/w) on strategies with w > 0, c enclosed by the sign of Σ − 1, which falls.

    None if the signs are not certain or no strategy is smoothed.
    """
    w = [gamma_p * one - gamma_n * (1 - one) for one in a]
    kept = [(one, weight) for one, weight in zip(a, w) if weight > 0]
    if not kept:
        return None
    if len({one for one, _ in kept}) == 1:  # all are worth the same: uniform, exactly
        return [fmpq(1, len(kept)) if weight > 0 else fmpq(0) for weight in w]
    c = root(
        lambda c: sum((((one - c) / weight).exp() for one, weight in kept), arb(0)) - 1,
        min(one for one, _ in kept) - 1,
        max(one for one, _ in kept) + 64 * max(weight for _, weight in kept),
    )
    return None if c is None else [((one - c) / weight).exp() if weight > 0 else fmpq(0) for one, weight in zip(a, w)]


def ahead_from(first: Sequence[Number], second: Sequence[Number]) -> int | None:
    """A k from which on the success vector `first` has the larger Pass@k for certain, at every k; None if none is seen.

    Let h be the chance that `second` misses the hardest prompt. Σ ((1 − C_first)/h)^k falls with k where every ratio is
    below one; once it is below the number of prompts that `second` misses with chance h, it stays there.
    """
    missed = [1 - c for c in second]
    h = missed[0]
    for one in missed[1:]:
        h = one if one > h else h
    if not h > 0:
        return None
    hardest = sum(isinstance(one, fmpq) and one == h for one in missed) if isinstance(h, fmpq) else 1
    ratios = [(1 - c) / h for c in first]
    if not all(ratio < 1 for ratio in ratios):
        return None
    k = 1
    while k <= LARGEST_K:
        if sum((power(ratio, k) for ratio in ratios), fmpq(0)) < hardest:
            return k
        k *= 2
    return None


def _exact(model: Model) -> tuple[list[fmpq], fmpq]:
    return [rational(p) for p in model.pi0], rational(model.gamma_p)


def _base_and_vanilla(name: str, model: Model, base_1: str, all_k: str, passes: int, there: str) -> Certificate:
    """The first k at which the base passes vanilla; vanilla's Pass@k is one number, the base's rises with k."""
    proof, (pi0, _) = Proof(), _exact(model)
    a = accuracy(model.solves)
    base = success(pi0, model.solves)
    winner = max(zip(a, pi0))  # the likeliest of the most accurate
    vanilla = success([fmpq(int(one == winner)) for one in zip(a, pi0)], model.solves)
    proof.near(pass_at_k(base, 1), base_1, "0.0005")
    proof.near(pass_at_k(base, passes), there, "0.0005")
    for k in (1, 2, 8, 64):
        proof.near(pass_at_k(vanilla, k), all_k, "0")
    proof.holds(pass_at_k(base, passes) > pass_at_k(vanilla, passes))
    proof.holds(pass_at_k(base, passes - 1) <= pass_at_k(vanilla, passes - 1))
    return proof.certificate(
        "T9", f"{name} model: base and vanilla as stated; the base passes vanilla first at k = {passes}", "that model"
    )


def _ds(name: str, model: Model, stated: tuple[str, ...], control: bool = False) -> Certificate:
    proof, (_, gamma_p) = Proof(), _exact(model)
    end = limit(accuracy(model.solves), gamma_p)
    proof.holds(end is not None)
    for k, wanted in zip((1, 2, 8), stated):
        proof.near(pass_at_k(success(end or [], model.solves), k), wanted, "0.0005")
    claim = f"{name} model: DS's limit has Pass@1/2/8 = {'/'.join(stated)}, to three digits"
    return proof.certificate("T9", claim, "that model", control)


def _against_base(
    model: Model, gamma_p: str, gamma_n: str, ahead: bool, name: str, control: bool = False
) -> Certificate:
    proof, (pi0, _) = Proof(), _exact(model)
    end = limit(accuracy(model.solves), rational(gamma_p), rational(gamma_n))
    proof.holds(end is not None)
    ds, base = success(end or [], model.solves), success(pi0, model.solves)
    k = ahead_from(ds, base) if ahead else ahead_from(base, ds)
    proof.holds(k is not None)
    proof.width = max(map(width, ds), default=0.0)
    who = "DS ahead of the base" if ahead else "the base ahead of DS"
    claim = f"{name} model, gamma_p = {gamma_p}, gamma_n = {gamma_n}: {who} at every k from some k on"
    return proof.certificate("T9", claim, f"that model; every k ≥ {k}" if k else "that model", control)


def _ties() -> list[Certificate]:
    """Counterexamples to T9.4 without its condition: vanilla forgets nothing, and DS passes it."""
    found = []
    for name, base, solves, end in TIES:
        proof, a = Proof(), accuracy(solves)
        vanilla = success([rational(p) for p in end], solves)
        proof.holds(all(c > 0 for c, row in zip(vanilla, solves) if any(row)))
        ds = success(limit(a, fmpq(1)) or [], solves)
        k = ahead_from(ds, vanilla)
        proof.holds(k is not None)
        where = f"base ({', '.join(base)}), gamma_p = 1; every k ≥ {k}"
        claim = f"T9.4 needs its condition: {name}: vanilla forgets nothing, DS is ahead"
        found.append(proof.certificate("T9", claim, where))
    return found


def _all_tables(most_prompts: int, most_strategies: int) -> Certificate:
    """T9.4 on every table with one most accurate strategy: then vanilla ends on it from every base."""
    proof = Proof()
    for prompts, m in itertools.product(range(1, most_prompts + 1), range(2, most_strategies + 1)):
        for cells in itertools.product((0, 1), repeat=prompts * m):
            solves = [cells[row * m : (row + 1) * m] for row in range(prompts)]
            a = accuracy(solves)
            if a.count(max(a)) > 1:
                continue
            vanilla = success([fmpq(int(one == max(a))) for one in a], solves)
            solvable = [any(row) for row in solves]
            ds = success(limit(a, fmpq(1)) or [], solves)
            # what nobody solves is missed by both; a forgotten prompt is missed by vanilla for ever
            kept = [x for x, some in enumerate(solvable) if some]
            forgets = any(vanilla[x] == 0 for x in kept)
            if forgets:
                k = ahead_from([ds[x] for x in kept], [vanilla[x] for x in kept])
                proof.holds(k is not None)
            else:  # vanilla solves every solvable prompt with chance one: nothing is ahead of it
                proof.holds(all(vanilla[x] == 1 for x in kept))
    return proof.certificate(
        "T9",
        "T9.4: DS (gamma_p = 1) passes vanilla at large k iff vanilla forgets a solvable prompt",
        f"every base; every table of ≤ {most_prompts} prompts, ≤ {most_strategies} strategies with one most accurate",
    )


def certificates() -> list[Certificate]:
    """See the module's docstring."""
    even, uneven = strategies.EVEN, strategies.UNEVEN
    return [
        _base_and_vanilla("even", even, "0.1", "0.5", 8, "0.532"),
        _base_and_vanilla("uneven", uneven, "0.125", "0.75", 12, "0.758"),
        _ds("even", even, ("0.500", "0.750", "0.996")),
        _ds("uneven", uneven, ("0.701", "0.790", "0.891")),
        _against_base(even, "0.5", "0", True, "even"),
        _against_base(uneven, "1", "0", True, "uneven"),
        _against_base(uneven, "0.5", "0", False, "uneven"),
        _against_base(uneven, "1", "0.2", False, "uneven"),
        *_ties(),
        _all_tables(3, 3),
    ]


def controls() -> list[Certificate]:
    """False claims."""
    uneven = strategies.UNEVEN
    return [
        _ds("uneven", uneven, ("0.702", "0.790", "0.891"), control=True),
        _against_base(uneven, "0.5", "0", True, "uneven", control=True),
    ]
