"""No problem stands in two splits in another guise; the splits are alike; recorded runs keep their own, which leak."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from repro.manifest import ROOT
from rl import tasks
from rl.analysis.results import EARLIER
from rl.analysis.results import load as recorded_runs
from rl.experiments.config import load
from rl.tasks import _maze_grid, countdown_words, linear, maze
from rl.tasks import _splits as splits_module
from rl.tasks._linear_routes import Equation, collected, primitive

CPU = ROOT / "rl" / "experiments" / "cpu"
MAZES = ("maze-perfect", "maze-looped", "maze-misled")
RECORDED = ("linear", *MAZES)
LEAKFREE = [f"{name}-leakfree" for name in RECORDED]
Splits = dict[str, list[Any]]


@cache
def _splits(name: str) -> Splits:
    task = load(CPU / f"{name}.yaml").task
    return dict(tasks.get(task.name).splits(task))


def _forms(name: str, split: str) -> set[Hashable]:
    module = tasks.get(load(CPU / f"{name}.yaml").task.name)
    return {form for one in _splits(name)[split] for form in module.canonical_problem(one)}


def _known(name: str, what: Callable[[Any], Hashable]) -> float:
    """The share of held-out problems whose `what` is that of a training problem."""
    found = _splits(name)
    training = {what(one) for one in found["train"]}
    return float(np.mean([what(one) in training for one in found["heldout"]]))


# ---- the recorded runs: their split, and that it leaks ----


def _digest(problems: list[Any]) -> str:
    return hashlib.sha256("\n".join(one.id for one in problems).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_runs_keep_their_split(name: str) -> None:
    assert load(CPU / f"{name}.yaml").task.split == "drawn"
    looped = {"train": "3824e1becc389322", "validation": "92e6bb874a7ef246", "heldout": "8344055bf3e03b9f"}
    before = {  # of the code before there was another split
        "linear": {"train": "814c14e4656f9318", "validation": "5c274338969adff9", "heldout": "e343446d6b5b330b"},
        "maze-perfect": {"train": "f3cc40b28f92438f", "validation": "102e6b8e7969b9a5", "heldout": "bb8d3045d560e0c9"},
        "maze-looped": looped,
        "maze-misled": looped,
    }
    assert {split: _digest(problems) for split, problems in _splits(name).items()} == before[name]
    recorded = recorded_runs(name, None).of("grpo")[0].problems
    assert [one.id for one in _splits(name)["heldout"]] == recorded["problem"].tolist()


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_manifest_says_the_same_as_its_experiment_today(name: str) -> None:
    manifest = recorded_runs(name, None).of("grpo")[0].manifest
    assert "split" not in manifest["config"]["task"]
    today = load(CPU / f"{name}.yaml").record()["task"]
    recorded = EARLIER["task"] | manifest["config"]["task"]
    if name == "maze-misled":  # then a task of its own, with the same problems
        recorded["name"] = "maze"
    assert recorded == today
    assert load(CPU / f"{name}-leakfree.yaml").record()["task"] != today


def _cells(problem: maze.Problem) -> tuple[frozenset[frozenset[complex]], complex, complex]:
    """Passages between cells, start and goal; a cell is a complex number with the middle of the grid at 0."""
    rows, columns = len(problem.grid.codes) // problem.grid.columns, problem.grid.columns

    def place(cell: int) -> complex:
        row, column = divmod(cell, columns)
        return complex(2 * column - columns + 1, 2 * row - rows + 1)

    passages = [
        frozenset((place(cell), place(cell) + step))
        for cell, code in enumerate(problem.grid.codes)
        for bit, step in ((1, -2j), (2, 2), (4, 2j), (8, -2))
        if code & bit
    ]
    return frozenset(passages), place(problem.start), place(problem.goal)


SYMMETRIES: list[Callable[[complex], complex]] = [
    lambda z: z,
    lambda z: z * 1j,
    lambda z: -z,
    lambda z: z * -1j,
    lambda z: z.conjugate(),
    lambda z: z.conjugate() * 1j,
    lambda z: -z.conjugate(),
    lambda z: z.conjugate() * -1j,
]


def _moved(problem: maze.Problem, symmetry: Callable[[complex], complex]) -> Any:
    passages, start, goal = _cells(problem)
    return frozenset(frozenset(map(symmetry, pair)) for pair in passages), symmetry(start), symmetry(goal)


@pytest.mark.parametrize(
    ("name", "mirrored", "goals"), [("maze-perfect", 0.1425, 0.3625), ("maze-looped", 0.67, 0.8225)]
)
def test_the_recorded_mazes_leak(name: str, mirrored: float, goals: float) -> None:
    found = _splits(name)
    training = {_cells(one) for one in found["train"]}
    images = [any(_moved(one, symmetry) in training for symmetry in SYMMETRIES) for one in found["heldout"]]
    assert np.mean(images) == mirrored
    assert _known(name, lambda one: (one.grid, one.goal)) == goals
    assert _known(name, maze.canonical_problem) == 1


def test_the_recorded_equations_leak() -> None:
    assert _known("linear", lambda one: linear.canonical_problem(one)[0]) == 1
    assert _known("linear", lambda one: linear.canonical_problem(one)[1]) == 0.5025
    routes = {route for one in _splits("linear")["train"] for route in linear.solutions(one)}
    shared = [not routes.isdisjoint(linear.solutions(one)) for one in _splits("linear")["heldout"]]
    assert np.mean(shared) == 0.9925


# ---- the new splits ----


@pytest.mark.parametrize("name", [*LEAKFREE, "countdown", "countdown-saturated"])
def test_no_problem_stands_in_two_splits(name: str) -> None:
    train, validation, heldout = (_forms(name, split) for split in ("train", "validation", "heldout"))
    assert train.isdisjoint(heldout)
    assert train.isdisjoint(validation)
    assert validation.isdisjoint(heldout)
    assert min(map(len, (train, validation, heldout))) > 0


@pytest.mark.parametrize("name", LEAKFREE[1:])
def test_no_grid_is_known_from_training_by_an_independent_count(name: str) -> None:
    found = _splits(name)
    training = {_cells(one)[0] for one in found["train"] + found["validation"]}
    assert not any(_moved(one, symmetry)[0] in training for one in found["heldout"] for symmetry in SYMMETRIES)


def test_no_equation_is_answered_by_an_answer_from_training() -> None:
    found = _splits("linear-leakfree")
    known = {text for one in found["train"] for texts in linear.solutions(one).values() for text in texts}
    asked = {text for one in found["heldout"] for texts in linear.solutions(one).values() for text in texts}
    assert known.isdisjoint(asked)
    assert {one.answer for one in found["heldout"]} <= {one.answer for one in found["train"]}


def test_rows_of_data_that_are_the_same_stand_in_one_split(tmp_path: Path) -> None:
    rows = [{"nums": [a, b, 2], "target": a + b + 2} for a in range(3, 9) for b in range(3, 9)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = countdown_words.splits(countdown_words.CountdownWordsConfig("a/b", 12, 9, 0, str(path)))
    train, heldout = (
        [countdown_words.canonical_problem(one) for one in found[split]] for split in ("train", "heldout")
    )
    assert len({*train, *heldout}) == 21


def _features(name: str, problems: list[Any]) -> dict[str, np.ndarray]:
    """Of each problem what makes it easy or hard, whether or not the deal looks at it."""
    if name.startswith("linear"):
        values = [
            (
                one.benchmark[-1],
                one.answer,
                abs(one.equation.m * one.equation.p - one.equation.s),
                len(linear.solutions(one)),
            )
            for one in problems
        ]
        return dict(zip(("level", "answer", "coefficient", "routes"), np.array(values, dtype=float).T))
    ways = [list(maze.solutions(one)) for one in problems]
    turns = [min(sum(a != b for a, b in pairwise(way)) for way in each) for each in ways]
    shortest = [min(map(len, each)) for each in ways]
    return {"shortest": np.array(shortest), "ways": np.array(list(map(len, ways))), "turns": np.array(turns)}


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The p-values of a Kolmogorov-Smirnov and of a chi-squared test that both samples are of one distribution."""
    table = pd.crosstab(np.concatenate([one, other]), np.repeat([0, 1], [len(one), len(other)])).to_numpy()
    common = table.sum(axis=1) * len(one) >= 5 * (len(one) + len(other))
    table = np.vstack([table[common], table[~common].sum(axis=0)])
    table = table[table.sum(axis=1) > 0]
    chi = float(stats.chi2_contingency(table, correction=False).pvalue) if len(table) > 1 else 1.0
    return float(stats.ks_2samp(one, other).pvalue), chi


@pytest.mark.parametrize("split", ["validation", "heldout"])
@pytest.mark.parametrize("name", LEAKFREE)
def test_the_splits_are_alike(name: str, split: str) -> None:
    found = _splits(name)
    one, other = _features(name, found[split]), _features(name, found["train"])
    assert {key: _apart(one[key], other[key]) for key in one if min(_apart(one[key], other[key])) < 0.02} == {}


def test_splits_that_are_not_alike_would_be_noticed() -> None:
    """Negative control: classes of many ways held out, and equations split by their answers."""
    mazes = sorted(_splits("maze-looped-leakfree")["train"], key=maze.canonical_problem)
    one, other = _features("maze", mazes[:400]), _features("maze", mazes[400:])
    assert min(min(_apart(one[key], other[key])) for key in one) < 1e-4
    equations = _splits("linear-leakfree")["train"]
    parts = ([one for one in equations if (one.answer < 3) is low] for low in (True, False))
    low, high = (_features("linear", part) for part in parts)
    assert _apart(low["answer"], high["answer"])[1] < 1e-9


@pytest.mark.parametrize("name", RECORDED)
def test_the_leakfree_experiment_differs_in_its_split_alone(name: str) -> None:
    old, new = load(CPU / f"{name}.yaml"), load(CPU / f"{name}-leakfree.yaml")
    assert (new.task.split, new.name) == ("classes", f"{name}-leakfree")
    assert dataclasses.replace(new.task, split="drawn", problems=old.task.problems) == old.task
    assert dataclasses.replace(new, name=old.name, task=old.task) == old
    sizes = {split: len(problems) for split, problems in _splits(f"{name}-leakfree").items()}
    assert (sizes["validation"], sizes["heldout"]) == (200, 400)
    assert sizes["train"] > max(9000, new.train.steps * new.train.prompts)


def test_the_deal_follows_the_seed_and_problems_of_the_task() -> None:
    task = dataclasses.replace(load(CPU / "maze-looped-leakfree.yaml").task, problems=1500, validation=40, heldout=60)
    found = maze.splits(task)
    maze._dealt.cache_clear()
    assert maze.splits(task) == found
    drawn = {one.id for one in maze._problems(task)}
    assert {one.id for problems in found.values() for one in problems} <= drawn
    assert maze.splits(dataclasses.replace(task, seed=1)) != found


def test_too_few_classes_are_an_error_of_one_line() -> None:
    four = maze.MazeConfig(2, 2, 0, 3, 3, 1, 8, 1, 1, 0)  # all its grids are images of one
    with pytest.raises(ValueError, match=r"^validation=1: too few of the problems are really different"):
        maze.splits(four)
    with pytest.raises(ValueError, match=r"^heldout=1: nothing is left to train on"):
        maze.splits(dataclasses.replace(four, validation=0))


# ---- what makes two problems the same ----


@st.composite
def mazes(draw: st.DrawFn) -> maze.Problem:
    rows, columns = draw(st.integers(2, 4)), draw(st.integers(2, 4))
    loops = draw(st.integers(0, (rows - 1) * (columns - 1)))
    grid = _maze_grid.draw(rows, columns, loops, np.random.default_rng(draw(st.integers(0, 10**6))))
    start, goal = draw(st.lists(st.integers(0, rows * columns - 1), min_size=2, max_size=2, unique=True))
    return maze.problem(grid, start, goal, rows * columns - 1)


@settings(deadline=None, max_examples=100)
@given(mazes(), mazes(), st.data())
def test_mazes_are_the_same_iff_a_symmetry_carries_one_grid_to_the_other(
    one: maze.Problem, other: maze.Problem, data: st.DataObject
) -> None:
    alike = any(_moved(one, symmetry)[0] == _cells(other)[0] for symmetry in SYMMETRIES)
    assert (maze.canonical_problem(one) == maze.canonical_problem(other)) is alike
    images = _maze_grid.images(one.grid)
    assert {_cells(maze.problem(image, 0, 1, 1))[0] for image in images} == {
        _moved(one, symmetry)[0] for symmetry in SYMMETRIES
    }
    turned = maze.problem(data.draw(st.sampled_from(images)), one.goal, one.start, one.limit)
    assert maze.canonical_problem(turned) == maze.canonical_problem(one)


@st.composite
def equations(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """p, q, s, t of p x + q = s x + t, and its whole solution."""
    p, s = draw(st.lists(st.integers(-9, 9), min_size=2, max_size=2, unique=True))
    q, answer = draw(st.integers(-20, 20)), draw(st.integers(-20, 20))
    return p, q, s, (p - s) * answer + q, answer


def _same(one: Equation, other: Equation) -> bool:
    return collected(one) == collected(other) or primitive(one) == primitive(other)


@settings(deadline=None, max_examples=200)
@given(equations(), st.integers(-9, 9), st.integers(-20, 20), st.integers(-6, 6).filter(bool))
def test_equations_are_the_same_in_every_guise(
    drawn: tuple[int, int, int, int, int], x: int, number: int, factor: int
) -> None:
    p, q, s, t, _ = drawn
    one = Equation(p, q, s, t)
    for other in (Equation(s, t, p, q), Equation(-p, -q, -s, -t)):  # sides exchanged, sign
        assert (collected(one), primitive(one)) == (collected(other), primitive(other))
    assert collected(one) == collected(Equation(p + x, q + number, s + x, t + number))  # added to both sides
    assert primitive(one) == primitive(Equation(factor * p, factor * q, factor * s, factor * t))
    right = factor * s, factor * t + number
    bracket, opened = Equation(p, q, *right, m=factor, r=number), Equation(factor * p, factor * q + number, *right)
    assert (collected(bracket), primitive(bracket)) == (collected(opened), primitive(opened))


@settings(deadline=None, max_examples=200)
@given(equations(), equations())
def test_equations_with_other_answers_are_never_the_same(one: Any, other: Any) -> None:
    assume(one[4] != other[4])
    assert not _same(Equation(*one[:4]), Equation(*other[:4]))


def test_equations_that_share_nothing_but_the_answer_are_not_the_same() -> None:
    assert not _same(Equation(3, 4, 0, 10), Equation(5, 3, 0, 13))  # both x = 2: 3 x = 6, 5 x = 10
    assert _same(Equation(3, 4, 0, 10), Equation(6, 8, 0, 20))
    assert _same(Equation(3, 4, 0, 10), Equation(3, -1, 0, 5))


# ---- the deal itself ----


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=3), min_size=60, max_size=120),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 10**6),
)
def test_a_deal_keeps_forms_apart_and_uses_all_that_it_may(
    forms: list[list[int]], validation: int, heldout: int, seed: int
) -> None:
    features = [(index % 3,) for index in range(len(forms))]
    found: dict[str, list[int]] = {}
    with suppress(ValueError):  # too few classes
        found = splits_module.deal(forms, features, validation, heldout, np.random.default_rng(seed))
    assume(found)
    assert found == splits_module.deal(forms, features, validation, heldout, np.random.default_rng(seed))
    assert (len(found["validation"]), len(found["heldout"])) == (validation, heldout)
    everything = [index for indices in found.values() for index in indices]
    assert len(everything) == len(set(everything))
    of = {split: {form for index in indices for form in forms[index]} for split, indices in found.items()}
    assert of["train"].isdisjoint(of["validation"] | of["heldout"])
    assert of["validation"].isdisjoint(of["heldout"])
    sizes = Counter(each[0] for each in forms)
    for split in ("validation", "heldout"):
        taken = Counter(forms[index][0] for index in found[split])
        assert all(count <= -(-sizes[name] // 10) for name, count in taken.items())


def test_training_has_every_problem_that_is_not_the_same_as_one_held_out() -> None:
    forms = [(index // 4,) for index in range(400)]
    found = splits_module.deal(forms, [(0,)] * 400, 5, 10, np.random.default_rng(0))
    held = {forms[index] for split in ("validation", "heldout") for index in found[split]}
    assert len(held) == 15
    assert found["train"] == [index for index in range(400) if forms[index] not in held]


def test_changing_places_makes_splits_alike_that_would_not_be() -> None:
    """Forty classes of fifty problems, all of a class of one category: a plain random deal is rarely so alike."""
    forms = [(index // 50,) for index in range(2000)]
    features = [(index // 50 % 4,) for index in range(2000)]
    column = np.array(features)[:, 0]
    found = splits_module.deal(forms, features, 0, 50, np.random.default_rng(1))
    assert splits_module.p_alike(column[found["heldout"]], column[found["train"]]) >= 0.2


def test_p_alike_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for other in ([0.25] * 4, [0.3, 0.25, 0.25, 0.2]):
        one, two = rng.choice(4, 300, p=[0.25] * 4), rng.choice(4, 900, p=other)
        table = np.array([np.bincount(part, minlength=4) for part in (one, two)])
        assert splits_module.p_alike(one, two) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
