"""Problems, splits and solutions against a brute force that shares nothing with the enumeration."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.manifest import ROOT
from rl import tasks
from rl.analysis.results import load as recorded_runs
from rl.experiments.config import load
from rl.tasks import _countdown_forms, _countdown_parser, countdown

WEIGHTS = {"+": 0.0, "*": 1.0, "-": 1.0, "/": 2.0, "(": 1.0, "descent": 0.5}
EXPERIMENTS = ROOT / "rl" / "experiments"
SMALL = countdown.CountdownConfig(
    numbers=3, max_number=8, max_target=30, problems=900, validation=50, heldout=100, seed=3
)


def brute_values(numbers):
    """Every value reachable: replace any two numbers by a result of theirs until one is left."""
    if len(numbers) == 1:
        return {numbers[0]}
    found = set()
    for i, j in permutations(range(len(numbers)), 2):
        rest = [number for k, number in enumerate(numbers) if k not in (i, j)]
        a, b = numbers[i], numbers[j]
        for value in [a + b, a - b, a * b, *([a / b] if b else [])]:
            found |= brute_values([*rest, value])
    return found


def brute_solutions(numbers, target):
    """Every solution string by trying all sequences in postfix; infix with minimal brackets comes from a stack."""
    n = len(numbers)
    found = set()
    for order in set(permutations(numbers)):
        for shape in set(permutations("n" * (n - 1) + "o" * (n - 1))):
            for ops in product("+-*/", repeat=n - 1):
                stack = [(Fraction(order[0]), str(order[0]), 9)]
                numbers_left, ops_left = iter(order[1:]), iter(ops)
                for kind in shape:
                    if kind == "n":
                        number = next(numbers_left)
                        stack.append((Fraction(number), str(number), 9))
                        continue
                    if len(stack) < 2:
                        break
                    (b, right, inner), (a, left, outer) = stack.pop(), stack.pop()
                    op = next(ops_left)
                    if op == "/" and b == 0:
                        break
                    level = 1 if op in "+-" else 2
                    left = f"({left})" if outer < level else left
                    right = f"({right})" if inner <= level else right
                    value = a + b if op == "+" else a - b if op == "-" else a * b if op == "*" else a / b
                    stack.append((value, left + op + right, level))
                else:
                    if stack[0][0] == target:
                        found.add(stack[0][1])
    return found


def test_solvable_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 10, (40, 3))
    for row in numbers:
        values = brute_values([Fraction(int(number)) for number in row])
        targets = np.arange(1, 61)
        found = _countdown_forms.solvable(np.tile(row, (60, 1)), targets)
        assert found.tolist() == [Fraction(int(target)) in values for target in targets]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=3), st.integers(1, 40))
def test_solutions_are_all_strings_of_a_brute_force(numbers, target):
    found = countdown.solutions(countdown.problem(tuple(numbers), target))
    strings = [text.replace(" ", "") for form in found.values() for text in form]
    assert len(strings) == len(set(strings))
    assert set(strings) == brute_solutions(numbers, target)


@pytest.mark.parametrize(
    ("numbers", "target"), [((1, 2, 3, 4), 24), ((3, 3, 8, 8), 24), ((2, 2, 2, 2), 0), ((1, 1, 5, 5), 5)]
)
def test_solutions_with_four_numbers(numbers, target):
    found = countdown.solutions(countdown.problem(numbers, target))
    strings = {text.replace(" ", "") for form in found.values() for text in form}
    assert strings == brute_solutions(numbers, target)


def test_the_notorious_problem_has_one_solution():
    assert countdown.solutions(countdown.problem((8, 3, 8, 3), 24)) == {"8/(3-8/3)": ("8 / ( 3 - 8 / 3 )",)}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 15), min_size=3, max_size=4), st.integers(1, 40))
def test_every_solution_verifies_with_its_form_and_fits_the_length(numbers, target):
    problem = countdown.problem(tuple(numbers), target)
    config = countdown.CountdownConfig(len(numbers), 15, 40, 100, 10, 10, 0)
    symbols = set(countdown.vocabulary(config))
    for name, strings in countdown.solutions(problem).items():
        for text in strings:
            assert countdown.verify(problem, text) == countdown.GradeResult(True, name, "correct")
            assert len(text.split()) <= max(1, 4 * config.numbers - 5)
            assert set(text.split()) <= symbols
    assert set(problem.prompt.split()) <= symbols


def test_a_wrong_form_of_the_enumeration_is_noticed(monkeypatch):
    # Negative control: with subtraction taken for addition the strings no longer agree with the brute force.
    def wrong(tree, columns):
        if isinstance(tree, tuple) and tree[0] == "-":
            tree = ("+", tree[1], tree[2])
        return real(tree, columns)

    real = countdown.ratio
    monkeypatch.setattr(countdown, "ratio", wrong)
    found = countdown.solutions(countdown.problem((2, 5, 7), 14))
    strings = {text.replace(" ", "") for form in found.values() for text in form}
    assert strings != brute_solutions((2, 5, 7), 14)


def test_canonical_without_commutation_is_noticed(monkeypatch):
    # Negative control: forms that keep the order of terms are more than 68.
    monkeypatch.setattr(_countdown_forms, "canonical", _countdown_parser.render)
    assert len(_countdown_forms.forms.__wrapped__(3)) > 68


def test_splits_are_disjoint_solvable_and_of_the_size_asked_for():
    found = countdown.splits(SMALL)
    assert {name: len(problems) for name, problems in found.items()} == {
        "train": 750,
        "validation": 50,
        "heldout": 100,
    }
    everything = [problem for problems in found.values() for problem in problems]
    assert len({(problem.numbers, problem.target) for problem in everything}) == 900
    assert len({problem.id for problem in everything}) == 900
    for problem in everything:
        assert problem.numbers == tuple(sorted(problem.numbers))
        assert len(problem.numbers) == 3
        assert max(problem.numbers) <= 8
        assert 1 <= problem.target <= 30
        assert problem.prompt == " ".join(map(str, problem.numbers)) + f" : {problem.target}"
        assert Fraction(problem.target) in brute_values([Fraction(number) for number in problem.numbers])


def test_splits_follow_the_seed():
    assert countdown.splits(SMALL) == countdown.splits(SMALL)
    assert countdown.splits(SMALL)["heldout"] != countdown.splits(replace(SMALL, seed=4))["heldout"]


def test_the_drawn_splits_heldout_does_not_depend_on_the_training_size():
    drawn = replace(SMALL, split="drawn")
    again, fewer = countdown.splits(drawn), countdown.splits(replace(drawn, problems=500))
    assert fewer["heldout"] == again["heldout"]
    assert fewer["train"] == again["train"][:350]


def _features(problems: list[countdown.Problem]) -> np.ndarray:
    """(problems, 3): how many different numbers, their sum, the target."""
    return np.array([[len(set(one.numbers)), sum(one.numbers), one.target] for one in problems], dtype=float)


def _apart(found: dict[str, list[countdown.Problem]]) -> float:
    """The largest difference of a feature's mean between training and held-out problems, in standard errors."""
    train, heldout = _features(found["train"]), _features(found["heldout"])
    error = np.sqrt(train.var(axis=0) / len(train) + heldout.var(axis=0) / len(heldout))
    return float(np.abs((train.mean(axis=0) - heldout.mean(axis=0)) / error).max())


def test_shuffled_splits_are_of_one_distribution_and_drawn_ones_are_not():
    task = load(EXPERIMENTS / "cpu" / "countdown.yaml").task
    assert task.split == "drawn"
    assert _apart(countdown.splits(task)) > 8
    assert _apart(countdown.splits(replace(task, split="shuffled"))) < 3.5


def test_the_drawn_split_is_still_that_of_the_recorded_runs():
    task = load(EXPERIMENTS / "cpu" / "countdown.yaml").task
    recorded = recorded_runs("countdown", None).of("grpo")[0].problems
    assert [one.id for one in countdown.splits(task)["heldout"]] == recorded["problem"].tolist()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("numbers", 1),
        ("numbers", 6),
        ("max_number", 0),
        ("max_target", 0),
        ("problems", 150),
        ("validation", -1),
        ("heldout", -1),
        ("seed", -1),
        ("name", "countup"),
    ],
)
def test_bad_config_is_named(field, value):
    good = {"numbers": 3, "max_number": 8, "max_target": 30, "problems": 900, "validation": 50, "heldout": 100}
    with pytest.raises(ValueError, match=f"{field}="):
        countdown.CountdownConfig(**{**good, "seed": 3, field: value})


def test_more_problems_than_there_are_is_an_error():
    with pytest.raises(ValueError, match="problems=5000: only"):
        countdown.splits(countdown.CountdownConfig(2, 5, 10, 5000, 10, 10, 0))


def test_effort_by_hand():
    assert countdown.effort("1 + 2 + 3", WEIGHTS) == 0
    assert countdown.effort("2 + 1 + 3", WEIGHTS) > 0
    assert countdown.effort("( 1 + 2 ) * 3", WEIGHTS) > countdown.effort("1 + 2 * 3", WEIGHTS) > 0


def test_tasks_by_name():
    assert tasks.get("countdown") is countdown.TASK
    with pytest.raises(ValueError, match="did you mean 'countdown'"):
        tasks.get("countdwon")
