"""The DS term against a slow loop written from the formulas, and the facts that any implementation must keep."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import differential_smoothing.smoothing
from differential_smoothing.methods import BASES, get
from differential_smoothing.methods.logprob import LogprobConfig, logprob_bonus
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts, normalize
from differential_smoothing.smoothing import SmoothingConfig, smooth

OPTIONS = [
    SmoothingConfig(0.3, 0.07, aggregation, apply_to, center, std, flat)
    for aggregation, apply_to, center, std, flat in itertools.product(
        ("sum", "mean", "token"), ("advantage", "reward"), (False, True), (True, False), ("keep", "zero")
    )
    if not (aggregation == "token" and apply_to == "reward")
]


def slow_base(rows: Rollouts, base: str) -> list[float]:
    """The base advantages from their papers' formulas, one rollout at a time; k = 4 by enumeration of all subsets."""
    rewards, correct, groups = rows.rewards.tolist(), rows.correct.tolist(), rows.groups.tolist()
    grpo = slow_normalize(rewards, groups, std=True)
    if base in ("grpo", "dr-grpo"):
        return slow_normalize(rewards, groups, std=base == "grpo")
    out = []
    for i, (own, right) in enumerate(zip(grpo, correct)):
        mates = [j for j, c in enumerate(correct) if groups[j] == groups[i] and c != UNSCORABLE]
        hits = sum(correct[j] == CORRECT for j in mates)
        best = {s: max(correct[j] == CORRECT for j in s) for s in itertools.combinations(mates, 4)}
        if right == UNSCORABLE:
            out.append(own if base == "f-grpo" else 0.0)
        elif base == "f-grpo":
            out.append(math.sqrt(1 - hits / len(mates)) * own)
        elif base in ("w-reinforce", "psr", "nsr", "bbg"):
            earned, paid = {"psr": (1.0, 0.0), "nsr": (0.0, 1.0)}.get(base, (0.1, 1.0))
            weight = slow_bbg(len(mates), hits) if base == "bbg" else 1.0
            out.append(weight * (earned if right == CORRECT else -paid))
        elif base == "maxrl":
            accuracy = hits / len(mates)
            out.append(((right == CORRECT) - accuracy) / (accuracy + 1e-6) if hits else 0.0)
        elif base == "passk-training":
            out.append(slow_passk(best, i) if hits and len(mates) - hits >= 4 else 0.0)
        else:
            added = [value - max(correct[j] == CORRECT for j in s if j != i) for s, value in best.items() if i in s]
            out.append(len(mates) * sum(added) / len(best) if best else 0.0)
    return out


def slow_bbg(size: int, hits: int) -> float:
    """u(c) / u(1), u the mean of 16 (1 − p)^15 under Beta(c + 1, N − c + 1); 0 below .01 (N + 1)."""

    def u(c: int) -> float:
        return 16 * math.comb(size, c) * (size + 1) / (math.comb(size + 15, c) * (size + 16))

    return 0.0 if u(hits) < 0.01 * (size + 1) else u(hits) / u(1)


def slow_passk(best: dict[tuple[int, ...], bool], i: int) -> float:
    """The mean over the subsets that hold i of (best − rho) / sigma."""
    rho = sum(best.values()) / len(best)
    own = [value for subset, value in best.items() if i in subset]
    return (sum(own) / len(own) - rho) / (math.sqrt(rho * (1 - rho)) + 1e-6)


def slow_normalize(rewards: list[float], groups: list[int], std: bool) -> list[float]:
    out = []
    for i, reward in enumerate(rewards):
        mates = [r for r, g in zip(rewards, groups) if g == groups[i] and not math.isnan(r)]
        if math.isnan(reward):
            out.append(0.0)
            continue
        mean = sum(mates) / len(mates)
        spread = math.sqrt(sum((r - mean) ** 2 for r in mates) / (len(mates) - 1)) if len(mates) > 1 else 0.0
        out.append((reward - mean) / (spread + 1e-4) if std else reward - mean)
    return out


def slow_smooth(rows: Rollouts, config: SmoothingConfig) -> np.ndarray:
    """One rollout, one token at a time."""
    rewards, base = rows.rewards.tolist(), rows.base.tolist()
    correct, groups = rows.correct.tolist(), rows.groups.tolist()
    mask, logps = rows.mask.tolist(), rows.logps.tolist()
    size, width = len(rewards), len(mask[0])

    def judged_by(i: int, t: int | None) -> float | None:
        counted = [logps[i][s] for s in range(width) if mask[i][s]]
        if t is not None:
            return logps[i][t] if mask[i][t] else None
        if not counted:
            return None
        return sum(counted) / (len(counted) if config.logprob_aggregation == "mean" else 1)

    def term(i: int, t: int | None) -> float:
        own = judged_by(i, t)
        if own is None or correct[i] == UNSCORABLE:
            return 0.0
        if config.center:
            mates = [judged_by(j, t) for j in range(size) if groups[j] == groups[i] and correct[j] == correct[i]]
            known = [m for m in mates if m is not None]
            own -= sum(known) / len(known)
        return -config.gamma_p * own if correct[i] == CORRECT else config.gamma_n * own

    columns: list[int | None] = list(range(width)) if config.logprob_aggregation == "token" else [None]
    if config.apply_to == "reward":
        flat = slow_normalize([rewards[i] + term(i, None) for i in range(size)], groups, config.std)
        out = np.array(flat)[:, None]
    else:
        out = np.array([[base[i] + term(i, t) for t in columns] for i in range(size)])
    if config.zero_variance_groups == "zero":
        for i in range(size):
            mates = [r for r, g in zip(rewards, groups) if g == groups[i] and not math.isnan(r)]
            if len(set(mates)) < 2:
                out[i] = 0.0
    return out if config.logprob_aggregation == "token" else out[:, 0]


def random_rows(seed: int, groups: int = 4, size: int = 5, width: int = 6) -> Rollouts:
    """Unequal lengths, some rows masked altogether, some unscorable, groups interleaved, NaN where nothing counts."""
    rng = np.random.default_rng(seed)
    count = groups * size
    group = rng.permutation(np.repeat(np.arange(groups), size)) + 10
    rewards = rng.integers(0, 2, count).astype(float)
    rewards[group == 10] = 1.0  # one group without spread
    correct = rewards.astype(int)
    unscorable = rng.random(count) < 0.15
    correct[unscorable] = UNSCORABLE
    rewards[unscorable & (rng.random(count) < 0.5)] = math.nan
    length = rng.integers(0, width + 1, count)
    mask = np.arange(width) < length[:, None]
    mask &= rng.random((count, width)) < 0.9  # holes, as tools leave them
    logps = np.where(mask, -rng.exponential(2.0, (count, width)), math.nan)
    rows = Rollouts(
        rewards=torch.tensor(rewards),
        base=torch.zeros(count, dtype=torch.float64),
        logps=torch.tensor(logps),
        mask=torch.tensor(mask.astype(int)),
        correct=torch.tensor(correct),
        groups=torch.tensor(group),
    )
    return dataclasses.replace(rows, base=normalize(rows.rewards, rows.groups, True))


@pytest.mark.parametrize("config", OPTIONS, ids=str)
def test_agrees_with_slow_loop(config: SmoothingConfig) -> None:
    for seed in range(12):
        rows = random_rows(seed)
        counted = rows.mask.bool().numpy() if config.logprob_aggregation == "token" else slice(None)
        np.testing.assert_allclose(
            smooth(rows, config).numpy()[counted], slow_smooth(rows, config)[counted], rtol=1e-12, atol=1e-12
        )


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    groups=st.integers(1, 5),
    size=st.integers(1, 6),
    width=st.integers(1, 7),
    option=st.sampled_from(OPTIONS),
    gamma_p=st.floats(0, 3),
    gamma_n=st.floats(0, 3),
)
def test_agrees_with_slow_loop_on_any_shape(
    seed: int, groups: int, size: int, width: int, option: SmoothingConfig, gamma_p: float, gamma_n: float
) -> None:
    config = dataclasses.replace(option, gamma_p=gamma_p, gamma_n=gamma_n)
    rows = random_rows(seed, groups, size, width)
    if not config.active:
        assert torch.equal(smooth(rows, config), rows.base)
        return
    counted = rows.mask.bool().numpy() if config.logprob_aggregation == "token" else slice(None)
    np.testing.assert_allclose(
        smooth(rows, config).numpy()[counted], slow_smooth(rows, config)[counted], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("mutation", ["sign", "class", "uncentered", "mean", "masked"])
def test_loop_notices_mutations(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SmoothingConfig(0.3, 0.07, center=True)
    if mutation == "sign":
        monkeypatch.setattr(
            differential_smoothing.smoothing, "aggregate_logps", _wrap(lambda logp, where: (-logp, where))
        )
    elif mutation == "class":
        monkeypatch.setattr(differential_smoothing.smoothing, "CORRECT", INCORRECT)
    elif mutation == "uncentered":
        monkeypatch.setattr(differential_smoothing.smoothing, "group_mean", lambda value, *_: torch.zeros_like(value))
    elif mutation == "mean":
        monkeypatch.setattr(
            differential_smoothing.smoothing, "aggregate_logps", _wrap(lambda logp, where: (logp / 6, where))
        )
    else:
        monkeypatch.setattr(
            differential_smoothing.smoothing,
            "aggregate_logps",
            _wrap(lambda logp, where: (logp - 1.0 * ~where, where | True)),
        )
    rows = random_rows(0)
    assert (rows.mask.sum(dim=1) == 0).any()
    assert not np.allclose(smooth(rows, config).numpy(), slow_smooth(rows, config), rtol=1e-6, atol=1e-6)


def _wrap(change):
    real = differential_smoothing.smoothing.aggregate_logps
    return lambda *arguments: change(*real(*arguments))


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_gamma_zero_is_the_base_bit_for_bit(option: SmoothingConfig) -> None:
    rows = random_rows(3)
    rows = dataclasses.replace(rows, base=torch.cat([torch.tensor([-0.0, 0.1 + 0.2]), rows.base[2:].double()]))
    found = smooth(rows, dataclasses.replace(option, gamma_p=0.0, gamma_n=0.0))
    assert found.numpy().tobytes() == rows.base.numpy().tobytes()


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("aggregation", ["sum", "token"])
def test_the_term_on_every_base_against_slow_loops(base: str, aggregation: str) -> None:
    """With the term, and without it: then it is the base's own method."""
    method = get("ds-grpo", gamma_p=0.3, gamma_n=0.07, base=base, logprob_aggregation=aggregation)
    alone = get("ds-grpo", gamma_p=0.0, gamma_n=0.0, base=base)
    assert method.advantages is not None
    sizes = []
    for seed in range(12):
        rows = random_rows(seed, size=7)
        rows = dataclasses.replace(rows, base=normalize(rows.rewards, rows.groups, method.std))
        wanted = dataclasses.replace(rows, base=torch.tensor(slow_base(rows, base), dtype=torch.float64))
        found = method.advantages(method.on_base(rows), method.options).numpy()
        counted = rows.mask.bool().numpy() if aggregation == "token" else slice(None)
        slow = slow_smooth(wanted, SmoothingConfig(0.3, 0.07, aggregation))  # type: ignore[arg-type]
        np.testing.assert_allclose(found[counted], slow[counted], rtol=1e-9, atol=1e-9)
        without = method.advantages(alone.on_base(rows), alone.options).numpy()
        np.testing.assert_allclose(without, wanted.base.numpy(), rtol=1e-9, atol=1e-9)
        sizes.append(np.abs(without).max())
    assert max(sizes) > 0.5


def test_a_base_is_a_method_of_rewards_alone() -> None:
    """Its own entry of the registry gives the same advantages, whatever the log-probs and answers are."""
    rows = random_rows(3)
    other = dataclasses.replace(rows, logps=rows.logps - 1.0, answers=torch.arange(len(rows.base)))
    for base in BASES:
        method, itself = get("ds-grpo", gamma_p=0.0, gamma_n=0.0, base=base), get(base)
        assert torch.equal(method.on_base(rows).base, method.on_base(other).base)
        if itself.advantages is None:  # TRL makes them
            assert (method.std, method.active, method.whole_groups) == (itself.std, False, False)
        else:
            assert torch.equal(method.on_base(rows).base, itself.advantages(rows, itself.options))
            assert (method.active, method.whole_groups) == (True, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base": "maxrl", "apply_to": "reward"}, "base='maxrl' cannot go with apply_to='reward'"),
        ({"base": "ppo"}, "base='ppo' must be one of grpo, dr-grpo, maxrl, f-grpo, passk-training, pkpo"),
        ({"base": "dr-grpo", "std": True}, "base='dr-grpo' cannot go with std=True"),
    ],
)
def test_bad_bases_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get("ds-grpo", gamma_p=0.3, **options)


def test_a_preset_at_the_reward_takes_no_other_base() -> None:
    with pytest.raises(ValueError, match="base='maxrl' cannot go with apply_to='reward'"):
        get("authors-nov25", base="maxrl")


@pytest.mark.parametrize("logprob_aggregation", ["sum", "mean", "token"])
@pytest.mark.parametrize("center", [False, True])
def test_untouched_rows_keep_the_base_bit_for_bit(logprob_aggregation: str, center: bool) -> None:
    rows = random_rows(5)
    found = smooth(rows, SmoothingConfig(0.3, 0.0, logprob_aggregation, "advantage", center))  # type: ignore[arg-type]
    found = found if found.dim() == 2 else found[:, None]
    unscorable, masked = rows.correct == UNSCORABLE, rows.mask.sum(dim=1) == 0
    for who in (unscorable, masked, rows.correct == INCORRECT):
        assert who.any()
        assert torch.equal(found[who], rows.base[who, None].expand_as(found[who]))


@pytest.mark.parametrize("logprob_aggregation", ["sum", "mean", "token"])
def test_one_correct_rollout_centers_to_zero(logprob_aggregation: str) -> None:
    rows = random_rows(0, groups=1)
    correct = torch.tensor([CORRECT, INCORRECT, INCORRECT, INCORRECT, UNSCORABLE])
    rows = dataclasses.replace(rows, correct=correct, mask=torch.ones_like(rows.mask), logps=-torch.rand(5, 6).double())
    found = smooth(rows, SmoothingConfig(0.5, 0.0, logprob_aggregation, center=True))  # type: ignore[arg-type]
    assert torch.equal(found[0].unique(), rows.base[:1])


def test_centered_term_has_mean_zero_in_each_class() -> None:
    rows = random_rows(2)
    term = smooth(rows, SmoothingConfig(0.5, 0.2, center=True)) - rows.base
    has = rows.mask.sum(dim=1) > 0
    for group, code in itertools.product(rows.groups.unique(), (CORRECT, INCORRECT)):
        who = (rows.groups == group) & (rows.correct == code) & has
        assert abs(float(term[who].sum())) < 1e-12


def test_no_gradient_flows_through_the_term() -> None:
    rows = random_rows(2)
    logps = torch.zeros_like(rows.logps).requires_grad_()
    assert not smooth(dataclasses.replace(rows, logps=logps), SmoothingConfig(0.5)).requires_grad


def test_signs_by_hand() -> None:
    """Eq. 6 on two rollouts of -2 nats each: the correct one gains 2 gamma_p, the incorrect one loses 2 gamma_n."""
    rows = Rollouts(
        rewards=torch.tensor([1.0, 0.0]),
        base=torch.tensor([1.0, -1.0]),
        logps=torch.tensor([[-0.5, -1.5], [-2.0, 9.0]]),
        mask=torch.tensor([[1, 1], [1, 0]]),
        correct=torch.tensor([CORRECT, INCORRECT]),
        groups=torch.tensor([0, 0]),
    )
    assert smooth(rows, SmoothingConfig(0.1, 0.05)).tolist() == pytest.approx([1.2, -1.1])
    assert smooth(rows, SmoothingConfig(0.1, 0.05, "mean")).tolist() == pytest.approx([1.1, -1.1])
    token = smooth(rows, SmoothingConfig(0.1, 0.05, "token"))
    assert token[0].tolist() == pytest.approx([1.05, 1.15])
    assert token[1, 0] == pytest.approx(-1.1)
    reward = smooth(rows, SmoothingConfig(0.1, 0.05, apply_to="reward", std=False))
    assert reward.tolist() == pytest.approx([0.65, -0.65])  # rewards 1.2 and -0.1


def slow_logprob_bonus(rows: Rollouts, config: LogprobConfig, i: int, t: int) -> float:
    """A - gamma (log pi - mean over the group's scorable rollouts), for rollout i (and token t)."""

    def judged_by(j: int) -> float | None:
        kept = [float(rows.logps[j, s]) for s in range(rows.mask.shape[1]) if rows.mask[j, s]]
        if config.logprob_aggregation == "token":
            kept = [float(rows.logps[j, t])] if rows.mask[j, t] else []
        if not kept or rows.correct[j] == UNSCORABLE:
            return None
        return sum(kept) / (len(kept) if config.logprob_aggregation == "mean" else 1)

    own = judged_by(i)
    if own is None:
        return float(rows.base[i])
    known = [m for j in range(len(rows.base)) if rows.groups[j] == rows.groups[i] if (m := judged_by(j)) is not None]
    return float(rows.base[i]) - config.gamma * (own - sum(known) / len(known))


@pytest.mark.parametrize("logprob_aggregation", ["sum", "mean", "token"])
@pytest.mark.parametrize("gamma", [0.4, -0.4])
def test_logprob_bonus_against_slow_loop(logprob_aggregation: str, gamma: float) -> None:
    config = LogprobConfig(gamma, logprob_aggregation)  # type: ignore[arg-type]
    for seed in range(6):
        rows = random_rows(seed)
        found = logprob_bonus(rows, config).numpy()
        assert found.shape == (rows.mask.shape if logprob_aggregation == "token" else rows.base.shape)
        found = found.reshape(len(rows.base), -1)
        for i, t in itertools.product(range(len(found)), range(found.shape[1])):
            assert found[i, t] == pytest.approx(slow_logprob_bonus(rows, config, i, t), abs=1e-12)
    assert torch.equal(logprob_bonus(rows, LogprobConfig(0.0)), rows.base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma_p": -0.1}, "gamma_p=-0.1"),
        ({"gamma_n": math.nan}, "gamma_n=nan"),
        ({"logprob_aggregation": "max"}, "logprob_aggregation='max'"),
        ({"apply_to": "loss"}, "apply_to='loss'"),
        ({"center": "group"}, "center='group'"),
        ({"zero_variance_groups": "drop"}, "zero_variance_groups='drop'"),
        ({"std": "yes"}, "std='yes'"),
        ({"logprob_aggregation": "token", "apply_to": "reward"}, "logprob_aggregation='token'"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmoothingConfig(**options)


@pytest.mark.parametrize("options", [{"gamma": math.inf}, {"logprob_aggregation": "max"}, {"std": 1}])
def test_bad_logprob_options_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LogprobConfig(**options)


@pytest.mark.parametrize(("gammas", "touched"), [((0.0, 0.1), INCORRECT), ((0.1, 0.0), CORRECT)])
def test_a_class_without_a_gamma_has_no_term(gammas: tuple[float, float], touched: int) -> None:
    """The log's mean size of the term is over the rollouts that have one."""
    rows = random_rows(0)
    _, found = differential_smoothing.smoothing.ds_term(rows, SmoothingConfig(*gammas))
    assert set(rows.correct[found.squeeze(1)].tolist()) == {touched}
