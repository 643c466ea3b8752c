"""Problems of the package `reasoning-gym`: its dataset by name, its own verifier, its settings and its seed.

A verifier that raises costs that answer: it cannot be scored, the reason names the error, evaluations count it.
Verifiers that run an answer as code are refused.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from repro.names import nearest
from repro.packages import need
from rl.tasks._rows import count_left_out
from rl.tasks._splits import cut
from rl.tasks.base import GradeResult, Task, check_sizes

_EVALUATES = re.compile(r"\b(eval|exec|parse_expr|sympify)\(")
_FRUITLESS = 1000  # questions in a row that were there before: there are no others
_SHUFFLE = 0x6E7A
_STEPS = "Show every step, and the result after the last =."


@dataclass(frozen=True)
class ReasoningGymConfig:
    """Which problems there are, and how they are split."""

    dataset: str
    """Its name in reasoning-gym."""
    version: str
    """Of reasoning-gym: another one may make other problems of the same seed."""
    settings: dict[str, Any]
    """The dataset's own, by their names there; what is not given keeps its default."""
    working: bool
    """Whether an answer shows its steps. What stands after the last `=` is graded, and two answers are the same only if
    their steps are."""
    problems: int
    """Distinct problems in all; what validation and held-out leave is for training."""
    validation: int
    heldout: int
    seed: int
    name: str = "reasoning-gym"

    def __post_init__(self) -> None:
        if self.name != "reasoning-gym":
            raise ValueError(f"name={self.name!r}: this task is called reasoning-gym")
        check_sizes(self)
        for name in ("seed", "size"):
            if name in self.settings:
                raise ValueError(f"settings.{name}: is set elsewhere")
        if self.working and self.dataset not in WORKED:
            raise ValueError(f"working=True: no steps are known for {self.dataset!r}{nearest(self.dataset, WORKED)}")


@dataclass(frozen=True)
class Problem:
    id: str
    """The dataset and the number of the question there."""
    prompt: str
    entry: dict[str, Any]
    """As reasoning-gym gives it: question, answer (None where it knows none), metadata."""
    dataset: Any = field(repr=False)
    """What made the entry, and grades."""
    working: bool


def _dataset(config: ReasoningGymConfig) -> Any:
    """The dataset of `config`. Raises ValueError in one line."""
    need("task", "reasoning-gym", config.version)
    from reasoning_gym.factory import DATASETS

    if config.dataset not in DATASETS:
        raise ValueError(f"task.dataset: reasoning-gym has no {config.dataset!r}{nearest(config.dataset, DATASETS)}")
    kind, settings = DATASETS[config.dataset]
    known = {one.name for one in dataclasses.fields(settings)}
    for key in config.settings:
        if key not in known:
            raise ValueError(f"task.settings.{key}: {config.dataset} has no such setting{nearest(key, known)}")
    if _EVALUATES.search(inspect.getsource(inspect.getmodule(kind) or kind)):
        raise ValueError(f"task.dataset: {config.dataset} runs text as code; an answer could do anything")
    try:
        made = settings(**config.settings, seed=config.seed)
        made.validate()
    except (AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"task.settings: {config.dataset} refuses them ({error})") from None
    return kind(config=made)


def _form(entry: Mapping[str, Any]) -> str:
    return " ".join(sorted(re.findall(r"\w+|[^\w\s]", entry["question"])))


@cache
def _problems(text: str) -> tuple[Problem, ...]:
    config = ReasoningGymConfig(**json.loads(text))
    dataset = _dataset(config)
    found: dict[str, Problem] = {}
    fruitless = 0
    for number in itertools.count():
        entry = dataset[number]
        fruitless += 1
        if _form(entry) not in found:
            fruitless = 0
            question = entry["question"].strip() + f"\n{_STEPS}" * config.working
            name = f"{config.dataset}-{number}"
            found[_form(entry)] = Problem(name, question, entry, dataset, config.working)
        if len(found) == config.problems:
            return tuple(found.values())
        if fruitless == _FRUITLESS:
            raise ValueError(f"task.problems: {config.problems} of {config.dataset}, only {len(found)} are different")
    raise AssertionError  # the count has no end


def canonical_problem(problem: Problem) -> tuple[str]:
    """The words and signs of the question, sorted: `gcd of 12, 18` and `gcd of 18, 12` are one problem.

    Some questions that differ are taken for one as well, which costs the later one.
    """
    return (_form(problem.entry),)


def splits(config: ReasoningGymConfig) -> dict[str, list[Problem]]:
    """`train`, `validation` and `heldout`, no two of which hold the same problem: random parts of all problems.

    Raises ValueError, in one line, for a dataset or a setting that there is not, or too few different problems.
    """
    found = _problems(json.dumps(dataclasses.asdict(config)))
    order = np.random.default_rng([config.seed, _SHUFFLE]).permutation(len(found))
    return cut([found[index] for index in order], config.validation, config.heldout)


def verify(problem: Problem, completion: str) -> GradeResult:
    """What the dataset's own verifier says: correct at a score of 1. With `working`, of what follows the last `=`."""
    shown = " ".join(completion.split())
    _, equals, result = shown.rpartition("=")
    if problem.working and not equals:
        return GradeResult(False, None, "no answer")
    try:
        correct = problem.dataset.score_answer(result.strip() if problem.working else shown, problem.entry) >= 1
    except Exception as error:  # whatever it is, it concerns this answer alone
        reason = f"the verifier raised {type(error).__name__}"
        count_left_out(f"answers to {problem.entry['metadata']['source_dataset']}", reason)
        return GradeResult(None, None, reason)
    return GradeResult(bool(correct), shown.casefold(), "correct" if correct else "wrong")


def examples(problem: Problem) -> Sequence[str]:
    """Correct answers to learn from: with `working` one for each way, otherwise the one that the dataset knows."""
    if problem.working:
        return WORKED[problem.entry["metadata"]["source_dataset"]](problem.entry)
    answer = problem.entry["answer"]
    return () if answer is None else (str(answer),)


def _sums(entry: Mapping[str, Any]) -> list[str]:
    """Every order of the terms that begins with a positive one: `8 - 2 = 6, 6 + 3 = 9`."""
    signs = ["+", *re.findall(r"(?<=\s)[+-](?=\s)", entry["metadata"]["expression"])]
    terms = list(zip(signs, map(int, re.split(r"\s[+-]\s", entry["metadata"]["expression"]))))
    found = set()
    for (sign, total), *rest in itertools.permutations(terms):
        steps = []
        for operator, term in rest:
            new = total + term if operator == "+" else total - term
            steps.append(f"{total} {operator} {term} = {new}")
            total = new
        if sign == "+":
            found.add(", ".join(steps))
    return sorted(found)


WORKED: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {"chain_sum": _sums}
"""Datasets whose answers can show their steps: entry → all such answers."""

TASK = Task(
    config=ReasoningGymConfig,
    splits=splits,
    canonical_problem=canonical_problem,
    verify=verify,
    examples=examples,
)
