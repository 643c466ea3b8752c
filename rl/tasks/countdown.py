"""Countdown: reach a target with + − × ÷ and brackets, using every given number exactly once (exact rationals).

The rule is that of the public data set Jiayi-Pan/Countdown-Tasks-3to4. Numbers are shown sorted, so a problem is a
multiset of numbers and a target, and the splits are disjoint as such. Every number, operator and bracket is one symbol;
texts separate symbols by blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

import numpy as np

from rl.tasks._countdown_forms import fill, forms, ratio, solvable
from rl.tasks._countdown_parser import Refused, canonical, evaluate, parse, render
from rl.tasks._splits import cut
from rl.tasks.base import FromScratch, GradeResult, Task, check_sizes

_CHUNK = 4096
_FRUITLESS = 100
_SHUFFLE = 0x5F17  # a random stream of its own, apart from the one that draws
WEIGHTS = ("+", "-", "*", "/", "(", "descent")


@dataclass(frozen=True)
class CountdownConfig:
    """Which problems there are, and how they are split."""

    numbers: int
    """How many numbers a problem has, 2 to 5."""
    max_number: int
    """Numbers are drawn from 1 … max_number, each alike, with repetition."""
    max_target: int
    """Targets are drawn from 1 … max_target; unsolvable pairs are dropped."""
    problems: int
    """Distinct problems in all; what validation and held-out leave is for training."""
    validation: int
    heldout: int
    seed: int
    name: str = "countdown"
    split: Literal["shuffled", "drawn"] = "shuffled"
    """`shuffled`: every split is a random part of all problems. `drawn`: the first that were drawn are validation and
    held-out; where the problems are nearly all that exist, these hold more likely numbers than those for training."""

    def __post_init__(self) -> None:
        if self.name != "countdown":
            raise ValueError(f"name={self.name!r}: this task is called countdown")
        if self.split not in ("shuffled", "drawn"):
            raise ValueError(f"split={self.split!r}: shuffled or drawn")
        if not 2 <= self.numbers <= 5:
            raise ValueError(f"numbers={self.numbers}: between 2 and 5")
        for field in ("max_number", "max_target"):
            if not 1 <= getattr(self, field) <= 999:
                raise ValueError(f"{field}={getattr(self, field)}: between 1 and 999")
        check_sizes(self)


@dataclass(frozen=True)
class Problem:
    id: str
    """Unique among all problems: the numbers and the target, `3-7-12=33`."""
    prompt: str
    numbers: tuple[int, ...]
    """In ascending order."""
    target: int


def problem(numbers: tuple[int, ...], target: int) -> Problem:
    """The problem of making `target` from `numbers` (in any order)."""
    ordered = tuple(sorted(numbers))
    name = "-".join(map(str, ordered)) + f"={target}"
    return Problem(name, " ".join(map(str, ordered)) + f" : {target}", ordered, target)


def _draw(config: CountdownConfig) -> Iterator[Problem]:
    """Distinct solvable problems in the order drawn, until `_FRUITLESS` chunks in a row bring none."""
    rng = np.random.default_rng(config.seed)
    seen: set[str] = set()
    fruitless = 0
    while fruitless < _FRUITLESS:
        numbers = np.sort(rng.integers(1, config.max_number + 1, (_CHUNK, config.numbers)), axis=1)
        targets = rng.integers(1, config.max_target + 1, _CHUNK)
        fruitless += 1
        for row in np.flatnonzero(solvable(numbers, targets)):
            found = problem(tuple(map(int, numbers[row])), int(targets[row]))
            if found.id not in seen:
                seen.add(found.id)
                fruitless = 0
                yield found


@cache
def _problems(config: CountdownConfig) -> tuple[Problem, ...]:
    found = tuple(one for one, _ in zip(_draw(config), range(config.problems)))
    if len(found) < config.problems:
        raise ValueError(f"problems={config.problems}: only {len(found)} found with these numbers and targets")
    return found


def canonical_problem(problem: Problem) -> tuple[str]:
    """The numbers in ascending order and the target: two problems are the same iff both agree.

    No scaling or shift of the numbers keeps a calculation's value in step, so there is no other symmetry.
    """
    return ("-".join(map(str, sorted(problem.numbers))) + f"={problem.target}",)


def splits(config: CountdownConfig) -> dict[str, list[Problem]]:
    """`train`, `validation` and `heldout`; no two hold the same problem (`canonical_problem`).

    With `shuffled` the three have one distribution; with `drawn` they have not, and
    validation and held-out do not depend on `config.problems`.
    """
    found = _problems(config)
    if config.split == "shuffled":
        order = np.random.default_rng([config.seed, _SHUFFLE]).permutation(len(found))
        found = tuple(found[index] for index in order)
    return cut(found, config.validation, config.heldout)


def solutions(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Every solution without idle brackets: canonical form → all its strings, both in a fixed order.

    There is one string for each binary tree whose value is the target, with the brackets that make it that tree.
    What is not listed, though `verify` takes it, are the same trees with brackets that change nothing.
    """
    found: dict[str, set[str]] = {}
    for representative, members in forms(len(problem.numbers)):
        numerator, denominator, defined = ratio(representative, problem.numbers)
        if not defined or numerator != problem.target * denominator:
            continue
        for member in members:
            if ratio(member, problem.numbers)[2]:
                tree = fill(member, problem.numbers)
                found.setdefault(canonical(tree), set()).add(render(tree))
    return {name: tuple(sorted(found[name])) for name in sorted(found)}


def verify(problem: Problem, completion: str) -> GradeResult:
    """Whether `completion` (special tokens removed) makes the target; `reason` is "correct" or says what is wrong.

    Every text is scored: one that cannot be read is wrong and has no canonical form.
    """
    try:
        tree = parse(completion, problem.numbers)
    except Refused as refusal:
        return GradeResult(False, None, str(refusal))
    name = canonical(tree)
    try:
        value = evaluate(tree)
    except ZeroDivisionError:
        return GradeResult(False, name, "division by zero")
    return GradeResult(True, name, "correct") if value == problem.target else GradeResult(False, name, "wrong value")


def vocabulary(config: CountdownConfig) -> list[str]:
    """Every symbol that a prompt or a solution can hold, each once."""
    return [*"+-*/():", *map(str, range(1, max(config.max_number, config.max_target) + 1))]


def effort(solution: str, weights: Mapping[str, float]) -> float:
    """How much the supervised stage shuns a way of writing: weights of operators and brackets, each as often as it
    occurs, and `descent` for each number that is smaller than the one before it.

    This is what makes the base prefer some solutions to others; the scale is arbitrary and multiplied by `skew`.
    """
    symbols = solution.split()
    numbers = [int(symbol) for symbol in symbols if symbol.isdigit()]
    descents = sum(first > second for first, second in pairwise(numbers))
    return sum(weights.get(symbol, 0.0) for symbol in symbols) + weights["descent"] * descents


TASK = Task(
    config=CountdownConfig,
    splits=splits,
    canonical_problem=canonical_problem,
    verify=verify,
    solutions=solutions,
    from_scratch=FromScratch(vocabulary, effort, WEIGHTS),
)
