"""Mazes: trees, paths against brute force over all move strings, verdicts, splits, and the way to a model."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from itertools import combinations, pairwise, permutations, product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro.manifest import ROOT
from rl import tasks
from rl.evaluation.exact import evaluate_exact
from rl.evaluation.run import evaluate
from rl.evaluation.sampled import Sampling, complete
from rl.experiments.config import load
from rl.models import from_scratch
from rl.tasks import _maze_grid, maze
from rl.training.rewards import Rewards

WEIGHTS = {"move": 0.25, "turn": 0.5, "R": 0.0, "D": 0.1, "L": 0.2, "U": 0.3}

CPU = ROOT / "rl" / "experiments" / "cpu"
CONFIG = maze.MazeConfig(
    rows=3,
    columns=4,
    loops=3,
    min_path=3,
    limit=9,
    max_solutions=40,
    problems=400,
    validation=30,
    heldout=50,
    seed=1,
    split="drawn",
)
SHIFTS = {"U": (-1, 0), "R": (0, 1), "D": (1, 0), "L": (0, -1)}
Passages = set[frozenset[tuple[int, int]]]


def neighbors(rows: int, columns: int) -> Passages:
    """All pairs of neighboring cells, cells being (row, column)."""
    cells = list(product(range(rows), range(columns)))
    return {frozenset(pair) for pair in combinations(cells, 2) if sum(abs(a - b) for a, b in zip(*pair)) == 1}


def passages_of(grid: _maze_grid.Grid) -> Passages:
    """The passages of a grid by its codes alone; every passage is coded on both its sides."""
    found: Counter[frozenset[tuple[int, int]]] = Counter()
    for cell, code in enumerate(grid.codes):
        row, column = divmod(cell, grid.columns)
        for bit, (down, right) in zip((1, 2, 4, 8), SHIFTS.values()):
            if code & bit:
                found[frozenset(((row, column), (row + down, column + right)))] += 1
    assert set(found.values()) <= {2}
    return set(found)


def grid_of(rows: int, columns: int, passages: Passages) -> _maze_grid.Grid:
    numbered = {tuple(sorted(row * columns + column for row, column in pair)) for pair in passages}
    return _maze_grid.grid(rows, columns, {(first, second) for first, second in numbered})


def open_grid(rows: int, columns: int) -> _maze_grid.Grid:
    return grid_of(rows, columns, neighbors(rows, columns))


def right(moves: str, passages: Passages, start: tuple[int, int], goal: tuple[int, int]) -> bool:
    """Whether these moves go from start to goal, by the rules alone and on coordinates."""
    trace = [start]
    for move in moves:
        trace.append((trace[-1][0] + SHIFTS[move][0], trace[-1][1] + SHIFTS[move][1]))
    steps = {frozenset(pair) for pair in pairwise(trace)}
    return steps <= passages and len(set(trace)) == len(trace) and trace[-1] == goal and bool(moves)


def brute_paths(passages: Passages, start: tuple[int, int], goal: tuple[int, int], limit: int) -> set[str]:
    """Every right series of at most `limit` moves; all series are tried that do not step back at once."""
    found: set[str] = set()

    def go_on(moves: str) -> None:
        if right(moves, passages, start, goal):
            found.add(moves)
        if len(moves) < limit:
            for move in SHIFTS:
                if moves[-1:] + move not in ("UD", "DU", "LR", "RL"):
                    go_on(moves + move)

    go_on("")
    return found


def components(cells: int, passages: Passages) -> int:
    """The number of connected parts: joined cells take each other's label until all passages are used."""
    label = {cell: cell for pair in passages for cell in pair}
    for first, second in passages:
        old, new = label[first], label[second]
        label = {cell: new if name == old else name for cell, name in label.items()}
    return len(set(label.values())) + cells - len(label)


def example() -> maze.Problem:
    """Two rows of three cells, all walls open but that between the middle cells; from upper left to lower right.

    +--+--+--+
    |S       |
    +  +--+  +
    |       G|
    +--+--+--+
    """
    return maze.problem(grid_of(2, 3, neighbors(2, 3) - {frozenset(((0, 1), (1, 1)))}), 0, 5, 5)


def test_an_example_by_hand() -> None:
    one = example()
    assert one.id == "6ac3a9/0-5"
    assert one.prompt == "22 10 12 3 10 41 :"
    assert maze.solutions(one) == {"RRD": ("R R D",), "DRR": ("D R R",)}


@pytest.mark.parametrize(("side", "count"), [(2, 2), (3, 12), (4, 184), (5, 8512)])
def test_open_squares_have_the_known_numbers_of_self_avoiding_paths(side: int, count: int) -> None:
    # Corner to corner: OEIS A007764.
    paths = list(open_grid(side, side).paths(0, side * side - 1, side * side - 1))
    assert len(paths) == len(set(paths)) == count


@st.composite
def tasks_at_random(draw: st.DrawFn) -> tuple[int, int, Passages, int, int, int]:
    rows, columns = draw(st.integers(2, 3)), draw(st.integers(2, 3))
    walls = sorted(neighbors(rows, columns), key=sorted)
    passages = set(draw(st.lists(st.sampled_from(walls), unique=True, min_size=4)))
    start, goal = draw(st.lists(st.integers(0, rows * columns - 1), min_size=2, max_size=2, unique=True))
    return rows, columns, passages, start, goal, draw(st.integers(1, 8))


@settings(deadline=None, max_examples=80)
@given(tasks_at_random())
def test_paths_are_those_of_a_brute_force_whether_or_not_the_grid_hangs_together(
    task: tuple[int, int, Passages, int, int, int],
) -> None:
    rows, columns, passages, start, goal, limit = task
    found = list(grid_of(rows, columns, passages).paths(start, goal, limit))
    wanted = brute_paths(passages, divmod(start, columns), divmod(goal, columns), limit)
    assert sorted(found) == sorted(wanted)


def test_a_flood_through_cells_already_entered_is_only_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = open_grid(3, 3)
    wanted = list(grid.paths(0, 8, 8))
    real = _maze_grid.Grid.reach
    monkeypatch.setattr(_maze_grid.Grid, "reach", lambda self, cell, moves, closed=0: real(self, cell, moves) & ~closed)
    assert list(grid.paths(0, 8, 8)) == wanted


def test_forgotten_cells_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Negative control: with cells entered twice the paths of a limit of six are no longer the brute force's.
    grid = open_grid(3, 3)
    assert set(grid.paths(0, 8, 6)) == brute_paths(neighbors(3, 3), (0, 0), (2, 2), 6)
    real = _maze_grid.Grid.reach
    monkeypatch.setattr(_maze_grid.Grid, "reach", lambda self, cell, moves, closed=0: real(self, cell, moves))
    assert set(grid.paths(0, 8, 6)) > brute_paths(neighbors(3, 3), (0, 0), (2, 2), 6)


def test_every_cell_entered_is_on_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve rows of eleven cells with one way out: the walks that end inside are too many ever to be tried."""
    walls = {frozenset(((row, 10), (row, 11))) for row in range(1, 12)}
    grid = grid_of(12, 12, neighbors(12, 12) - walls)
    calls = 0
    real = _maze_grid.Grid.reach

    def counted(self: _maze_grid.Grid, *arguments: Any, **keywords: Any) -> int:
        nonlocal calls
        calls += 1
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(_maze_grid.Grid, "reach", counted)
    limit = 143
    found = [moves for moves, _ in zip(grid.paths(132, 143, limit), range(50))]
    assert len(set(found)) == 50
    assert calls <= 51 * limit


def test_trees_are_connected_and_without_loops() -> None:
    rng = np.random.default_rng(0)
    for rows, columns in ((2, 2), (2, 5), (4, 4), (12, 7)):
        for _ in range(20):
            grid = _maze_grid.draw(rows, columns, 0, rng)
            passages = passages_of(grid)
            assert passages <= neighbors(rows, columns)
            assert len(passages) == rows * columns - 1
            assert components(rows * columns, passages) == 1


@pytest.mark.parametrize(("rows", "columns", "trees", "each"), [(2, 2, 4, 600), (2, 3, 15, 600), (3, 3, 192, 30)])
def test_every_tree_is_drawn_alike(rows: int, columns: int, trees: int, each: int) -> None:
    rng = np.random.default_rng(5)
    counts = Counter(_maze_grid.draw(rows, columns, 0, rng).codes for _ in range(each * trees))
    assert len(counts) == trees
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_trees_grown_by_joining_what_is_apart_would_be_noticed() -> None:
    # Negative control: passages in random order, each kept if it joins two parts, favor some trees of two by three.
    walls = sorted(neighbors(2, 3), key=sorted)
    orders: Counter[frozenset[frozenset[tuple[int, int]]]] = Counter()
    for order in permutations(walls):
        kept: Passages = set()
        for wall in order:
            if components(6, kept | {wall}) < components(6, kept):
                kept.add(wall)
        orders[frozenset(kept)] += 1
    assert len(orders) == 15
    drawn = np.random.default_rng(5).multinomial(600 * 15, np.array(list(orders.values())) / orders.total())
    assert stats.chisquare(drawn).pvalue < 1e-6


def test_a_perfect_maze_has_exactly_one_path_for_every_pair() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        grid = _maze_grid.draw(4, 4, 0, rng)
        for start, goal in product(range(16), repeat=2):
            if start != goal:
                assert len(list(grid.paths(start, goal, 15))) == 1


def test_loops_are_further_passages_each_alike() -> None:
    rng = np.random.default_rng(3)
    counts: Counter[frozenset[tuple[int, int]]] = Counter()
    for _ in range(2000):
        passages = passages_of(_maze_grid.draw(2, 3, 1, rng))
        assert len(passages) == 6
        counts.update(neighbors(2, 3) - passages)
    # Counted: the one wall that is left of seven. The two at the ends are alike, and the four along the sides.
    ends = [counts[frozenset(((0, column), (1, column)))] for column in (0, 2)]
    sides = [counts[frozenset(((row, column), (row, column + 1)))] for row in (0, 1) for column in (0, 1)]
    assert stats.chisquare(ends).pvalue > 1e-3
    assert stats.chisquare(sides).pvalue > 1e-3
    assert passages_of(_maze_grid.draw(4, 4, 9, rng)) == neighbors(4, 4)


def test_the_number_of_solutions_rises_with_loops() -> None:
    means = []
    for loops in (0, 1, 3, 5):
        config = dataclasses.replace(CONFIG, loops=loops, problems=150)
        counts = [len(maze.solutions(one)) for one in maze.splits(config)["train"]]
        assert max(counts) <= config.max_solutions
        means.append(sum(counts) / len(counts))
    assert means[0] == 1
    assert [later > 1.5 * earlier for earlier, later in pairwise(means)] == [True] * 3


def test_solutions_verify_and_mutated_ones_do_as_the_rules_say() -> None:
    symbols = set(maze.vocabulary(CONFIG))
    assert len(symbols) == len(maze.vocabulary(CONFIG))
    rng = random.Random(4)
    wrong = 0
    for one in maze.splits(CONFIG)["validation"]:
        assert set(one.prompt.split()) <= symbols
        found = maze.solutions(one)
        assert 1 <= len(found) <= CONFIG.max_solutions
        passages = passages_of(one.grid)
        start, goal = divmod(one.start, 4), divmod(one.goal, 4)
        for name, strings in found.items():
            [text] = strings
            assert set(text.split()) <= symbols
            assert len(text.split()) <= CONFIG.limit
            assert text.replace(" ", "") == name
            assert maze.verify(one, text) == maze.GradeResult(True, name, "correct")
            place = rng.randrange(len(name))
            for mutated in (
                name[:place] + name[place + 1 :],
                name[:place] + rng.choice("UDLR") + name[place + 1 :],
                name[:place] + rng.choice("UDLR") + name[place:],
                name[::-1],
            ):
                correct = right(mutated, passages, start, goal) and len(mutated) <= CONFIG.limit
                assert maze.verify(one, mutated).correct is correct is (mutated in found)
                wrong += not correct
    assert wrong > 500


@pytest.mark.parametrize(
    ("text", "correct", "canonical", "reason"),
    [
        ("R R D", True, "RRD", "correct"),
        ("RRD", True, "RRD", "correct"),
        (" \tR\r\nR D \n", True, "RRD", "correct"),
        ("D R R", True, "DRR", "correct"),
        ("R D R", False, "RDR", "through a wall"),
        ("U", False, "U", "through a wall"),
        ("R R R D", False, "RRRD", "through a wall"),
        ("R L R R D", False, "RLRRD", "cell twice"),
        ("R R", False, "RR", "not at the goal"),
        ("R R D L", False, "RRDL", "not at the goal"),  # past the goal
        ("R R D L R", False, "RRDLR", "cell twice"),  # past the goal and back
        ("R R D L L U", False, None, "too long"),
        ("", False, None, "empty"),
        (" \n", False, None, "empty"),
        ("r r d", False, None, "unexpected character"),
        ("R R D .", False, None, "unexpected character"),
        ("R\u00a0R D", False, None, "unexpected character"),
        ("R\x0bR D", False, None, "unexpected character"),
        ("R R \u0189", False, None, "unexpected character"),
        ("R R D \ud800", False, None, "unexpected character"),
        ("R R D\x00", False, None, "unexpected character"),
        ("R" * 4096, False, None, "too long"),
        (" " * 10_000_000 + "RRD", False, None, "too long"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_verdicts_by_hand(text: str, correct: bool, canonical: str | None, reason: str) -> None:
    assert maze.verify(example(), text) == maze.GradeResult(correct, canonical, reason)


@settings(deadline=None, max_examples=500)
@given(st.one_of(st.text(max_size=60), st.text("UDLR \t\n", max_size=30), st.text("RD", max_size=4)))
def test_any_text_gets_the_verdict_of_the_rules(text: str) -> None:
    one = example()
    verdict = maze.verify(one, text)
    bare = "".join(text.split())
    readable = set(text) <= set("UDLR \t\r\n")
    assert verdict.correct is (readable and right(bare, passages_of(one.grid), (0, 0), (1, 2)))
    assert (verdict.reason == "correct") is verdict.correct
    assert verdict.canonical == (bare if readable and 0 < len(bare) <= 5 else None)


def test_splits_are_disjoint_and_follow_the_seed() -> None:
    found = maze.splits(CONFIG)
    assert {name: len(problems) for name, problems in found.items()} == {
        "train": 320,
        "validation": 30,
        "heldout": 50,
    }
    everything = [one for problems in found.values() for one in problems]
    assert len({one.id for one in everything}) == len({one.prompt for one in everything}) == 400
    for one in everything:
        passages = passages_of(one.grid)
        assert len(passages) == 11 + CONFIG.loops
        assert components(12, passages) == 1
        assert min(map(len, maze.solutions(one))) >= CONFIG.min_path
    fewer = maze.splits(dataclasses.replace(CONFIG, problems=200))
    assert (fewer["validation"], fewer["heldout"]) == (found["validation"], found["heldout"])
    assert fewer["train"] == found["train"][:120]
    maze._problems.cache_clear()
    assert maze.splits(CONFIG) == found
    assert maze.splits(dataclasses.replace(CONFIG, seed=2))["heldout"] != found["heldout"]


def test_problems_with_too_many_solutions_are_drawn_anew() -> None:
    few = dataclasses.replace(CONFIG, max_solutions=5)
    counts = {len(maze.solutions(one)) for problems in maze.splits(few).values() for one in problems}
    assert max(counts) == 5
    assert max(len(maze.solutions(one)) for one in maze.splits(CONFIG)["train"]) > 5


def test_start_and_goal_are_every_pair_far_enough_apart() -> None:
    grid = open_grid(2, 3)
    assert maze._ends(grid, 2, 2) == [
        (0, 2),
        (0, 4),
        (1, 3),
        (1, 5),
        (2, 0),
        (2, 4),
        (3, 1),
        (3, 5),
        (4, 0),
        (4, 2),
        (5, 1),
        (5, 3),
    ]
    assert maze._ends(grid, 3, 5) == [(0, 5), (2, 3), (3, 2), (5, 0)]
    assert maze._ends(grid, 4, 5) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", 1),
        ("columns", 13),
        ("loops", -1),
        ("loops", 7),
        ("min_path", 0),
        ("limit", 2),
        ("limit", 12),
        ("max_solutions", 0),
        ("max_solutions", 10_001),
        ("problems", 80),
        ("validation", -1),
        ("heldout", -1),
        ("seed", -1),
        ("name", "labyrinth"),
        ("split", "shuffled"),
    ],
)
def test_bad_config_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}=") as error:
        dataclasses.replace(CONFIG, **{field: value})
    assert "\n" not in str(error.value)


def test_more_problems_than_there_are_is_an_error() -> None:
    # A square of four cells has four trees, each with the two ways between the ends of its three passages.
    tiny = maze.MazeConfig(2, 2, 0, 3, 3, 1, 8, 1, 1, 0, split="drawn")
    assert {name: len(problems) for name, problems in maze.splits(tiny).items()} == {
        "train": 6,
        "validation": 1,
        "heldout": 1,
    }
    with pytest.raises(ValueError, match="problems=9: only 8 found"):
        maze.splits(dataclasses.replace(tiny, problems=9))
    with pytest.raises(ValueError, match="problems=9: only 0 found"):
        maze.splits(maze.MazeConfig(2, 2, 1, 3, 3, 1, 9, 1, 1, 0))


def test_effort_by_hand() -> None:
    assert maze.effort("R R R R", WEIGHTS) == pytest.approx(1.0)
    assert maze.effort("R R D D", WEIGHTS) == pytest.approx(1.5)
    assert maze.effort("D D R R", WEIGHTS) == pytest.approx(1.6)
    assert maze.effort("R D R D", WEIGHTS) == pytest.approx(2.5)
    assert maze.effort("U", WEIGHTS) > maze.effort("L", WEIGHTS) > maze.effort("D", WEIGHTS) > maze.effort("R", WEIGHTS)


def test_the_task_by_name_and_its_experiments() -> None:
    assert tasks.get("maze") is maze.TASK
    perfect, looped = load(CPU / "maze-perfect.yaml"), load(CPU / "maze-looped.yaml")
    assert looped.task == dataclasses.replace(perfect.task, loops=looped.task.loops)
    assert (perfect.task.loops, looped.task.loops > 0) == (0, True)
    assert isinstance(looped.base, from_scratch.BaseConfig)
    assert isinstance(perfect.base, from_scratch.BaseConfig)
    assert looped.base == dataclasses.replace(perfect.base, steps=looped.base.steps)
    alike = {"name": perfect.name, "task": perfect.task, "base": perfect.base, "methods": perfect.methods}
    assert dataclasses.replace(looped, **alike) == perfect
    gpu = load(ROOT / "rl" / "experiments" / "gpu" / "maze-17.yaml")
    assert gpu.task.split == "classes"
    assert (2 * gpu.task.rows + 1, 2 * gpu.task.columns + 1, gpu.task.loops) == (17, 17, 0)
    for one in (perfect, looped, gpu):
        assert one.evaluate.max_tokens == one.train.max_completion_length == one.task.limit + 1


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    whole = load(CPU / "maze-looped.yaml")
    assert isinstance(whole.base, from_scratch.BaseConfig)
    small = dataclasses.replace(whole.base, layers=1, width=32, heads=2, feedforward=64, steps=100, batch=64, warmup=5)
    experiment = SimpleNamespace(scale="cpu", task=CONFIG, base=small)
    return from_scratch.base_model(experiment, 0, tmp_path_factory.mktemp("maze"))


def test_symbols_are_tokens_and_come_back(base: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    for one in maze.splits(CONFIG)["validation"]:
        for text in (one.prompt, *(text for strings in maze.solutions(one).values() for text in strings)):
            ids = tokenizer(text)["input_ids"]
            assert len(ids) == len(text.split())
            assert tokenizer.unk_token_id not in ids
            assert tokenizer.decode(ids) == text
        assert len(tokenizer(one.prompt)["input_ids"]) == 13


def test_exact_masses_are_those_of_sampling_and_nothing_lies_outside(base: Any) -> None:
    problems = maze.splits(CONFIG)["heldout"][:6]
    n = 2000
    how = Sampling(n, 1.0, 1.0, 0, CONFIG.limit + 1, 0, "transformers")
    completions = complete(base, [one.prompt for one in problems], how, "cpu")
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    found = evaluate_exact(network, AutoTokenizer.from_pretrained(base), problems, (1,), maze.solutions)
    assert found["C"].between(0, 1).all()
    assert found["C"].max() > 0.01
    for mass, one, drawn in zip(found["C"], problems, completions):
        correct = sum(bool(maze.verify(one, each.text).correct) for each in drawn)
        assert correct / n == pytest.approx(mass, abs=5 * np.sqrt(max(mass * (1 - mass), 1e-3) / n))
        assert {each.text for each in drawn if maze.verify(one, each.text).correct} <= {
            text for strings in maze.solutions(one).values() for text in strings
        }


def test_a_base_model_is_evaluated(base: Any) -> None:
    how = dataclasses.replace(load(CPU / "maze-looped.yaml").evaluate, ks=(1, 4), samples=8, max_tokens=10)
    found = evaluate(base, maze, maze.splits(CONFIG)["heldout"], how, seed=0)
    assert 0 < found.summary["C"] < 1
    assert found.summary["outside"]["found"] == 0
    assert sum(found.summary["reasons"].values()) == 400
    assert set(found.summary["reasons"]) <= {
        "correct",
        "through a wall",
        "cell twice",
        "not at the goal",
        "too long",
        "empty",
        "unexpected character",
    }


def test_rewards_for_training() -> None:
    one = example()
    rewards = Rewards(maze, [one])
    texts = ["D R R", "R R D", "R R"]
    assert rewards.reward(texts, [one.id] * 3) == [1.0, 1.0, 0.0]
    assert rewards.answers(texts, [one.id] * 3) == ["DRR", "RRD", "RR"]
