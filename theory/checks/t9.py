"""T9, Pass@k: limits of the strategies model against an optimizer, integration and enumeration."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import minimize
from scipy.special import xlogy

from theory import policies, strategies
from theory.checks.base import Control, Outcome, Theorem
from theory.policies import Array, Mask

SHAPES = ((2, 2), (3, 4), (5, 4), (6, 8))  # strategies, prompts
# The table as stated, to three digits: base @1; vanilla at every k; DS @1, @2, @8; the k where the base passes vanilla
STATED = {
    "even": (strategies.EVEN, 0.100, 0.500, (0.500, 0.750, 0.996), 8, 0.532),
    "uneven": (strategies.UNEVEN, 0.125, 0.750, (0.701, 0.790, 0.891), 12, 0.758),
}


def tables(rng: np.random.Generator, n: int, m: int, prompts: int) -> Mask:
    """n random tables (n, X, m): each strategy solves a prompt with its own probability; in a third, S0 nothing."""
    solves = rng.random((n, prompts, m)) < rng.random((n, 1, m))
    solves[rng.random(n) < 1 / 3, :, 0] = False
    return np.asarray(solves)


def strengths(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """gamma_p log-uniform in [.1, 10]; gamma_n zero in half, else gamma_p times a uniform number in [0, 2]."""
    gamma_p = 10 ** rng.uniform(-1, 1, n)
    return gamma_p, gamma_p * rng.uniform(0, 2, n) * rng.integers(2, size=n)


def by_prompt(log_p: Array, solves: Mask, gamma_p: Array, gamma_n: Array) -> Array:
    """The DS reward prompt by prompt, `1 − gamma_p log pi` or `gamma_n log pi`, then the mean over prompts, (n, m)."""
    p, n = gamma_p[:, None, None], gamma_n[:, None, None]
    return np.asarray(np.where(solves, 1 - p * log_p[:, None], n * log_p[:, None]).mean(1))


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    averaged = balance = total = 0.0
    ended = astray = compared = wrong = tied = ahead_of_vanilla = ahead_of_base = 0
    part = -(-n // len(SHAPES))
    for m, prompts in SHAPES:
        solves = tables(rng, part, m, prompts)
        gamma_p, gamma_n = strengths(rng, part)
        log_p0 = np.log(rng.dirichlet(np.ones(m), part))
        found = strategies.reward(log_p0, strategies.accuracy(solves), gamma_p, gamma_n)
        wanted = by_prompt(log_p0, solves, gamma_p, gamma_n)
        averaged = max(averaged, float(np.max(np.abs(found - wanted) / (1 + np.abs(wanted)))))

        share = solves.mean(1)
        smoothed = gamma_p[:, None] * share > gamma_n[:, None] * (1 - share) * (1 + 1e-9)
        some = smoothed.any(-1)
        on, share = smoothed[some], share[some]
        end = strategies.limit(share, gamma_p[some], gamma_n[some])
        r = by_prompt(np.where(on, end, 0.0), solves[some], gamma_p[some], gamma_n[some])
        top, bottom = np.where(on, r, -np.inf).max(-1), np.where(on, r, np.inf).min(-1)
        balance = max(balance, float(np.max((top - bottom) / (1 + np.abs(top)))))
        total = max(total, float(np.abs(np.exp(end).sum(-1) - 1).max()))
        # all others are gone, and are worth less than what is left at any probability, since R ≤ a there
        astray += int(np.sum(~on & ((share >= bottom[:, None]) | np.isfinite(end))))
        ended += int(some.sum())

        # a quarter has ties among the likeliest, another strategies that are all as accurate; some solve nothing at all
        log_p0 = log_p0.copy()
        log_p0[: part // 4, 1:] = log_p0[: part // 4, 1:2]
        log_p0 -= np.logaddexp.reduce(log_p0, axis=-1, keepdims=True)
        solves[part // 4 : part // 2] = _equal(rng, part // 2 - part // 4, m, prompts)
        solvable = solves.any((1, 2))
        solves, log_p0, strength = solves[solvable], log_p0[solvable], gamma_p[solvable]
        a = strategies.accuracy(solves)
        ds = strategies.success(strategies.limit(a, strength), solves)
        vanilla = strategies.success(strategies.vanilla_limit(log_p0, a), solves)
        order = strategies.order_at_large_k(ds, vanilla)
        # DS keeps every prompt that some strategy solves; vanilla only those of the strategies that it ends on
        forgets = (solves.any(-1) & (vanilla == 0)).any(-1)
        stated = strategies.one_winner(log_p0, a)
        wrong += int(np.sum(((order == 1) != forgets) & stated))
        tied += int(np.sum((order == 1) & ~forgets & ~stated))
        ahead_of_vanilla += int(np.sum((order > 0) & stated))
        base = strategies.success(log_p0, solves)
        ahead_of_base += int(np.sum((strategies.order_at_large_k(ds, base) > 0) & stated))
        compared += int(stated.sum())
    few = max(1, min(n // 300, 300))
    detail = f"DS ahead at large k of vanilla in {ahead_of_vanilla / compared:.2f}, of base in "
    return [
        Outcome("R(y) = mean over prompts of the DS reward", n, averaged, 1e-12, "relative"),
        Outcome("limit: smoothed strategies are worth the same", ended, balance, 1e-9, "relative"),
        Outcome("limit: probabilities sum to one", ended, total, 1e-12),
        Outcome("limit: all others are gone and worth less", ended, astray, 0, "violations"),
        Outcome(
            "DS (gamma_n = 0) passes vanilla at large k iff vanilla forgets a prompt",
            compared,
            wrong,
            0,
            f"violations, vanilla with one winner; {detail}{ahead_of_base / compared:.2f}",
        ),
        _ties(tied),
        _pass_at_k(rng, few),
        _large_k(rng, min(n, 2000)),
        _maximizer(rng, few),
        *_integrated(rng, min(n, 16)),
        *_stated(),
    ]


def _equal(rng: np.random.Generator, n: int, m: int, prompts: int) -> Mask:
    """n tables (n, X, m) in which every strategy solves as many prompts as the others, at least one."""
    count = rng.integers(1, prompts + 1, (n, 1, 1))
    return np.asarray(rng.random((n, prompts, m)).argsort(axis=1).argsort(axis=1) < count)


def _ties(seen: int) -> Outcome:
    """Without its condition the statement is false: two strategies as accurate, and two of three that tie."""
    wrong = 0
    for pi0, solves, ends in (
        ((0.75, 0.25), ((1, 0), (0, 1)), (0.75, 0.25)),
        ((0.4, 0.4, 0.2), ((1, 0, 1), (1, 1, 0), (0, 1, 1), (1, 1, 0)), (0.5, 1.0, 0.5, 1.0)),
    ):
        log_p0, table = policies.log_base(pi0), strategies.check_solves(solves)
        a = strategies.accuracy(table)
        vanilla = strategies.success(strategies.vanilla_limit(log_p0, a), table)
        ds = strategies.success(strategies.limit(a, 1.0), table)
        wrong += int(not np.allclose(vanilla, ends)) + int(strategies.order_at_large_k(ds, vanilla) != 1)
        wrong += int(strategies.one_winner(log_p0, a))
    return Outcome(
        "with ties DS may pass although nothing is forgotten", 2, wrong, 0, f"{seen} more among the instances"
    )


def _pass_at_k(rng: np.random.Generator, n: int) -> Outcome:
    """Every sequence of k samples, enumerated."""
    error = 0.0
    for _ in range(n):
        m, k = int(rng.integers(2, 5)), int(rng.integers(1, 5))
        solves = tables(rng, 1, m, 3)[0]
        p = rng.dirichlet(np.ones(m))
        drawn = np.array(list(itertools.product(range(m), repeat=k)))
        wanted = p[drawn].prod(1) @ solves[:, drawn].any(-1).mean(0)
        found = strategies.pass_at_k(strategies.success(np.log(p), solves), k)
        error = max(error, abs(float(found) - float(wanted)))
    return Outcome("Pass@k = all m^k sequences of samples", n, error, 1e-12, "m, k ≤ 4")


def _large_k(rng: np.random.Generator, n: int) -> Outcome:
    """Against Pass@500 in whole numbers, without rounding; successes are twentieths, so that many prompts tie."""
    one, two = rng.integers(1, 20, (2, n, 4))
    wanted = []
    for first, second in zip(one.tolist(), two.tolist()):
        missed = [sum((20 - c) ** 500 for c in row) for row in (first, second)]
        wanted.append((missed[0] < missed[1]) - (missed[0] > missed[1]))
    wrong = int(np.sum(strategies.order_at_large_k(one / 20, two / 20) != np.array(wanted)))
    return Outcome("order at large k = Pass@500 in whole numbers", n, wrong, 0, "violations")


def _maximizer(rng: np.random.Generator, n: int) -> Outcome:
    """gamma_n = 0: the limit maximizes sum a p − w (p log p − p), which is concave and whose gradient is R."""
    error = 0.0
    for _ in range(n):
        solves = tables(rng, 1, 4, 5)[0]
        gamma_p = float(rng.uniform(0.3, 3))
        if not solves.any():
            continue
        a = solves.mean(0)

        def loss(p: Array, a: Array = a, gamma_p: float = gamma_p) -> float:
            return -float(np.sum(a * p - gamma_p * a * (xlogy(p, p) - p)))

        done = minimize(
            loss,
            np.full(4, 0.25),
            jac=lambda p, a=a, gamma_p=gamma_p: gamma_p * a * np.log(p) - a,
            method="SLSQP",
            bounds=[(1e-12, 1)] * 4,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": np.ones_like},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        # by value: the optimizer must not find anything better, nor stop far below
        error = max(error, abs(loss(np.exp(strategies.limit(a, gamma_p))) - float(done.fun)))
    return Outcome("limit = maximizer of the flow's potential", n, error, 1e-6, "SLSQP, by value; gamma_n = 0")


def _integrated(rng: np.random.Generator, n: int) -> list[Outcome]:
    """The flow itself, to time 1e9, from random bases."""
    smoothed, vanilla, clear = 0.0, 0.0, 0
    for _ in range(n):
        solves = tables(rng, 1, 3, 5)[0]
        a = solves.mean(0)
        log_p0 = np.log(0.9 * rng.dirichlet(np.ones(3)) + 0.1 / 3)
        gamma_p = float(rng.uniform(0.4, 2))
        gamma_n = float(rng.choice([0.0, 0.2]) * gamma_p)
        if (gamma_p * a > gamma_n * (1 - a) + 0.05).any() and not (
            np.abs(gamma_p * a - gamma_n * (1 - a)) < 1e-9
        ).all():
            end = strategies.flow(log_p0, a, gamma_p, gamma_n, [1e9])[-1]
            off = np.abs(np.exp(end) - np.exp(strategies.limit(a, gamma_p, gamma_n)))
            smoothed = max(smoothed, float(off.max()))
        first = np.sort(log_p0[a == a.max()])
        if len(first) > 1 and first[-1] - first[-2] < 0.02:  # so near a tie the flow needs longer than 1e9
            continue
        clear += 1
        end = strategies.flow(log_p0, a, 0.0, 0.0, [1e9])[-1]
        vanilla = max(vanilla, float(np.abs(np.exp(end) - np.exp(strategies.vanilla_limit(log_p0, a))).max()))
    return [
        Outcome(
            "DS flow at time 1e9 = limit", n, smoothed, 1e-3, "probabilities; the last terms fall like a power of t"
        ),
        Outcome("vanilla flow at time 1e9 = its limit", clear, vanilla, 1e-2, "probabilities"),
    ]


def _stated() -> list[Outcome]:
    """The two models of the table, and where they say that DS does not help."""
    digits, facts = 0.0, []
    k = np.array([1, 2, 8])
    for model, base_1, vanilla_all, ds_at, passes, there in STATED.values():
        a = strategies.accuracy(model.table)
        base = strategies.success(model.log_p0, model.table)
        vanilla = strategies.success(strategies.vanilla_limit(model.log_p0, a), model.table)
        ds = strategies.success(strategies.limit(a, model.gamma_p), model.table)
        off = [
            strategies.pass_at_k(base, 1) - base_1,
            *(strategies.pass_at_k(vanilla, k) - vanilla_all),
            *(strategies.pass_at_k(ds, k) - ds_at),
            strategies.pass_at_k(base, passes) - there,
        ]
        digits = max(digits, float(np.abs(off).max()))
        facts.append(bool(vanilla[0] == 1 and vanilla[3] == 0))  # it forgets S2's prompts
        facts += [strategies.first_k_ahead(base, vanilla) == passes, strategies.order_at_large_k(ds, base) == 1]
    uneven = strategies.UNEVEN
    a, base = strategies.accuracy(uneven.table), strategies.success(uneven.log_p0, uneven.table)
    for gamma_p, gamma_n in ((0.5, 0.0), (1.0, 0.2)):
        ds = strategies.success(strategies.limit(a, gamma_p, gamma_n), uneven.table)
        facts += [ds[3] < base[3], strategies.order_at_large_k(ds, base) == -1]
    even = strategies.EVEN
    end = strategies.flow(even.log_p0, strategies.accuracy(even.table), 0.5, 0.6, [1e8])[-1]
    facts.append(np.exp(end[1]) > 0.999)
    return [
        Outcome("both models of the table", 2, digits, 5.001e-4, "as stated, to three digits"),
        Outcome("where DS passes base at large k, where not, and where it collapses", 3, facts.count(False), 0),
    ]


THEOREM = Theorem(
    id="T9",
    title="What it does to Pass@k",
    statement=(
        "One policy over strategies shared by prompts, R(y) = a − (gamma_p a − gamma_n (1−a)) log pi(y): DS smooths "
        "strategies with gamma_p a > gamma_n (1−a), which end with equal rewards and all the mass, and sharpens the "
        "others. With gamma_n = 0, where vanilla ends on one strategy, its Pass@k passes vanilla's at large k iff "
        "vanilla forgets a solvable prompt. Against the base it can lose; gamma_n is dangerous where accuracy is low."
    ),
    tag="new",
    oracle="rewards prompt by prompt; a general optimizer; integration of the flow; all m^k sequences of samples",
    instances=(
        "(strategies, prompts) in {(2,2), (3,4), (5,4), (6,8)}; each strategy solves a prompt with its own uniform "
        "probability, in a third S0 nothing; Dirichlet(1) bases, at large k a quarter with ties and a quarter with "
        "equal accuracies; gamma_p log-uniform in [.1, 10]; gamma_n = 0 in half, else gamma_p times uniform in [0, 2]"
    ),
    check=check,
    controls=(
        Control(
            "the comparison with vanilla taken to need no condition",
            "theory.strategies:one_winner",
            lambda real: lambda log_p0, a: np.ones_like(real(log_p0, a)),
        ),
        Control(
            "gamma_n smooths instead of sharpening",
            "theory.strategies:weights",
            lambda real: lambda a, gamma_p, gamma_n=0.0: 2 * real(a, gamma_p, 0.0) - real(a, gamma_p, gamma_n),
        ),
        Control(
            "smooths every strategy alike, whatever its accuracy",
            "theory.strategies:weights",
            lambda real: lambda a, gamma_p, gamma_n=0.0: real(np.ones_like(a), gamma_p, gamma_n),
        ),
        Control(
            "one sample too many",
            "theory.strategies:pass_at_k",
            lambda real: lambda C, k: real(C, k + 1),
        ),
        Control(
            "vanilla ends on the least likely of the best",
            "theory.strategies:vanilla_limit",
            lambda real: lambda log_p0, a: real(-log_p0, a),
        ),
        Control(
            "large k ruled by the easiest prompt",
            "theory.strategies:order_at_large_k",
            lambda real: lambda first, second: -real(-first, -second),
        ),
    ),
    module="theory/strategies.py",
    notebook="notebooks/T9_pass_at_k.ipynb",
    test="tests/theory/test_t9_pass_at_k.py",
    figure=None,
)
