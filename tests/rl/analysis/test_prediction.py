"""T7 on trained models: the gap of the base is read rightly, and a prediction that fails is called that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recorded import write_run

from rl.analysis.prediction import across_problems, foreseen, gain, gap, gaps
from rl.analysis.results import Results, load
from theory import heuristics
from theory.policies import log_mass


def tabular(rng: np.random.Generator, problems: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probs of a tabular base (problems, 8) and which trajectories are correct (problems, 8)."""
    log_p = np.log(rng.dirichlet(np.full(8, 0.7), problems) + 1e-9)
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    correct = np.zeros((problems, 8), dtype=bool)
    for row, count in zip(correct, rng.integers(1, 7, problems)):
        row[:count] = True
    return log_p, correct


def recorded(out: Path, sign: int = 1) -> Results:
    """Runs whose C is what T4's cross-entropy bonus does to a tabular base; sign −1 does the opposite instead."""
    rng = np.random.default_rng(3)
    for seed in range(3):
        log_p, correct = tabular(rng, 60)
        odds0 = np.array([log_mass(p, k) - log_mass(p, ~k) for p, k in zip(log_p, correct)])
        moved = sign * np.array([heuristics.gain(p, k, 0.9) for p, k in zip(log_p, correct)])
        means = [
            [float(np.average(p[part], weights=np.exp(p[part]))) for part in (k, ~k)] for p, k in zip(log_p, correct)
        ]
        base_gap = np.array([incorrect - right for right, incorrect in means])
        vanilla = odds0 + 1.0
        for method, odds in (("base", odds0), ("grpo", vanilla), ("entropy-bonus", vanilla + moved)):
            write_run(out, method, seed, 1 / (1 + np.exp(-odds)), gap=base_gap)
    return load("demo", out)


def test_the_gap_is_incorrect_minus_correct(tmp_path: Path) -> None:
    write_run(tmp_path, "base", 0, np.full(5, 0.3), gap=np.array([1.0, -2.0, 0.0, 3.0, np.nan]))
    results = load("demo", tmp_path)
    assert gap(results.of("base")[0]) == pytest.approx([1.0, -2.0, 0.0, 3.0, np.nan], nan_ok=True)
    assert gaps(results) == pytest.approx([0.5])


def test_the_gain_is_in_log_odds(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, "grpo", seed, np.full(4, 0.5))
        write_run(tmp_path, "entropy-bonus", seed, np.full(4, 0.8))
    assert gain(load("demo", tmp_path), "entropy-bonus")["mean"] == pytest.approx(np.log(4))


def test_a_tabular_bonus_is_foreseen_problem_by_problem_and_its_opposite_is_not(tmp_path: Path) -> None:
    right = across_problems(recorded(tmp_path / "a"), "entropy-bonus")
    wrong = across_problems(recorded(tmp_path / "b", sign=-1), "entropy-bonus")
    assert right["low"] > 0.5
    assert wrong["high"] < -0.5


def test_nothing_that_varies_is_no_correlation(tmp_path: Path) -> None:
    for method in ("base", "grpo", "entropy-bonus"):
        write_run(tmp_path, method, 0, np.full(4, 0.5))
    assert across_problems(load("demo", tmp_path), "entropy-bonus")["mean"] == 0.0


@pytest.mark.parametrize(
    ("gap_sides", "gain_sides", "penalty", "expected"),
    [
        ((1, 2), (0.1, 0.2), False, "as foreseen"),
        ((1, 2), (0.1, 0.2), True, "against"),
        ((-2, -1), (0.1, 0.2), True, "as foreseen"),
        ((-2, -1), (0.1, 0.2), False, "against"),
        ((-1, 1), (0.1, 0.2), False, "undecided"),
        ((1, 2), (-0.1, 0.2), False, "undecided"),
    ],
)
def test_foreseen(
    gap_sides: tuple[float, float], gain_sides: tuple[float, float], penalty: bool, expected: str
) -> None:
    intervals = ({"low": low, "high": high} for low, high in (gap_sides, gain_sides))
    assert foreseen(*intervals, penalty) == expected
