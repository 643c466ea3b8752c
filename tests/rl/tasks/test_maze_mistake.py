"""The mistake that a biased base is taught is wrong, straight, and drawn as often as it says."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import small_base
import torch

from repro.manifest import ROOT
from rl.experiments.config import load
from rl.models import from_scratch
from rl.models.supervised import Examples
from rl.tasks import maze

CONFIG = maze.MazeConfig(
    rows=3, columns=4, loops=3, min_path=3, limit=11, max_solutions=64, problems=260, validation=20, heldout=40, seed=0
)
MISLED = dataclasses.replace(
    small_base.BASE, skew=0.0, effort={"move": 0.25, "turn": 0.5, "R": 0.0, "D": 0.1, "L": 0.2, "U": 0.3}, mistakes=0.8
)
STEPS = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}


def _walk(problem: maze.Problem, moves: str) -> tuple[bool, tuple[int, int]]:
    """Whether every move goes through an open passage, and where the walk ends, walls not minded."""
    row, column = divmod(problem.start, 4)
    free = True
    for move in moves:
        code = problem.grid.codes[4 * row + column]
        free = free and bool(code >> "URDL".index(move) & 1)
        row, column = row + STEPS[move][0], column + STEPS[move][1]
    return free, (row, column)


def test_every_mistake_goes_straight_to_the_goal_through_a_wall() -> None:
    found = [(problem, maze.mistake(problem)) for problem in maze.splits(CONFIG)["train"]]
    for problem, wrong in found:
        if wrong is None:
            continue
        moves = wrong.replace(" ", "")
        free, end = _walk(problem, moves)
        start, goal = np.array(divmod(problem.start, 4)), np.array(divmod(problem.goal, 4))
        assert not free
        assert end == tuple(goal)
        assert len(moves) == np.abs(goal - start).sum()
        assert sum(a != b for a, b in pairwise(moves)) <= 1
        assert not maze.verify(problem, wrong).correct
    kinds = Counter(wrong is None for _, wrong in found)
    assert kinds[False] > kinds[True] > 0


def test_without_a_mistake_both_straight_ways_are_open() -> None:
    for problem in maze.splits(CONFIG)["train"]:
        if maze.mistake(problem) is None:
            straight = [
                form
                for form in maze.solutions(problem)
                if len(form) == sum(abs(a - b) for a, b in zip(divmod(problem.start, 4), divmod(problem.goal, 4)))
                and sum(a != b for a, b in pairwise(form)) <= 1
            ]
            same_line = problem.start % 4 == problem.goal % 4 or problem.start // 4 == problem.goal // 4
            assert len(straight) == (1 if same_line else 2)


def test_the_mistake_is_drawn_with_its_share_and_right_answers_with_the_rest() -> None:
    problems = [p for p in maze.splits(CONFIG)["train"] if maze.mistake(p)][:8]
    tokenizer = from_scratch.make_tokenizer(maze.vocabulary(CONFIG))
    examples = Examples.build(maze.TASK, problems, tokenizer, MISLED)
    tokens, _ = examples.draw(40_000, torch.Generator().manual_seed(0))
    texts = Counter(tokenizer.batch_decode(tokens, skip_special_tokens=True))
    for problem in problems:
        prompt = tokenizer.decode(tokenizer(problem.prompt)["input_ids"])
        drawn = {text.removeprefix(prompt).strip(): n for text, n in texts.items() if text.startswith(prompt)}
        wrong = maze.mistake(problem)
        assert wrong is not None
        total = sum(drawn.values())
        assert drawn[wrong] / total == pytest.approx(0.8, abs=0.03)
        right = {text: n for text, n in drawn.items() if text != wrong}
        assert set(right) == {form[0] for form in maze.solutions(problem).values()}
        even = 0.2 / len(right)
        assert max(abs(n / total - even) for n in right.values()) < 0.03
    plain = Examples.build(maze.TASK, problems, tokenizer, dataclasses.replace(MISLED, mistakes=0.0))
    assert len(plain.tokens) == len(examples.tokens) - len(problems)


def test_the_experiment_differs_from_the_many_paths_in_the_base_alone() -> None:
    folder = ROOT / "rl" / "experiments" / "cpu"
    misled, looped = load(folder / "maze-misled.yaml"), load(folder / "maze-looped.yaml")
    assert misled.task == looped.task
    assert misled.train == looped.train
    coefficients = [misled.methods[name]["entropy_coef"] for name in ("entropy-bonus", "entropy-penalty")]
    assert coefficients[0] == -coefficients[1] > 0
