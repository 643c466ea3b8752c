"""Linear equations: one answer and few routes to it, the low-multiplicity counterpart of Countdown.

A completion is a route, equations separated by `;`, and the answer in a box, graded as any mathematics is: by the
answer alone. Whether the bracket is opened, what is moved first and when to divide is the solver's choice, so most
equations have several routes; distinct correct routes are counted apart from Pass@k. Levels stand as benchmarks:

1   a x + b = c             2   a ( x + b ) = c
3   a x + b = c x + d       4   a ( x + b ) + c = d x + e
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from rl.tasks._linear_routes import Equation, canonical, collected, primitive, routes
from rl.tasks._splits import cut, deal
from rl.tasks.base import FromScratch, GradeResult, Task, check_sizes
from rl.tasks.math_grading import shared

_FRUITLESS = 10_000
_DEAL = 0xDEA1  # a random stream of its own, apart from the one that draws
OTHER = "other"
"""The form of right answers whose steps are no valid route."""


@dataclass(frozen=True)
class LinearConfig:
    """Which equations there are, and how they are split. Problems are drawn from the levels in turn."""

    levels: int
    """1 to 4: the levels 1 … levels."""
    max_coefficient: int
    """Coefficients are drawn from 2 … max_coefficient."""
    max_constant: int
    """Constants are drawn from −max_constant … max_constant without 0."""
    max_answer: int
    """Answers are drawn from 1 … max_answer."""
    problems: int
    """Distinct problems that are drawn; what validation and held-out leave is for training."""
    validation: int
    heldout: int
    seed: int
    name: str = "linear"
    split: Literal["classes", "drawn"] = "classes"
    """`classes`: no two splits hold equations that are the same in another guise. `drawn`: the first that were drawn
    are validation and held-out, and only the very same equation is kept apart."""

    def __post_init__(self) -> None:
        if self.name != "linear":
            raise ValueError(f"name={self.name!r}: this task is called linear")
        if self.split not in ("classes", "drawn"):
            raise ValueError(f"split={self.split!r}: classes or drawn")
        if not 1 <= self.levels <= 4:
            raise ValueError(f"levels={self.levels}: between 1 and 4")
        for field, least in (("max_coefficient", 3), ("max_constant", 1), ("max_answer", 1)):
            if not least <= getattr(self, field) <= 99:
                raise ValueError(f"{field}={getattr(self, field)}: between {least} and 99")
        check_sizes(self)


@dataclass(frozen=True)
class Problem:
    id: str
    """Unique among all problems: the level and the equation, `level1/3x+4=10`."""
    prompt: str
    equation: Equation
    answer: int
    benchmark: str
    """`level1` …"""


def problem(level: int, equation: Equation) -> Problem:
    """The problem of solving `equation`. Raises ValueError if its solution is no whole number."""
    x = equation.m * equation.p - equation.s
    one = equation.t - equation.r - equation.m * equation.q
    if x == 0 or one % x:
        raise ValueError(f"equation={equation}: has no whole solution")
    text = str(equation)
    return Problem(f"level{level}/{text.replace(' ', '')}", f"{text} :", equation, one // x, f"level{level}")


def _drawn(level: int, config: LinearConfig, rng: np.random.Generator) -> Problem:
    coefficients = rng.choice(np.arange(2, config.max_coefficient + 1), 2, replace=False)
    a, c = (int(number) for number in coefficients)
    b, r = (int(number) for number in rng.integers(1, config.max_constant + 1, 2) * rng.choice([-1, 1], 2))
    x = int(rng.integers(1, config.max_answer + 1))
    make: dict[int, Callable[[], Equation]] = {
        1: lambda: Equation(a, b, 0, a * x + b),
        2: lambda: Equation(1, b, 0, a * (x + b), m=a),
        3: lambda: Equation(a, b, c, (a - c) * x + b),
        4: lambda: Equation(1, b, c, a * (x + b) + r - c * x, m=a, r=r),
    }
    return problem(level, make[level]())


@cache
def _problems(config: LinearConfig) -> tuple[Problem, ...]:
    rng = np.random.default_rng(config.seed)
    found: dict[str, Problem] = {}
    fruitless = 0
    while len(found) < config.problems:
        one = _drawn(len(found) % config.levels + 1, config, rng)
        fruitless = fruitless + 1 if one.id in found else 0
        found.setdefault(one.id, one)
        if fruitless == _FRUITLESS:
            raise ValueError(
                f"problems={config.problems}: no further {one.benchmark} found after {len(found)} with these numbers"
            )
    return tuple(found.values())


def canonical_problem(problem: Problem) -> tuple[str, ...]:
    """Canonical forms of a problem; two problems are the same iff they share one.

    1. The collected equation A x = B, A > 0: the same for equations that differ by terms added to both sides, by
       brackets opened, sides exchanged or the sign. It names the problem's class.
    2. The equation without brackets, divided by the greatest common divisor of its numbers: the same for equations
       that differ by a factor, too.
    3. Its routes: a right answer to one equation is then a right answer to the other.

    The collected equation is not divided, so a factor and added terms together make another problem. Otherwise only
    the answer would be left: all equations with one answer would be the same, and a held-out answer could not occur in
    training.
    """
    return (f"collected {collected(problem.equation)}", f"divided {primitive(problem.equation)}", *solutions(problem))


@cache
def _dealt(config: LinearConfig) -> dict[str, list[Problem]]:
    found = _problems(config)
    features = [(one.benchmark, one.answer, collected(one.equation).p) for one in found]
    rng = np.random.default_rng([config.seed, _DEAL])
    forms = [canonical_problem(one) for one in found]
    dealt = deal(forms, features, config.validation, config.heldout, rng)
    return {split: [found[index] for index in indices] for split, indices in dealt.items()}


def splits(config: LinearConfig) -> dict[str, list[Problem]]:
    """`train`, `validation` and `heldout`, disjoint.

    With `classes` no two hold the same problem (`canonical_problem`), and they are alike in level, answer and collected
    coefficient; the problems that are the same as one held out are in no split, so that training is smaller than what
    validation and held-out leave. Raises ValueError if there are too few classes. With `drawn`, validation and
    held-out do not depend on `config.problems`.
    """
    if config.split == "classes":
        return {split: list(problems) for split, problems in _dealt(config).items()}
    return cut(_problems(config), config.validation, config.heldout)


def solutions(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Every route without idle steps: canonical form → its one string, in a fixed order.

    What is not listed, though `verify` takes it: the same with terms or sides in another order, idle steps, and the
    right answer without a valid route.
    """
    found: dict[str, tuple[str, ...]] = {}
    for route in routes(problem.equation):
        steps = " ; ".join(map(str, route))
        name = canonical(steps, problem.equation, problem.answer)
        assert name is not None
        found[name] = (f"{steps} ; \\boxed {{ {problem.answer} }}",)
    return found


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether the boxed answer is the solution; of a right one the canonical form is its route's, or `other`."""
    [grade] = shared().grade([((str(problem.answer),), completion)])
    if not grade.correct:
        return GradeResult(grade.correct, None, grade.reason)
    steps, _, _ = completion.rpartition("\\boxed")
    return GradeResult(
        True, canonical(steps.rstrip().removesuffix(";"), problem.equation, problem.answer) or OTHER, grade.reason
    )


def vocabulary(config: LinearConfig) -> list[str]:
    """Every symbol that a prompt or a solution can hold, each once."""
    largest = config.max_coefficient * (2 * config.max_answer + config.max_constant) + 2 * config.max_constant
    return [*"+-=():;{}x", "\\boxed", *map(str, range(largest + 1))]


def effort(solution: str, weights: Mapping[str, float]) -> float:
    """How much the supervised stage shuns a way of solving: `step` for each step, `x` for each place where x stands.

    This is what makes the base prefer some routes to others; the scale is arbitrary and multiplied by `skew`.
    """
    return weights["step"] * solution.count(";") + weights["x"] * solution.replace("\\boxed", "").count("x")


TASK = Task(
    config=LinearConfig,
    splits=splits,
    canonical_problem=canonical_problem,
    verify=verify,
    solutions=solutions,
    from_scratch=FromScratch(vocabulary, effort, ("step", "x")),
)
