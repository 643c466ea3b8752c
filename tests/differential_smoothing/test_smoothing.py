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
from differential_smoothing.methods import get
from differential_smoothing.methods.logprob import LogprobConfig, logprob_bonus
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts, normalise
from differential_smoothing.smoothing import SmoothingConfig, smooth

OPTIONS = [
    SmoothingConfig(0.3, 0.07, reduction, place, centring, std, flat)
    for reduction, place, centring, std, flat in itertools.product(
        ("sum", "mean", "token"), ("advantage", "reward"), ("none", "group"), (True, False), ("keep", "zero")
    )
    if not (reduction == "token" and place == "reward")
]
OPTIONS += [
    SmoothingConfig(0.3, 0.07, reduction, base=base) for reduction in ("sum", "token") for base in ("maxrl", "f-grpo")
]


def slow_base(rows: Rollouts, base: str) -> list[float]:
    """The advantages before the term: GRPO's, (r − p) / p, or (1 − p)^(1/2) times GRPO's; p is the group's accuracy."""
    out = []
    for own, right, group in zip(rows.base.tolist(), rows.correct.tolist(), rows.groups.tolist()):
        mates = [c for c, g in zip(rows.correct.tolist(), rows.groups.tolist()) if g == group and c != UNSCORABLE]
        if base == "grpo" or (right == UNSCORABLE and base == "f-grpo"):
            out.append(own)
        elif right == UNSCORABLE or (base == "maxrl" and CORRECT not in mates):
            out.append(0.0)
        else:
            p = mates.count(CORRECT) / len(mates)
            out.append(((right == CORRECT) - p) / (p + 1e-6) if base == "maxrl" else math.sqrt(1 - p) * own)
    return out


def slow_normalise(rewards: list[float], groups: list[int], std: bool) -> list[float]:
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
    rewards, base = rows.rewards.tolist(), slow_base(rows, config.base)
    correct, groups = rows.correct.tolist(), rows.groups.tolist()
    mask, logps = rows.mask.tolist(), rows.logps.tolist()
    size, width = len(rewards), len(mask[0])

    def judged_by(i: int, t: int | None) -> float | None:
        counted = [logps[i][s] for s in range(width) if mask[i][s]]
        if t is not None:
            return logps[i][t] if mask[i][t] else None
        if not counted:
            return None
        return sum(counted) / (len(counted) if config.reduction == "mean" else 1)

    def term(i: int, t: int | None) -> float:
        own = judged_by(i, t)
        if own is None or correct[i] == UNSCORABLE:
            return 0.0
        if config.centring == "group":
            mates = [judged_by(j, t) for j in range(size) if groups[j] == groups[i] and correct[j] == correct[i]]
            known = [m for m in mates if m is not None]
            own -= sum(known) / len(known)
        return -config.gamma_p * own if correct[i] == CORRECT else config.gamma_n * own

    columns: list[int | None] = list(range(width)) if config.reduction == "token" else [None]
    if config.place == "reward":
        flat = slow_normalise([rewards[i] + term(i, None) for i in range(size)], groups, config.std)
        out = np.array(flat)[:, None]
    else:
        out = np.array([[base[i] + term(i, t) for t in columns] for i in range(size)])
    if config.flat_groups == "zero":
        for i in range(size):
            mates = [r for r, g in zip(rewards, groups) if g == groups[i] and not math.isnan(r)]
            if len(set(mates)) < 2:
                out[i] = 0.0
    return out if config.reduction == "token" else out[:, 0]


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
    return dataclasses.replace(rows, base=normalise(rows.rewards, rows.groups, True))


@pytest.mark.parametrize("config", OPTIONS, ids=str)
def test_agrees_with_slow_loop(config: SmoothingConfig) -> None:
    for seed in range(12):
        rows = random_rows(seed)
        counted = rows.mask.bool().numpy() if config.reduction == "token" else slice(None)
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
    counted = rows.mask.bool().numpy() if config.reduction == "token" else slice(None)
    np.testing.assert_allclose(
        smooth(rows, config).numpy()[counted], slow_smooth(rows, config)[counted], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("mutation", ["sign", "class", "uncentred", "mean", "masked"])
def test_loop_notices_mutations(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SmoothingConfig(0.3, 0.07, centring="group")
    if mutation == "sign":
        monkeypatch.setattr(differential_smoothing.smoothing, "reduce_logps", _wrap(lambda logp, where: (-logp, where)))
    elif mutation == "class":
        monkeypatch.setattr(differential_smoothing.smoothing, "CORRECT", INCORRECT)
    elif mutation == "uncentred":
        monkeypatch.setattr(differential_smoothing.smoothing, "group_mean", lambda value, *_: torch.zeros_like(value))
    elif mutation == "mean":
        monkeypatch.setattr(
            differential_smoothing.smoothing, "reduce_logps", _wrap(lambda logp, where: (logp / 6, where))
        )
    else:
        monkeypatch.setattr(
            differential_smoothing.smoothing,
            "reduce_logps",
            _wrap(lambda logp, where: (logp - 1.0 * ~where, where | True)),
        )
    rows = random_rows(0)
    assert (rows.mask.sum(dim=1) == 0).any()
    assert not np.allclose(smooth(rows, config).numpy(), slow_smooth(rows, config), rtol=1e-6, atol=1e-6)


def _wrap(change):
    real = differential_smoothing.smoothing.reduce_logps
    return lambda *arguments: change(*real(*arguments))


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.base == "grpo"], ids=str)
def test_gamma_zero_is_the_base_bit_for_bit(option: SmoothingConfig) -> None:
    rows = random_rows(3)
    rows = dataclasses.replace(rows, base=torch.cat([torch.tensor([-0.0, 0.1 + 0.2]), rows.base[2:].double()]))
    found = smooth(rows, dataclasses.replace(option, gamma_p=0.0, gamma_n=0.0))
    assert found.numpy().tobytes() == rows.base.numpy().tobytes()


@pytest.mark.parametrize("name", ["maxrl", "f-grpo"])
def test_gamma_zero_on_another_base_is_that_method(name: str) -> None:
    rows, method = random_rows(3), get(name)
    assert method.advantages is not None
    alone = method.advantages(rows, method.options)
    assert not torch.equal(alone, rows.base)
    tokens = rows.mask.sum(dim=1) > 0
    assert torch.equal(smooth(rows, SmoothingConfig(base=name)), alone)  # type: ignore[arg-type]
    both = smooth(rows, SmoothingConfig(0.3, 0.07, base=name)) - alone  # type: ignore[arg-type]
    on_grpo = smooth(rows, SmoothingConfig(0.3, 0.07)) - rows.base
    np.testing.assert_allclose(both[tokens].numpy(), on_grpo[tokens].numpy(), rtol=1e-9, atol=1e-9)


def test_another_base_is_made_from_the_rewards_of_the_task() -> None:
    with pytest.raises(ValueError, match="base='maxrl' cannot go with place='reward'"):
        SmoothingConfig(0.3, base="maxrl", place="reward")
    with pytest.raises(ValueError, match="base='ppo' must be one of grpo, maxrl, f-grpo"):
        SmoothingConfig(0.3, base="ppo")  # type: ignore[arg-type]


@pytest.mark.parametrize("reduction", ["sum", "mean", "token"])
@pytest.mark.parametrize("centring", ["none", "group"])
def test_untouched_rows_keep_the_base_bit_for_bit(reduction: str, centring: str) -> None:
    rows = random_rows(5)
    found = smooth(rows, SmoothingConfig(0.3, 0.0, reduction, "advantage", centring))  # type: ignore[arg-type]
    found = found if found.dim() == 2 else found[:, None]
    unscorable, masked = rows.correct == UNSCORABLE, rows.mask.sum(dim=1) == 0
    for who in (unscorable, masked, rows.correct == INCORRECT):
        assert who.any()
        assert torch.equal(found[who], rows.base[who, None].expand_as(found[who]))


@pytest.mark.parametrize("reduction", ["sum", "mean", "token"])
def test_one_correct_rollout_centres_to_zero(reduction: str) -> None:
    rows = random_rows(0, groups=1)
    correct = torch.tensor([CORRECT, INCORRECT, INCORRECT, INCORRECT, UNSCORABLE])
    rows = dataclasses.replace(rows, correct=correct, mask=torch.ones_like(rows.mask), logps=-torch.rand(5, 6).double())
    found = smooth(rows, SmoothingConfig(0.5, 0.0, reduction, centring="group"))  # type: ignore[arg-type]
    assert torch.equal(found[0].unique(), rows.base[:1])


def test_centred_term_has_mean_zero_in_each_class() -> None:
    rows = random_rows(2)
    term = smooth(rows, SmoothingConfig(0.5, 0.2, centring="group")) - rows.base
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
    reward = smooth(rows, SmoothingConfig(0.1, 0.05, place="reward", std=False))
    assert reward.tolist() == pytest.approx([0.65, -0.65])  # rewards 1.2 and -0.1


def slow_logprob_bonus(rows: Rollouts, config: LogprobConfig, i: int, t: int) -> float:
    """A - gamma (log pi - mean over the group's scorable rollouts), for rollout i (and token t)."""

    def judged_by(j: int) -> float | None:
        kept = [float(rows.logps[j, s]) for s in range(rows.mask.shape[1]) if rows.mask[j, s]]
        if config.reduction == "token":
            kept = [float(rows.logps[j, t])] if rows.mask[j, t] else []
        if not kept or rows.correct[j] == UNSCORABLE:
            return None
        return sum(kept) / (len(kept) if config.reduction == "mean" else 1)

    own = judged_by(i)
    if own is None:
        return float(rows.base[i])
    known = [m for j in range(len(rows.base)) if rows.groups[j] == rows.groups[i] if (m := judged_by(j)) is not None]
    return float(rows.base[i]) - config.gamma * (own - sum(known) / len(known))


@pytest.mark.parametrize("reduction", ["sum", "mean", "token"])
@pytest.mark.parametrize("gamma", [0.4, -0.4])
def test_logprob_bonus_against_slow_loop(reduction: str, gamma: float) -> None:
    config = LogprobConfig(gamma, reduction)  # type: ignore[arg-type]
    for seed in range(6):
        rows = random_rows(seed)
        found = logprob_bonus(rows, config).numpy().reshape(len(rows.base), -1)
        for i, t in itertools.product(range(len(found)), range(found.shape[1])):
            assert found[i, t] == pytest.approx(slow_logprob_bonus(rows, config, i, t), abs=1e-12)
    assert torch.equal(logprob_bonus(rows, LogprobConfig(0.0)), rows.base)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma_p": -0.1}, "gamma_p=-0.1"),
        ({"gamma_n": math.nan}, "gamma_n=nan"),
        ({"reduction": "max"}, "reduction='max'"),
        ({"place": "loss"}, "place='loss'"),
        ({"centring": "batch"}, "centring='batch'"),
        ({"flat_groups": "drop"}, "flat_groups='drop'"),
        ({"std": "yes"}, "std='yes'"),
        ({"reduction": "token", "place": "reward"}, "reduction='token'"),
    ],
)
def test_bad_options_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SmoothingConfig(**options)


@pytest.mark.parametrize("options", [{"gamma": math.inf}, {"reduction": "max"}, {"std": 1}])
def test_bad_logprob_options_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LogprobConfig(**options)
