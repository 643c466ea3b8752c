"""T11 against the code that trains: each method's expected step, and which methods leave the orbit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from differential_smoothing import methods
from differential_smoothing.methods import METHODS
from differential_smoothing.rollouts import Rollouts, normalize
from theory import policies, weights

SIZE = 4
LOG_P = policies.log_base([0.3, 0.1, 0.35, 0.25])
CORRECT = np.array([True, True, False, False])
EPS = 1e-4  # TRL's, beside the std
# The registry's reward-only methods and their tables; those that TRL itself normalizes come by `base`
TABLES = {
    "grpo": weights.grpo(SIZE, eps=EPS),
    "clip-higher": weights.grpo(SIZE, eps=EPS),  # on-policy there is nothing to clip
    "gspo": weights.grpo(SIZE, eps=EPS),  # likewise
    "dapo-sampling": weights.grpo(SIZE, eps=EPS),  # of each group; it decides which prompts a batch holds
    "dr-grpo": weights.dr_grpo(SIZE),
    "maxrl": weights.maxrl(SIZE),
    "f-grpo": weights.f_grpo(SIZE, eps=EPS),
    "passk-training": weights.passk_training(SIZE, 4),
    "pkpo": weights.pkpo(SIZE, 4),
    "w-reinforce": weights.reinforce(SIZE, 0.1, 1.0),
    "psr": weights.reinforce(SIZE, 1.0, 0.0),
    "nsr": weights.reinforce(SIZE, 0.0, 1.0),
    "bbg": weights.bbg(SIZE, 16, 0.01, 0.1),
}


def advantages(
    name: str | methods.Method, group: tuple[int, ...], log_p: np.ndarray = LOG_P, same: bool = True, longest: int = 1
) -> np.ndarray:
    """Of one group of trajectories. same: whether equal trajectories count as equal answers.

    longest: all trajectories have one token, but for the last rollout of the group.
    """
    method = methods.get(name) if isinstance(name, str) else name
    chosen = np.array(group)
    rewards = torch.tensor(CORRECT[chosen], dtype=torch.float64)
    groups = torch.zeros(SIZE, dtype=torch.long)
    std = method.trl.get("scale_rewards") != "none" and (method.options is None or method.options.std)
    base = normalize(rewards, groups, std)
    if method.advantages is None:
        return base.numpy()
    rows = Rollouts(
        rewards=rewards,
        base=base,
        logps=torch.tensor(log_p[chosen])[:, None].expand(SIZE, longest),
        mask=torch.arange(longest) < torch.tensor([*[1] * (SIZE - 1), longest])[:, None],
        correct=rewards.long(),
        groups=groups,
        answers=torch.tensor(chosen if same else np.arange(SIZE)),
        entropies=torch.tensor(-log_p[chosen])[:, None].expand(SIZE, longest),
        reference=torch.full((SIZE, longest), -1.0, dtype=torch.float64),
        seen=torch.tensor(9 * chosen if same else np.zeros(SIZE)),
    )
    found = method.advantages(rows, method.options)
    return (found if found.dim() == 1 else found.mean(dim=1)).numpy()


@pytest.mark.parametrize("name", TABLES)
def test_expected_step_by_all_ordered_groups(name: str) -> None:
    total = np.zeros(len(LOG_P))
    for group in itertools.product(range(len(LOG_P)), repeat=SIZE):
        given = advantages(name, group)
        pull = np.bincount(group, weights=given, minlength=len(LOG_P))
        total += np.exp(LOG_P[list(group)].sum()) * (pull - np.exp(LOG_P) * given.sum()) / SIZE
    # Pass@k training and MaxRL divide by something + 1e-6
    np.testing.assert_allclose(total, weights.mean_step(TABLES[name], LOG_P, CORRECT), rtol=0, atol=5e-6)


def test_every_method_is_on_one_list() -> None:
    assert set(TABLES) | set(weights.LEAVES) == set(METHODS)
    assert not set(TABLES) & set(weights.LEAVES)


def test_adrpo_with_k1_is_decided_by_rewards_alone() -> None:
    """2 A − beta where the KL weight has no bound, so w = 2 g; where it has, correct rollouts keep A."""
    for lowest, table in (
        (-5.0, weights.Advantages(*(2 * a for a in (TABLES["grpo"].correct, TABLES["grpo"].incorrect)))),
        (0.0, weights.Advantages(TABLES["grpo"].correct, 2 * TABLES["grpo"].incorrect)),
    ):
        method = methods.get("adrpo", estimator="k1", lowest=lowest, beta=0.01)
        total = np.zeros(len(LOG_P))
        for group in itertools.product(range(len(LOG_P)), repeat=SIZE):
            given = advantages(method, group)
            pull = np.bincount(group, weights=given, minlength=len(LOG_P))
            total += np.exp(LOG_P[list(group)].sum()) * (pull - np.exp(LOG_P) * given.sum()) / SIZE
        step = weights.mean_step(table, LOG_P, CORRECT)
        # the constant beta has no mean step; with the bound it is there on incorrect rollouts alone
        assert np.abs(total - step).max() < (1e-9 if lowest else 0.01)


@pytest.mark.parametrize("name", TABLES)
def test_rewards_alone_decide(name: str) -> None:
    other = policies.log_base([0.1, 0.3, 0.25, 0.35])
    for group in ((0, 0, 1, 2), (0, 1, 2, 3), (2, 2, 3, 3)):
        assert np.array_equal(advantages(name, group), advantages(name, group, other, same=False, longest=3))


IN_THE_LOSS = {"entropy-bonus", "entropy-penalty", "kl-base", "simko", "rlep"}  # not in the advantages


@pytest.mark.parametrize("name", sorted(set(weights.LEAVES) - IN_THE_LOSS))
def test_what_leaves_the_orbit_looks_at_more_than_rewards(name: str) -> None:
    other = policies.log_base([0.1, 0.3, 0.25, 0.35])
    differs = []
    for group in ((0, 0, 1, 2), (0, 1, 2, 3), (0, 1, 1, 3)):
        before = advantages(name, group)
        differs += [
            not np.allclose(before, advantages(name, group, other)),
            not np.allclose(before, advantages(name, group, same=False)),
            not np.allclose(before, advantages(name, group, longest=3)),
        ]
    assert any(differs)
