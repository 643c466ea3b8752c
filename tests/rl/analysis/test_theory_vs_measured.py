"""T11 and T12 beside trained models: a tabular policy does what T11 says and DS does not; orders are told apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import write_run

from rl.analysis.results import ResultError, Results, load
from rl.analysis.theory_vs_measured import agreement, covered, measured, off_orbit, permutation_p, predicted

OPTIONS: dict[str, dict[str, Any]] = {
    "grpo": {},
    "maxrl": {"unbiased": False},
    "ds-grpo": {"gamma_p": 0.3, "gamma_n": 0.02, "base": "grpo"},
    "passk-training": {"k": 2},
    "entropy-bonus": {"entropy_coef": 0.03},
}
Reward = Callable[[np.ndarray, np.ndarray], np.ndarray]


def write(out: Path, method: str, seed: int, c: np.ndarray, gini: np.ndarray | float = 0.5) -> None:
    write_run(out, method, seed, c, options=OPTIONS[method], gini=gini)


def trained(seed: int, reward: Reward, steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """C and Gini–Simpson of pi_K of 200 tabular policies after Euler steps of the mean policy gradient; 4 of 8 right.

    The reward is of (log pi, p), (problems, 8); no closed form of the theory is used.
    """
    log_p = np.log(np.random.default_rng(seed).dirichlet(np.full(8, 0.8), 200) + 1e-6)
    for _ in range(steps):
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        pi = np.exp(log_p)
        r = reward(log_p, pi[:, :4].sum(axis=1, keepdims=True))
        log_p += 0.01 * pi * (r - (pi * r).sum(axis=1, keepdims=True))
    right = np.exp(log_p)[:, :4] / np.exp(log_p).sum(axis=1, keepdims=True)
    c = right.sum(axis=1)
    return c, 1 - ((right / c[:, None]) ** 2).sum(axis=1)


def paid(weight: Callable[[np.ndarray], np.ndarray], gamma_p: float = 0.0) -> Reward:
    correct = np.arange(8) < 4
    return lambda log_p, p: correct * (weight(p) - gamma_p * log_p)


def test_at_equal_success_tabular_methods_of_the_rewards_are_equally_diverse_and_ds_is_not(tmp_path: Path) -> None:
    rewards = {"grpo": paid(np.ones_like), "maxrl": paid(lambda p: 1.2 / (p + 0.3)), "ds-grpo": paid(np.ones_like, 0.3)}
    for seed in range(3):
        for method, reward in rewards.items():
            write(tmp_path, method, seed, *trained(seed, reward))
    results = load("demo", tmp_path)
    same, other = off_orbit(results, "maxrl"), off_orbit(results, "ds-grpo")
    assert abs(same["mean"]) < 0.003 < 0.015 < other["low"]
    # without looking at equal C, MaxRL seems to be more or less diverse on each seed
    plain = [
        results.of("maxrl")[s].problems["gini_simpson"] - results.of("grpo")[s].problems["gini_simpson"]
        for s in range(3)
    ]
    assert all(abs(one.mean()) > 0.003 for one in plain)


def test_problems_with_one_answer_cannot_be_compared(tmp_path: Path) -> None:
    for method in ("grpo", "maxrl"):
        write(tmp_path, method, 0, np.full(9, 0.5))
    with pytest.raises(ResultError, match="8 problems with several solutions near, and at different, C of grpo"):
        off_orbit(load("demo", tmp_path), "maxrl")


def ranked(out: Path, order: tuple[str, ...]) -> Results:
    """Pass@1 falls along `order`, Pass@128 rises."""
    for seed in range(3):
        for place, method in enumerate(order):
            hard = np.full(10, 1e-4 * (1 + 5 * place))
            write(out, method, seed, np.concatenate([hard, np.full(10, 0.8 - 0.05 * place + 0.01 * seed)]))
        write(out, "entropy-bonus", seed, np.full(20, 0.99))
    return load("demo", out)


def test_the_order_that_t12_predicts_is_recognized_and_its_reverse_is_not(tmp_path: Path) -> None:
    order = ("grpo", "passk-training", "maxrl")
    right, wrong = (agreement(ranked(tmp_path / str(i), one)) for i, one in enumerate((order, order[::-1])))
    assert [one[name] for one in right for name in ("k", "mean", "p")] == pytest.approx([1, 1, 1 / 6, 128, 1, 1 / 6])
    assert [one[name] for one in wrong for name in ("k", "mean", "p")] == pytest.approx([1, -1, 1, 128, -1, 1])
    assert [one["methods"] for one in right] == [
        3,
        3,
    ]  # T12 says nothing of the entropy bonus


def test_p_is_the_share_of_orders_that_agree_as_well() -> None:
    expected, found = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])
    concordant = [sum(a < b for i, a in enumerate(one) for b in one[i + 1 :]) for one in permutations(range(4))]
    assert permutation_p(expected, found) == pytest.approx(np.mean([count >= 5 for count in concordant]))


def test_fewer_than_three_methods_have_no_order(tmp_path: Path) -> None:
    for method in ("grpo", "maxrl"):
        write(tmp_path, method, 0, np.full(20, 0.5))
    with pytest.raises(ResultError, match="an order needs three methods"):
        agreement(load("demo", tmp_path))


def test_the_limits_are_t12s_own(tmp_path: Path) -> None:
    """The table of T12 with groups of eight, here each found through the options of a recorded run."""
    for method in OPTIONS:
        write(tmp_path, method, 0, np.full(20, 0.5))
    results = load("demo", tmp_path)
    assert covered(results) == ["grpo", "ds-grpo", "maxrl", "passk-training"]
    table = predicted(results)
    assert table.loc["grpo"].tolist() == pytest.approx([0.75, 0.75], abs=2e-3)
    assert table.loc["maxrl"].tolist() == pytest.approx([0.643, 0.963], abs=2e-3)
    assert table.loc["passk-training"].tolist() == pytest.approx([0.674, 0.933], abs=2e-3)
    assert set(measured(results)["k"]) == {1, 128}
