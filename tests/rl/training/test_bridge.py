"""The trainer's step against the theory's, on a tabular policy: every group enumerated, then by Monte Carlo."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridge import World, averaged_step, steps

import differential_smoothing.methods.logprob
import differential_smoothing.smoothing
from differential_smoothing import methods
from differential_smoothing.methods import Method
from theory import groups, sampled, shaping
from theory.sampled import Grpo
from theory.shaping import Shaping

pytestmark = pytest.mark.bridge

WORLD = World()
P = np.array(WORLD.p0)
K = np.array(WORLD.correct)
N = 4
TOLERANCE = 1e-6
EPS = 1e-4  # TRL's, added to the std
GP, GN = 0.3, 0.2

# One rollout's advantages in a group, from the paper's formulas: (log-probs, correct) -> (N,)
Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def scaled(reward: np.ndarray, std: bool) -> np.ndarray:
    centered = reward - reward.mean()
    return centered / (reward.std(ddof=1) + EPS) if std else centered


def ds_term(logp: np.ndarray, good: np.ndarray, centered: bool = False) -> np.ndarray:
    term = np.empty(len(logp))
    for who, coefficient in ((good, -GP), (~good, GN)):
        own = logp[who]
        term[who] = coefficient * (own - own.mean() if centered and len(own) else own)
    return term


def lengths(rows: tuple[int, ...]) -> int:
    return sum(len(WORLD.trajectories[y]) for y in rows)


def expected(formula: Formula, dapo: bool = False) -> np.ndarray:
    """Brute force over all m^N ordered groups: sum of A_i (e_{y_i} - pi), by N, or by the group's tokens for `dapo`."""
    total = np.zeros(len(P))
    for rows in itertools.product(range(len(P)), repeat=N):
        index = np.array(rows)
        advantages = formula(np.log(P[index]), K[index])
        step = np.bincount(index, weights=advantages, minlength=len(P)) - advantages.sum() * P
        total += np.prod(P[index]) * step / (lengths(rows) if dapo else N)
    return total


def ds(**options: Any) -> Method:
    return methods.get("ds-grpo", gamma_p=GP, gamma_n=GN, **options)


CASES: dict[str, tuple[Method, Formula]] = {
    "vanilla": (methods.get("grpo"), lambda logp, good: scaled(good * 1.0, True)),
    "ds": (ds(), lambda logp, good: scaled(good * 1.0, True) + ds_term(logp, good)),
    "ds-reward": (ds(apply_to="reward"), lambda logp, good: scaled(good + ds_term(logp, good), True)),
    "ds-reward-without-std": (
        ds(apply_to="reward", std=False),
        lambda logp, good: scaled(good + ds_term(logp, good), False),
    ),
    "ds-without-std": (ds(std=False), lambda logp, good: scaled(good * 1.0, False) + ds_term(logp, good)),
    "ds-centered": (
        methods.get("ds-grpo-centered", gamma_p=GP, gamma_n=GN),
        lambda logp, good: scaled(good * 1.0, True) + ds_term(logp, good, centered=True),
    ),
    "ds-mixed-groups-alone": (
        ds(zero_variance_groups="zero"),
        lambda logp, good: (scaled(good * 1.0, True) + ds_term(logp, good)) * (0 < good.mean() < 1),
    ),
    "logprob-bonus": (
        methods.get("logprob-bonus", gamma=GP),
        lambda logp, good: scaled(good * 1.0, True) - GP * (logp - logp.mean()),
    ),
    "logprob-penalty": (
        methods.get("logprob-penalty", gamma=-GP),
        lambda logp, good: scaled(good * 1.0, True) + GP * (logp - logp.mean()),
    ),
}


@pytest.mark.parametrize("loss", ["dr_grpo", "dapo"])
@pytest.mark.parametrize("case", CASES)
def test_averaged_step_is_the_formula_summed_over_all_groups(case: str, loss: str, tmp_path: Path) -> None:
    method, formula = CASES[case]
    settings = {"loss_type": loss, **({"learning_rate": 1.0} if loss == "dapo" else {})}
    found = averaged_step(WORLD, tmp_path, N, method=method, settings=settings)
    wanted = expected(formula, dapo=loss == "dapo")
    assert np.abs(wanted).max() > 1e-2
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


STD, WITHOUT = Grpo(ddof=1, eps=EPS), Grpo(std=False)


def t10(shape: Shaping, options: Grpo = STD) -> np.ndarray:
    return sampled.expected_step(np.log(P), K, N, shape, options)


def t2() -> np.ndarray:
    return groups.mean_step(P, K, N, ddof=1, eps=EPS)


def t10_logprob(gamma: float) -> np.ndarray:
    """Its term is what the entropy form adds to a reward that is centered by its group and not divided."""
    reward = Grpo(place="reward", std=False)
    return t2() + t10(shaping.entropy(gamma), reward) - t10(shaping.vanilla(), reward)


THEORY: dict[str, Callable[[], np.ndarray]] = {
    "vanilla": t2,
    "ds": lambda: t10(shaping.ds(GP, GN)),
    "ds-reward": lambda: t10(shaping.ds(GP, GN), Grpo(place="reward", ddof=1, eps=EPS)),
    "ds-reward-without-std": lambda: t10(shaping.ds(GP, GN), Grpo(place="reward", std=False)),
    "ds-without-std": lambda: t10(shaping.ds(GP, GN), WITHOUT),
    "ds-centered": lambda: t10(shaping.ds_centered(GP, GN)),
    "ds-mixed-groups-alone": lambda: t10(shaping.ds(GP, GN), Grpo(ddof=1, eps=EPS, drop_uniform=True)),
    "logprob-bonus": lambda: t10_logprob(GP),
    "logprob-penalty": lambda: t10_logprob(-GP),
}


@pytest.mark.parametrize("case", CASES)
def test_averaged_step_is_the_theorems(case: str, tmp_path: Path) -> None:
    found = averaged_step(WORLD, tmp_path, N, method=CASES[case][0])
    np.testing.assert_allclose(found, THEORY[case](), rtol=0, atol=TOLERANCE)


def test_vanilla_is_t2_and_t10_alike() -> None:
    np.testing.assert_allclose(t2(), t10(shaping.vanilla()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_other_group_sizes(size: int, tmp_path: Path) -> None:
    """T2 for vanilla; T10's closed form for what centering adds to it."""
    vanilla, centered = (
        averaged_step(WORLD, tmp_path, size, method=method)
        for method in (methods.get("grpo"), methods.get("ds-grpo-centered", gamma_p=GP))
    )
    np.testing.assert_allclose(vanilla, groups.mean_step(P, K, size, ddof=1, eps=EPS), rtol=0, atol=TOLERANCE)
    part = sampled.centered_ds_part(np.log(P), K, size, GP)
    np.testing.assert_allclose(centered - vanilla, part, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(3))
def test_other_policies(seed: int, tmp_path: Path) -> None:
    """Random skews, masses down to 1e-4, on the same trajectories."""
    rng = np.random.default_rng(seed)
    p0 = rng.dirichlet(np.full(5, 0.7)) * (1 - 5e-4) + 1e-4
    world = World(p0=tuple(p0))
    found = averaged_step(world, tmp_path, N, method=CASES["ds-centered"][0])
    wanted = sampled.expected_step(np.log(p0), K, N, shaping.ds_centered(GP, GN), STD)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_a_flipped_sign_in_the_theory_is_noticed(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In T2, the sign of what incorrect trajectories lose; in T10, the sign of the term."""
    if case == "vanilla":
        real_factor = groups.incorrect_factor
        monkeypatch.setattr(groups, "incorrect_factor", lambda *a, **k: -real_factor(*a, **k))
    else:
        real_term = Shaping.term
        monkeypatch.setattr(Shaping, "term", lambda self, *arguments: -real_term(self, *arguments))
    found = averaged_step(WORLD, tmp_path, N, method=CASES[case][0])
    assert np.abs(found - THEORY[case]()).max() > 100 * TOLERANCE


def test_token_reduction_smooths_each_token_by_its_own_log_prob(tmp_path: Path) -> None:
    """Sum over tokens of (A_i + term_t) grad log pi(token | prefix), with the gradient written out for the table."""

    def tokens(y: int) -> list[tuple[float, np.ndarray]]:
        """For each token of y: its log-probability and the gradient of that."""
        found = []
        for t in range(len(WORLD.trajectories[y])):
            before, after = (
                np.array([z[:n] == WORLD.trajectories[y][:n] for z in WORLD.trajectories]) * P for n in (t, t + 1)
            )
            found.append((np.log(after.sum() / before.sum()), after / after.sum() - before / before.sum()))
        return found

    total = np.zeros(len(P))
    for rows in itertools.product(range(len(P)), repeat=N):
        base = scaled(K[list(rows)] * 1.0, True)
        for y, advantage in zip(rows, base):
            for logp, gradient in tokens(y):
                term = -GP * logp if K[y] else GN * logp
                total += np.prod(P[list(rows)]) * (advantage + term) * gradient / N
    found = averaged_step(WORLD, tmp_path, N, method=ds(logprob_aggregation="token"))
    np.testing.assert_allclose(found, total, rtol=0, atol=TOLERANCE)


def test_a_flipped_reward_in_the_trainer_is_noticed(tmp_path: Path) -> None:
    def flipped(completion_ids: Any, **_: Any) -> list[float]:
        return [1 - value for value in WORLD.reward(completion_ids)]

    found = averaged_step(WORLD, tmp_path, N, method="grpo", reward_funcs=flipped)
    assert np.abs(found - t2()).max() > 100 * TOLERANCE


@pytest.mark.parametrize("case", ["ds", "ds-reward", "ds-centered", "logprob-bonus"])
def test_a_flipped_sign_in_the_trainer_is_noticed(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = CASES[case][0]
    module = differential_smoothing.methods.logprob if case.startswith("logprob") else differential_smoothing.smoothing
    real = module.aggregate_logps

    def flipped(*arguments: Any) -> tuple[Any, Any]:
        logp, where = real(*arguments)
        return -logp, where

    monkeypatch.setattr(module, "aggregate_logps", flipped)
    found = averaged_step(WORLD, tmp_path, N, method=method)
    assert np.abs(found - THEORY[case]()).max() > 100 * TOLERANCE


@pytest.mark.parametrize("case", ["vanilla", "ds", "ds-centered"])
def test_monte_carlo_through_generate(case: str, tmp_path: Path) -> None:
    """No rollouts handed in: the model generates; the mean step lies within its error, a flipped one does not."""
    method, per_update, updates = CASES[case][0], 16, 120
    args = WORLD.settings(
        tmp_path, num_generations=N, per_device_train_batch_size=N * per_update, max_steps=updates, seed=1
    )
    found = steps(WORLD.trainer(args, method=method))
    error = found.std(axis=0, ddof=1) / np.sqrt(updates)
    wanted = THEORY[case]()
    assert (np.abs(found.mean(axis=0) - wanted) < 4.5 * error).all()
    assert (np.abs(found.mean(axis=0) + wanted) > 4.5 * error).any()
    assert error.max() < 0.1 * np.abs(wanted).max()
