"""T12, the implicit utility: gradient, concavity, unique ends, what is forgotten, and the table of limits."""

from __future__ import annotations

import numpy as np
from scipy.integrate import quad
from scipy.optimize import minimize

from theory import strategies, utility, weights
from theory.checks.base import Control, Outcome, Theorem
from theory.policies import Array, Mask
from theory.weights import Advantages

SHAPES = ((2, 2), (3, 4), (5, 4), (6, 8))  # strategies, prompts
# Limits at N = 8 in the uneven model of T9, Pass@1/2/8/64: without DS and with gamma_p = 1, to three digits
STATED = {
    "dr-grpo": ((0.750, 0.750, 0.750, 0.750), (0.691, 0.795, 0.909, 1.000)),
    "grpo": ((0.750, 0.750, 0.750, 0.750), (0.746, 0.754, 0.764, 0.843)),
    "f-grpo": ((0.750, 0.750, 0.750, 0.750), (0.661, 0.807, 0.948, 1.000)),
    "passk-training": ((0.674, 0.803, 0.933, 1.000), (0.631, 0.812, 0.971, 1.000)),
    "maxrl": ((0.643, 0.811, 0.963, 1.000), (0.625, 0.812, 0.975, 1.000)),
}
# The least gamma, to two digits, at which F-GRPO's weight is certified to fall; below it it rises somewhere
F_GRPO_GAMMA = {4: 0.21, 8: 0.39, 16: 0.46, 64: 0.49}


def methods(size: int = 8) -> dict[str, Advantages]:
    """The methods of the table at this group size."""
    return {
        "dr-grpo": weights.dr_grpo(size),
        "grpo": weights.grpo(size),
        "f-grpo": weights.f_grpo(size),
        "passk-training": weights.passk_training(size, 2),
        "maxrl": weights.maxrl(size),
    }


def falling(size: int) -> dict[str, Advantages]:
    """Methods whose weight falls at this size (at least 4)."""
    return {
        "maxrl": weights.maxrl(size),
        "maxrl, unbiased": weights.maxrl(size, unbiased=True),
        "f-grpo": weights.f_grpo(size, 0.5),
        "passk-training": weights.passk_training(size, 2),
        "pkpo": weights.pkpo(size, 2),
    }


def instances(rng: np.random.Generator, n: int, m: int, prompts: int) -> tuple[Array, Mask]:
    """n Dirichlet(1) policies (n, m) and tables (n, X, m): each strategy solves a prompt with its own probability."""
    solves = rng.random((n, prompts, m)) < rng.random((n, 1, m))
    return np.log(rng.dirichlet(np.ones(m), n)), np.asarray(solves)


def check(rng: np.random.Generator, n: int) -> list[Outcome]:
    """See `THEOREM`."""
    return [
        _gradient(rng, n),
        _integral(rng),
        *_concave(rng, n),
        _condition(),
        _optimizer(rng, max(2, min(n // 500, 10))),
        _unique(rng, max(1, min(n // 1000, 3))),
        _kept(rng, max(8, min(n // 50, 60))),
        *_forgets(),
        _stated(),
    ]


def _limit(solves: Mask, advantages: Advantages, gamma_p: float = 0.0, tolerance: float = 1e-6) -> Array:
    """The limit; where there is none, or it is not reached, NaN, with which no fact holds."""
    try:
        return utility.limit(solves, advantages, gamma_p, tolerance)
    except (ValueError, RuntimeError):
        return np.full((*solves.shape[:-2], solves.shape[-1]), np.nan)


def _apart(ends: Array, solves: Mask) -> float:
    """The largest difference in any prompt's success among end points (starts, m)."""
    return float(np.ptp(strategies.success(ends, solves), axis=0).max())


def _gradient(rng: np.random.Generator, n: int) -> Outcome:
    """pi (R − E R) against the mean over prompts of T11's step for each prompt by itself."""
    error, part = 0.0, -(-n // len(SHAPES))
    for m, prompts in SHAPES:
        log_p, solves = instances(rng, part, m, prompts)
        for advantages in (weights.grpo(6), weights.maxrl(6), weights.passk_training(6, 3)):
            r = utility.reward(log_p, solves, advantages)
            p = np.exp(log_p)
            found = p * (r - (p * r).sum(axis=-1, keepdims=True))
            some = np.asarray(solves.any(-1) & ~solves.all(-1))[..., None]  # T11 wants 0 < p < 1; else its step is 0
            mixed = np.where(some, solves, np.arange(m) < 1)
            steps = weights.mean_step(advantages, log_p[:, None, :], mixed)
            wanted = np.where(some, steps, 0.0).mean(axis=1)
            error = max(error, float(np.abs(found - wanted).max()))
    return Outcome("flow of Φ = mean over prompts of T11's step", n, error, 1e-13)


def _integral(rng: np.random.Generator) -> Outcome:
    """F against quadrature of w, T11's sum over groups."""
    error = 0.0
    for size in (2, 5, 8):
        for advantages in (weights.grpo(size), weights.maxrl(size), weights.f_grpo(size), weights.pkpo(size, 2)):
            for p in rng.uniform(0.05, 0.95, 3):
                wanted = quad(lambda x, a=advantages: float(weights.weight(a, x)), 0, p, epsabs=1e-12)[0]
                error = max(error, abs(float(utility.utility(advantages, p)) - wanted))
    return Outcome("F = integral of w_N", 36, error, 1e-9, "quadrature")


def _concave(rng: np.random.Generator, n: int) -> list[Outcome]:
    """Φ at the middle of a segment of policies; GRPO's is concave below ½ and convex above in one prompt."""
    worst, part = 0.0, -(-n // len(SHAPES))
    for m, prompts in SHAPES:
        one, solves = instances(rng, part, m, prompts)
        two = np.log(rng.dirichlet(np.ones(m), part))
        middle = np.logaddexp(one, two) - np.log(2)
        for advantages in falling(8).values():
            values = [utility.potential(log_p, solves, advantages) for log_p in (one, two, middle)]
            worst = max(worst, float(np.max((values[0] + values[1]) / 2 - values[2])))
    p = np.linspace(0, 1, 201)
    bend = np.diff(utility.utility(weights.grpo(8), p), 2)
    wrong = int((bend[p[1:-1] < 0.495] > 0).sum() + (bend[p[1:-1] > 0.505] < 0).sum())
    return [
        Outcome("Φ is concave where w_N falls", n, worst, 1e-12, "five methods, N = 8, middles of segments"),
        Outcome("GRPO's F: concave below ½, convex above", 199, wrong, 0, "violations"),
    ]


def _condition() -> Outcome:
    """Which methods' weights fall: certified, and where not, a rise is shown."""
    p = np.linspace(0, 1, 4001)

    def rises(advantages: Advantages) -> bool:
        w = utility.weight(advantages, p)
        return bool((np.diff(w) > 1e-12 * np.abs(w).max()).any())

    wrong = 0
    for size in (4, 8, 16, 64):
        for advantages in falling(size).values():
            wrong += int(not utility.is_decreasing(advantages) or rises(advantages))
        for advantages in (weights.grpo(size), weights.f_grpo(size, F_GRPO_GAMMA[size] - 0.01)):
            wrong += int(utility.is_decreasing(advantages) or not rises(advantages))
        wrong += int(not utility.is_decreasing(weights.f_grpo(size, F_GRPO_GAMMA[size]), 4000))
        wrong += int(utility.is_decreasing(weights.dr_grpo(size)))
        for k in range(2, size):
            wrong += int(not utility.is_decreasing(weights.passk_training(size, k)))
    return Outcome("w_N falls: MaxRL, PKPO, Pass@k training, F-GRPO from some gamma", 4, wrong, 0, "violations")


def _optimizer(rng: np.random.Generator, n: int) -> Outcome:
    """The limit against a general optimizer, by value."""
    error = 0.0
    for _ in range(n):
        log_p, solves = (one[0] for one in instances(rng, 1, 4, 5))
        if not solves.any():
            continue
        for advantages, gamma_p in ((weights.maxrl(8), 0.0), (weights.f_grpo(8), 0.5), (weights.pkpo(8, 2), 0.0)):

            def loss(p: Array, a: Advantages = advantages, g: float = gamma_p, table: Mask = solves) -> float:
                return -float(utility.potential(np.log(np.maximum(p, 1e-300)), table, a, g))

            done = minimize(
                loss,
                np.exp(log_p),
                method="SLSQP",
                bounds=[(1e-12, 1)] * 4,
                constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
                options={"ftol": 1e-13, "maxiter": 500},
            )
            found = loss(np.exp(_limit(solves, advantages, gamma_p)))
            error = float(np.maximum(error, found - float(done.fun)))
    return Outcome("limit = maximizer of Φ", n, error, 3e-6, "SLSQP, by value")


def _unique(rng: np.random.Generator, n: int) -> Outcome:
    """From three bases to time 1e6: the same success on every prompt, and that of the limit."""
    error = 0.0
    for _ in range(n):
        _, solves = (one[0] for one in instances(rng, 1, 4, 5))
        if not solves.any():
            continue
        bases = np.log(0.9 * rng.dirichlet(np.ones(4), 3) + 0.025)
        for advantages in (weights.maxrl(8), weights.pkpo(8, 2)):
            ends = np.array([utility.flow(base, solves, advantages, [1e8])[-1] for base in bases])
            ends = np.concatenate([ends, _limit(solves, advantages)[None]])
            error = float(np.maximum(error, _apart(ends, solves)))
    return Outcome(
        "every base ends at the same success, that of the limit", 3 * n, error, 5e-3, "integrated to time 1e8"
    )


def _kept(rng: np.random.Generator, n: int) -> Outcome:
    """A strategy is dropped only if the prompts that it would free pay less than what is kept."""
    wrong, part = 0, -(-n // 2)
    for m, prompts in ((3, 4), (5, 4)):
        _, solves = instances(rng, part, m, prompts)
        solves = solves[solves.any((1, 2))]
        for advantages in (weights.maxrl(8), weights.passk_training(8, 2)):
            log_p = _limit(solves, advantages, tolerance=1e-5)
            r = utility.reward(log_p, solves, advantages)
            kept = (np.exp(log_p) * r).sum(axis=-1, keepdims=True)
            # a gap of 1e-5 lets a share of 1e-2 earn 1e-3 too little, and no more
            wrong += int(np.sum(~(r <= kept + 1e-4))) + int(np.sum((np.exp(log_p) > 1e-2) & (r < kept - 1e-3)))
    return Outcome(
        "what is dropped would pay less than what is kept", n, wrong, 0, "violations; by w_N at its own success"
    )


def _forgets() -> list[Outcome]:
    """The uneven model: GRPO's majority passes ½ and the minority's prompt is dropped; MaxRL and Pass@2 keep it.

    And GRPO's end depends on the base: from a base with a majority for S2 it ends on S2.
    """
    model = strategies.UNEVEN
    ends = {name: utility.flow(model.log_p0, model.table, a, [1e9])[-1] for name, a in methods().items()}
    last = {name: float(strategies.success(end, model.table)[3]) for name, end in ends.items()}
    wrong = sum(last[name] > 1e-3 for name in ("grpo", "dr-grpo", "f-grpo"))
    wrong += sum(last[name] < 0.1 for name in ("maxrl", "passk-training"))
    even = strategies.EVEN
    bases = np.log([[0.1, 0.6, 0.3], [0.1, 0.3, 0.6]])
    apart = [
        _apart(np.array([utility.flow(b, even.table, a, [1e9])[-1] for b in bases]), even.table)
        for a in (methods()["grpo"], methods()["maxrl"])
    ]
    return [
        Outcome("uneven model: who forgets the minority's prompt", 5, wrong, 0, "violations"),
        Outcome("GRPO's end depends on the base, MaxRL's does not", 2, int(apart[0] < 0.9) + int(apart[1] > 1e-3), 0),
    ]


def _stated() -> Outcome:
    """The table, by integration to time 1e10 and, where Φ is concave, by the limit too."""
    k, error, model = np.array([1, 2, 8, 64]), 0.0, strategies.UNEVEN
    for name, advantages in methods().items():
        for wanted, gamma_p in zip(STATED[name], (0.0, 1.0)):
            ends = [utility.flow(model.log_p0, model.table, advantages, [1e10], gamma_p)[-1]]
            if utility.is_decreasing(advantages):
                ends.append(_limit(model.table, advantages, gamma_p))
            for end in ends:
                reached = strategies.success(end, model.table)
                found = strategies.pass_at_k(reached, k) if np.isfinite(reached).all() else np.full(4, np.nan)
                error = float(np.maximum(error, np.abs(found - wanted).max()))
    return Outcome("limits of five methods, without DS and with it", 10, error, 5.001e-4, "as stated, to three digits")


THEOREM = Theorem(
    id="T12",
    title="The implicit utility decides what is kept",
    statement=(
        "With strategies shared by prompts the mean flow of a method with weight w_N climbs Φ = mean_x F(p_x), "
        "F' = w_N. Where w_N falls (MaxRL, PKPO, Pass@k training with k < N, F-GRPO from some gamma on) Φ is concave: "
        "every base ends at the same success on each prompt, and a strategy is dropped only if what it would free pays "
        "less than what is kept. GRPO's F is convex above ½: its end depends on the base, and a minority's prompts are "
        "dropped. DS adds a concave term."
    ),
    tag="new",
    oracle="T11's step prompt by prompt; quadrature; a general optimizer; integration of the flows from several bases",
    instances=(
        "(strategies, prompts) in {(2,2), (3,4), (5,4), (6,8)}; Dirichlet(1) policies, each strategy solves a prompt "
        "with its own uniform probability; N = 6 and 8, conditions for N = 4 to 64"
    ),
    check=check,
    controls=(
        Control(
            "GRPO's weight taken to fall",
            "theory.weights:maxrl",
            lambda real: lambda size, unbiased=False: weights.grpo(size),
        ),
        Control(
            "the reward without its weight",
            "theory.utility:weight",
            lambda real: lambda advantages, p: 1.0 + 0 * real(advantages, p),
        ),
        Control(
            "the integral from the other end",
            "theory.utility:utility",
            lambda real: lambda advantages, p: real(advantages, 1 - np.asarray(p)),
        ),
        Control(
            "every weight taken to fall",
            "theory.utility:is_decreasing",
            lambda real: lambda advantages, elevations=64: True,
        ),
    ),
    module="theory/utility.py",
    notebook="notebooks/T12_implicit_utility.ipynb",
    test="tests/theory/test_t12_implicit_utility.py",
    figure="fig_utility",
)
