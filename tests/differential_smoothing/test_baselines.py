"""The baselines against slow loops from their defining formulas, the worked example by hand, and their known traps."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import differential_smoothing.advantages.groups
import differential_smoothing.advantages.passk
import differential_smoothing.advantages.reweighted
import differential_smoothing.methods.answers
import differential_smoothing.methods.diversity
import differential_smoothing.methods.reweighted
from differential_smoothing.advantages.passk import PasskConfig, PkpoConfig, passk_training, pkpo
from differential_smoothing.advantages.reinforce import BbgConfig, ReinforceConfig, bbg, reinforce
from differential_smoothing.advantages.reweighted import FGrpoConfig, MaxRLConfig, f_grpo, maxrl
from differential_smoothing.methods.answers import CueConfig, SetpoConfig, UarlConfig, cue_grpo, setpo, uarl
from differential_smoothing.methods.diversity import (
    DarlingConfig,
    HistoricalConfig,
    OutcomeConfig,
    UnlikelinessConfig,
    darling,
    outcome_batch,
    outcome_historical,
    unlikeliness,
)
from differential_smoothing.methods.entropy import EntropyAdvantageConfig, entropy_advantage
from differential_smoothing.methods.reweighted import RecoConfig, XdrConfig, reco, xdr_grpo
from differential_smoothing.methods.ucpo import UcpoConfig, ucpo
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts, normalize
from differential_smoothing.smoothing import SmoothingConfig, smooth


@dataclass(frozen=True)
class Row:
    """One scorable rollout. logp: summed, None without a token that counts."""

    r: int
    logp: float | None
    length: int
    answer: int
    base: float
    seen: int = 0


def judged_by(row: Row, logprob_aggregation: str) -> float | None:
    return row.logp if row.logp is None or logprob_aggregation == "sum" else row.logp / row.length


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def centered(values: list[float], std: bool, eps: float) -> list[float]:
    m = mean(values)
    spread = math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
    return [(v - m) / (spread + eps) if std else v - m for v in values]


def subsets(count: int, k: int, holding: int | None = None, without: int | None = None) -> list[tuple[int, ...]]:
    found = itertools.combinations(range(count), k)
    return [s for s in found if (holding is None or holding in s) and (without is None or without not in s)]


def slow_passk(group: list[Row], o: PasskConfig) -> list[float]:
    """The mean over the k-subsets that hold i of (max − rho) / sigma, all by enumeration."""
    n = len(group)
    best = {s: max(group[i].r for i in s) for s in subsets(n, o.k)}
    if not any(row.r for row in group) or sum(1 - row.r for row in group) < o.k:
        return [0.0] * n
    rho = mean(list(best.values()))
    sigma = math.sqrt(mean([(b - rho) ** 2 for b in best.values()]))
    return [mean([best[s] - rho for s in subsets(n, o.k, holding=i)]) / (sigma + 1e-6) for i in range(n)]


def slow_pkpo(group: list[Row], o: PkpoConfig) -> list[float]:
    n, k = len(group), o.k
    if n < k or (n == k and o.baseline == "loo"):
        return [0.0] * n
    out = []
    for i in range(n):
        value = 0.0
        for s in subsets(n, k, holding=i):
            value += max(group[j].r for j in s)
            if o.baseline == "loo-1":
                value -= max(group[j].r for j in s if j != i)
        value /= math.comb(n, k)
        if o.baseline == "loo":
            value -= k / (n - 1) * mean([max(group[j].r for j in s) for s in subsets(n, k, without=i)])
        out.append(n * value)
    return out


def slow_maxrl(group: list[Row], o: MaxRLConfig) -> list[float]:
    rate = mean([row.r for row in group])
    if rate == 0:
        return [-1.0 if o.unbiased else 0.0] * len(group)
    return [(row.r - rate) / (rate + 1e-6) for row in group]


def slow_f_grpo(group: list[Row], o: FGrpoConfig) -> list[float]:
    return [(1 - mean([row.r for row in group])) ** o.gamma * row.base for row in group]


def slow_ucpo(group: list[Row], o: UcpoConfig) -> list[float]:
    right = [i for i, row in enumerate(group) if row.r and row.logp is not None]
    out = [row.base for row in group]
    if len(right) >= 2:
        mass = {i: math.exp(judged_by(group[i], o.logprob_aggregation) or 0.0) for i in right}
        v = {i: 1 / max(mass[i] / sum(mass.values()), 1e-6) for i in right}
        for i in right:
            out[i] *= (1 - o.tau) + o.tau * len(right) * v[i] / sum(v.values())
    return out


def slow_unlikeliness(group: list[Row], o: UnlikelinessConfig) -> list[float]:
    known = [judged_by(row, o.logprob_aggregation) for row in group]
    order = sorted(value for value in known if value is not None)
    shaped = []
    for row, value in zip(group, known):
        rank = 0.0 if value is None else mean([a for a, other in enumerate(order) if other == value])
        shaped.append(row.r * (1 - o.strength * rank / max(len(order), 1)))
    if o.zero_variance_groups == "zero" and len({row.r for row in group}) < 2:
        return [0.0] * len(group)
    return centered(shaped, True, 1e-6)


def slow_outcome(group: list[Row], o: OutcomeConfig) -> list[float]:
    n = len(group)
    return [
        row.base - o.strength / n * sum(group[j].answer == row.answer for j in range(n) if j != i)
        for i, row in enumerate(group)
    ]


def slow_historical(group: list[Row], o: HistoricalConfig) -> list[float]:
    bonus = [1.0 if row.seen == 0 else min(1.0, 1 / math.sqrt(row.seen)) for row in group]
    out = []
    for i, row in enumerate(group):
        others = [b for j, b in enumerate(bonus) if j != i]
        offset = {"ucb": 0.0, "con": o.offset, "mean": mean(others) if others else 0.0}[o.form]
        out.append(row.base + o.strength * (bonus[i] - offset))
    return out


def slow_darling(group: list[Row], o: DarlingConfig) -> list[float]:
    n = len(group)
    shaped = []
    for i, row in enumerate(group):
        unlike = sum(group[j].answer != row.answer for j in range(n) if j != i)
        shaped.append(row.r * (unlike / (n - 1) if n > 1 else 1.0))
    return centered(shaped, o.std, 1e-4)


def slow_reinforce(group: list[Row], o: ReinforceConfig) -> list[float]:
    return [o.positive if row.r else -o.negative for row in group]


def slow_bbg(group: list[Row], o: BbgConfig) -> list[float]:
    """By Beta functions: the mean of k (1 − p)^(k − 1) under Beta(c + 1, N − c + 1)."""
    n = len(group)

    def u(c: int) -> float:
        logs = math.lgamma(n - c + o.k) - math.lgamma(n + o.k + 1) - math.lgamma(n - c + 1) + math.lgamma(n + 2)
        return o.k * math.exp(logs)

    mine = u(sum(row.r for row in group))
    return [0.0 if mine < o.tau * (n + 1) else mine / u(1) * (o.positive if row.r else -1.0) for row in group]


def slow_xdr(group: list[Row], o: XdrConfig) -> list[float]:
    mass = [math.exp(row.base * row.length / o.tau_tokens) for row in group]
    return [len(group) * m / sum(mass) * row.base for m, row in zip(mass, group)]


def slow_reco(group: list[Row], o: RecoConfig) -> list[float]:
    likely = [None if row.logp is None else math.exp(row.logp / row.length) for row in group]
    return [row.base * (1.0 if p is None else min(1 / (len(group) * p), o.cap)) for row, p in zip(group, likely)]


def clusters(group: list[Row]) -> list[int]:
    return [sum(other.answer == row.answer for other in group) for row in group]


def slow_uarl(group: list[Row], o: UarlConfig) -> list[float]:
    return [row.base / size**o.alpha for row, size in zip(group, clusters(group))]


def slow_cue(group: list[Row], o: CueConfig) -> list[float]:
    rare = [size**-o.alpha for size in clusters(group)]
    right = [v for v, row in zip(rare, group) if row.r]
    return [row.base * (v / mean(right) if row.r else 1.0) for v, row in zip(rare, group)]


def slow_setpo(group: list[Row], o: SetpoConfig) -> list[float]:
    def diversity(some: list[Row]) -> float:
        return -mean([math.log(1 + size / len(some)) for size in clusters(some)])

    if len(group) == 1:
        return [group[0].base]
    return [
        row.base + o.strength * (diversity(group) - diversity(group[:i] + group[i + 1 :]))
        for i, row in enumerate(group)
    ]


FAST_AND_SLOW: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., list[float]], bool]] = {
    # the function, its loop, and whether unscorable rows keep the base advantage (else they get 0)
    "PasskConfig": (passk_training, slow_passk, False),
    "PkpoConfig": (pkpo, slow_pkpo, False),
    "MaxRLConfig": (maxrl, slow_maxrl, False),
    "FGrpoConfig": (f_grpo, slow_f_grpo, True),
    "UcpoConfig": (ucpo, slow_ucpo, True),
    "UnlikelinessConfig": (unlikeliness, slow_unlikeliness, False),
    "OutcomeConfig": (outcome_batch, slow_outcome, True),
    "HistoricalConfig": (outcome_historical, slow_historical, True),
    "DarlingConfig": (darling, slow_darling, False),
    "ReinforceConfig": (reinforce, slow_reinforce, False),
    "BbgConfig": (bbg, slow_bbg, False),
    "XdrConfig": (xdr_grpo, slow_xdr, True),
    "RecoConfig": (reco, slow_reco, True),
    "UarlConfig": (uarl, slow_uarl, True),
    "CueConfig": (cue_grpo, slow_cue, True),
    "SetpoConfig": (setpo, slow_setpo, True),
}
OPTIONS: list[Any] = [
    *(PasskConfig(k) for k in (1, 2, 3, 5, 7)),
    *(
        PkpoConfig(k, baseline)
        for k in (1, 2, 4, 5, 6)
        for baseline in ("none", "loo", "loo-1")
        if (k, baseline) != (1, "loo-1")
    ),
    *(MaxRLConfig(unbiased) for unbiased in (False, True)),
    *(FGrpoConfig(gamma) for gamma in (0.5, 2.0)),
    *(UcpoConfig(tau, reduction) for tau in (0.2, 1.0) for reduction in ("mean", "sum")),
    *(UnlikelinessConfig(s, r, f) for s in (0.25, 1.0) for r in ("mean", "sum") for f in ("keep", "zero")),
    OutcomeConfig(0.2),
    *(HistoricalConfig(0.2, form) for form in ("ucb", "mean", "con")),
    *(DarlingConfig(std) for std in (False, True)),
    *(ReinforceConfig(*pair) for pair in ((0.1, 1.0), (0.0, 1.0), (0.7, 0.0))),
    *(BbgConfig(k, tau) for k, tau in ((1, 0.0), (4, 0.05), (16, 0.01))),
    *(XdrConfig(tau) for tau in (1.0, 8.0)),
    *(RecoConfig(cap) for cap in (0.4, 5.0)),
    *(UarlConfig(alpha) for alpha in (0.5, 1.0)),
    *(CueConfig(alpha) for alpha in (0.5, 1.0)),
    *(SetpoConfig(strength) for strength in (1.0, 3.0)),
]


def fast(rows: Rollouts, option: Any) -> np.ndarray:
    return FAST_AND_SLOW[type(option).__name__][0](rows, option).numpy()


def slow(rows: Rollouts, option: Any) -> np.ndarray:
    """Group by group, over its scorable rollouts."""
    _, loop, keeps = FAST_AND_SLOW[type(option).__name__]
    assert rows.answers is not None
    assert rows.seen is not None
    out = rows.base.numpy().copy() if keeps else np.zeros(len(rows.base))
    for group in rows.groups.unique():
        who = [i for i in range(len(out)) if rows.groups[i] == group and rows.correct[i] != UNSCORABLE]
        made = []
        for i in who:
            kept = [float(rows.logps[i, t]) for t in range(rows.mask.shape[1]) if rows.mask[i, t]]
            logp = sum(kept) if kept else None
            made.append(
                Row(int(rows.correct[i]), logp, len(kept), int(rows.answers[i]), float(rows.base[i]), int(rows.seen[i]))
            )
        if made:
            out[who] = loop(made, option)
    return out


def random_rows(seed: int, groups: int = 4, size: int = 6, width: int = 5) -> Rollouts:
    """Groups interleaved; equal rollouts, empty rows, unscorable rows, all-correct and all-wrong groups."""
    rng = np.random.default_rng(seed)
    count = groups * size
    group = rng.permutation(np.repeat(np.arange(groups), size)) * 3 + 7
    correct = (rng.random(count) < rng.random(groups)[(group - 7) // 3]).astype(int)
    correct[group == 7] = seed % 2
    correct[rng.random(count) < 0.15] = UNSCORABLE
    pool = [(rng.integers(0, width + 1), -rng.exponential(2.0, width)) for _ in range(max(2, count // 2))]
    drawn = rng.integers(0, len(pool), count)
    mask = np.arange(width) < np.array([pool[d][0] for d in drawn])[:, None]
    logps = np.where(mask, np.array([pool[d][1] for d in drawn]), math.nan)
    rewards = torch.tensor(np.where(correct == UNSCORABLE, math.nan, correct))
    return Rollouts(
        rewards=rewards,
        base=normalize(rewards, torch.tensor(group), std=True),
        logps=torch.tensor(logps),
        mask=torch.tensor(mask.astype(int)),
        correct=torch.tensor(correct),
        groups=torch.tensor(group),
        answers=torch.tensor(drawn % 4),
        entropies=torch.tensor(rng.exponential(1.0, (count, width))),
        seen=torch.tensor(rng.choice([0, 1, 2, 9, 400], count)),
    )


@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_agrees_with_slow_loop(option: Any) -> None:
    found = np.concatenate([fast(random_rows(seed), option) for seed in range(12)])
    wanted = np.concatenate([slow(random_rows(seed), option) for seed in range(12)])
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    too_small = getattr(option, "k", 1) + (getattr(option, "baseline", "") == "loo") > 6
    assert too_small or np.abs(found).max() > 0.1


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    groups=st.integers(1, 4),
    size=st.integers(1, 7),
    width=st.integers(1, 5),
    option=st.sampled_from(OPTIONS),
)
def test_agrees_with_slow_loop_on_any_shape(seed: int, groups: int, size: int, width: int, option: Any) -> None:
    rows = random_rows(seed, groups, size, width)
    np.testing.assert_allclose(fast(rows, option), slow(rows, option), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("option", "module", "name", "change"),
    [
        (
            PasskConfig(3),
            differential_smoothing.advantages.passk,
            "none_drawn",
            lambda real: lambda n, w, k: real(n, w, k) ** 2,
        ),
        (
            PkpoConfig(3),
            differential_smoothing.advantages.passk,
            "none_drawn",
            lambda real: lambda n, w, k: real(n, w, k + 1),
        ),
        (MaxRLConfig(), differential_smoothing.advantages.reweighted, "EPS", lambda real: 0.1),
        (FGrpoConfig(), differential_smoothing.advantages.groups, "CORRECT", lambda real: INCORRECT),
        (UcpoConfig(), differential_smoothing.methods.ucpo, "CORRECT", lambda real: INCORRECT),
        (
            UnlikelinessConfig(),
            differential_smoothing.methods.diversity,
            "aggregate_logps",
            lambda real: lambda *a: (-real(*a)[0], real(*a)[1]),
        ),
        (
            OutcomeConfig(),
            differential_smoothing.advantages.groups,
            "mates",
            lambda real: lambda groups: real(groups).fill_diagonal_(True),
        ),
        (HistoricalConfig(form="mean"), differential_smoothing.methods.diversity, "UNSCORABLE", lambda real: INCORRECT),
        (
            DarlingConfig(),
            differential_smoothing.advantages.groups,
            "mates",
            lambda real: lambda groups: real(groups * 0),
        ),
        (
            ReinforceConfig(),
            differential_smoothing.advantages.groups,
            "CORRECT",
            lambda real: INCORRECT,
        ),
        (
            XdrConfig(1.0),
            differential_smoothing.methods.reweighted,
            "group_total",
            lambda real: lambda value, groups: real(value, groups * 0),
        ),
        (
            RecoConfig(5.0),
            differential_smoothing.methods.reweighted,
            "aggregate_logps",
            lambda real: lambda rows, _: real(rows, "sum"),
        ),
        *(
            (
                option,
                differential_smoothing.methods.answers,
                "same_answer",
                lambda real: lambda rows: real(rows) + 1,
            )
            for option in (UarlConfig(), CueConfig(), SetpoConfig())
        ),
    ],
    ids=lambda value: type(value).__name__ if dataclasses.is_dataclass(value) else "",
)
def test_loop_notices_mutations(
    option: Any, module: Any, name: str, change: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows(1)
    wanted = slow(rows, option)
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    assert not np.allclose(fast(rows, option), wanted, rtol=1e-6, atol=1e-6)


# The worked example: four rollouts, the first and the last correct and of one answer.
LENGTHS, LOGPS = (4, 5, 10, 10), (-2.0, -6.0, -8.0, -10.0)


def example(correct: Sequence[int] = (1, 0, 0, 1), answers: Sequence[int] = (7, 3, 9, 7)) -> Rollouts:
    mask = torch.arange(10) < torch.tensor(LENGTHS)[:, None]
    each = torch.tensor([total / length for total, length in zip(LOGPS, LENGTHS)], dtype=torch.float64)
    rewards = torch.tensor(correct, dtype=torch.float64)
    groups = torch.zeros(4, dtype=torch.long)
    return Rollouts(
        rewards=rewards,
        base=normalize(rewards, groups, std=True),
        logps=torch.where(mask, each[:, None], torch.nan),
        mask=mask.int(),
        correct=torch.tensor(correct),
        groups=groups,
        answers=torch.tensor(answers),
        seen=torch.tensor([{7: 9, 3: 4, 9: 0}.get(answer, 0) for answer in answers]),
    )


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        (UnlikelinessConfig(0.25), (0.739, -0.862, -0.862, 0.985)),
        (UnlikelinessConfig(0.25, "sum"), (0.680, -0.857, -0.857, 1.034)),
        (PasskConfig(2), (0.4472, -0.4472, -0.4472, 0.4472)),
        (PkpoConfig(2, "none"), (4 / 2, 4 / 3, 4 / 3, 4 / 2)),
        (PkpoConfig(2, "loo"), (4 / 18, -4 / 3, -4 / 3, 4 / 18)),
        (PkpoConfig(2, "loo-1"), (4 / 3, 0, 0, 4 / 3)),
        (OutcomeConfig(0.2), (0.866 - 0.05, -0.866, -0.866, 0.866 - 0.05)),
        (HistoricalConfig(1.0, "con", 0.5), (0.866 - 0.167, -0.866, -0.866 + 0.5, 0.866 - 0.167)),
        (HistoricalConfig(1.0, "mean"), (0.866 - 0.278, -0.866 - 0.056, -0.866 + 0.611, 0.866 - 0.278)),
        (HistoricalConfig(1.0, "ucb"), (0.866 + 1 / 3, -0.866 + 0.5, -0.866 + 1, 0.866 + 1 / 3)),
        (MaxRLConfig(), (1, -1, -1, 1)),
        (FGrpoConfig(0.5), (0.612, -0.612, -0.612, 0.612)),
        (UcpoConfig(0.2), (0.824, -0.866, -0.866, 0.908)),
        (UcpoConfig(0.2, "sum"), (0.693, -0.866, -0.866, 1.039)),
        (DarlingConfig(), (1 / 3, -1 / 3, -1 / 3, 1 / 3)),
        (ReinforceConfig(), (0.1, -1, -1, 0.1)),
        (ReinforceConfig(1.0, 0.0), (1, 0, 0, 1)),
        (ReinforceConfig(0.0, 1.0), (0, -1, -1, 0)),
        (BbgConfig(16, 0.01, 1.0), (0.1667, -0.1667, -0.1667, 0.1667)),
        (BbgConfig(), (0.01667, -0.1667, -0.1667, 0.01667)),
        (BbgConfig(tau=0.03), (0, 0, 0, 0)),  # u = .1404 is below .15
        (RecoConfig(5.0), (0.866 * 0.412, -0.866 * 0.830, -0.866 * 0.556, 0.866 * 0.680)),
        (RecoConfig(), (0.866 * 0.412, -0.866 * 0.830, -0.866 * 0.556, 0.866 * 0.680)),
        (UarlConfig(1.0), (0.433, -0.866, -0.866, 0.433)),
        (UarlConfig(), (0.866 / math.sqrt(2), -0.866, -0.866, 0.866 / math.sqrt(2))),
        (CueConfig(), (0.866, -0.866, -0.866, 0.866)),
        (SetpoConfig(), (0.866 - 0.0266, -0.866 + 0.1221, -0.866 + 0.1221, 0.866 - 0.0266)),
    ],
    ids=str,
)
def test_worked_example(option: Any, wanted: tuple[float, ...]) -> None:
    assert fast(example(), option) == pytest.approx(wanted, abs=7e-4)


def test_worked_example_of_lengths() -> None:
    """xDr.GRPO with tau .5 at the maximal length 10, on Dr. GRPO's advantages."""
    rows = example()
    rows = dataclasses.replace(rows, base=normalize(rows.rewards, rows.groups, std=False))
    assert fast(rows, XdrConfig(5.0)) == pytest.approx((0.575, -0.234, -0.142, 1.049), abs=6e-4)


def test_at_equal_lengths_xdr_grpo_favors_correct_rollouts_by_exp_of_length() -> None:
    rows = dataclasses.replace(example(), mask=torch.ones(4, 10), base=torch.tensor([0.5, -0.5, -0.5, 0.5]))
    found = fast(rows, XdrConfig(4.0))
    assert -found[0] / found[1] == pytest.approx(math.exp(10 / 4))


def test_xdr_grpo_of_long_rollouts_is_finite() -> None:
    """A softmax of numbers in the thousands: the longest correct one takes all."""
    assert fast(example(), XdrConfig(0.005)) == pytest.approx((0, 0, 0, 4 * 0.866), abs=1e-3)


def test_uarl_with_one_right_answer_weighs_by_difficulty() -> None:
    """E[A | correct] at N = 8 and p = .25, .5, .75: GRPO's 1.52, .93, .51 become .81, .27, .09 (std of ddof 0)."""
    found = []
    for p in (0.25, 0.5, 0.75):
        total = np.zeros(2)
        for others in range(8):
            r = np.array([1] * (others + 1) + [0] * (7 - others))
            rows = dataclasses.replace(bernoulli_group(r), answers=torch.arange(8) * torch.tensor(1 - r))
            rows = dataclasses.replace(rows, base=rows.base * math.sqrt(8 / 7))
            chance = math.comb(7, others) * p**others * (1 - p) ** (7 - others)
            total += chance * np.array([float(rows.base[0]), fast(rows, UarlConfig(1.0))[0]])
        found.append(total)
    np.testing.assert_allclose(np.transpose(found), [[1.52, 0.93, 0.51], [0.81, 0.27, 0.09]], atol=6e-3)


def test_cue_grpo_moves_weight_to_rare_correct_answers_and_keeps_the_sum() -> None:
    for seed in range(8):
        rows = random_rows(seed)
        for group in rows.groups.unique():
            who = rows.groups.numpy() == int(group)
            assert fast(rows, CueConfig())[who].sum() == pytest.approx(float(rows.base[who].sum()), abs=1e-9)
    found = fast(example((1, 1, 1, 0), (7, 7, 3, 9)), CueConfig())
    assert found[2] == pytest.approx(2 * found[0])
    assert found[0] == found[1] > 0 > found[3]


def test_psr_nsr_and_w_reinforce_have_one_expected_gradient() -> None:
    """(lambda⁺ + lambda⁻) d/dp of p, whatever p."""
    for p, pair in itertools.product((0.1, 0.6), ((1.0, 0.0), (0.0, 1.0), (0.1, 0.9), (0.4, 0.6))):
        option = ReinforceConfig(*pair)
        assert expected_gradient(lambda r: fast(bernoulli_group(r), option), 4, p) == pytest.approx(1)  # noqa: B023


def test_bbg_trains_groups_without_a_correct_rollout_most() -> None:
    sizes = [np.abs(fast(bernoulli_group(np.arange(8) < c), BbgConfig(positive=1.0))).max() for c in range(9)]
    assert sizes[1] == pytest.approx(1)
    assert sizes[0] == pytest.approx(6 / 2.087, abs=2e-3)
    assert (np.diff(sizes) <= 0).all()
    assert [size > 0 for size in sizes] == [True] * 4 + [False] * 5  # u(4) = .047 is below .09


def test_setpo_rewards_a_rare_wrong_answer_too() -> None:
    rows = example((1, 1, 0, 0), (7, 7, 3, 3))
    rare = example((1, 1, 0, 0), (7, 7, 3, 9))
    gained = fast(rare, SetpoConfig()) - rare.base.numpy() - (fast(rows, SetpoConfig()) - rows.base.numpy())
    assert gained[3] > 0.05


def test_worked_example_of_all_correct_groups() -> None:
    """Blown up to order 1 when kept; dropped by default."""
    rows = example((1, 1, 1, 1))
    kept = fast(rows, UnlikelinessConfig(0.25, zero_variance_groups="keep"))
    assert kept == pytest.approx((-1.16, 1.16, -0.39, 0.39), abs=5e-3)
    assert not fast(rows, UnlikelinessConfig(0.25)).any()


def test_worked_example_of_entropies() -> None:
    rows = Rollouts(
        rewards=torch.tensor([1.0, 0.0, 0.0]),
        base=torch.tensor([0.866, -0.866, 0.0]),
        logps=torch.zeros(3, 2),
        mask=torch.tensor([[1, 1], [1, 0], [1, 1]]),
        correct=torch.tensor([CORRECT, INCORRECT, INCORRECT]),
        groups=torch.zeros(3, dtype=torch.long),
        entropies=torch.tensor([[1.04, 2.0], [2.0, 9.0], [2.0, 1.0]], requires_grad=True),
    )
    found = entropy_advantage(rows, EntropyAdvantageConfig())
    wanted = [[1.282, 1.299], [-0.433, -0.866], [0.0, 0.0]]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)
    assert not found.requires_grad


def test_entropy_bonus_against_slow_loop() -> None:
    for seed, alpha, kappa in itertools.product(range(6), (0.1, 0.4), (1.0, 2.0)):
        rows = random_rows(seed)
        assert rows.entropies is not None
        found = entropy_advantage(rows, EntropyAdvantageConfig(alpha, kappa))
        for i, t in itertools.product(range(len(found)), range(found.shape[1])):
            a = float(rows.base[i])
            bonus = min(alpha * float(rows.entropies[i, t]), abs(a) / kappa) if rows.mask[i, t] else 0.0
            assert float(found[i, t]) == pytest.approx(a + bonus, abs=1e-12)
            assert float(found[i, t]) * a >= -1e-12, "no sign changes"


def expected_gradient(advantages: Callable[[np.ndarray], np.ndarray], n: int, p: float) -> float:
    """E[(1/N) sum A_i d/dp log pi(y_i)] over all 2^N groups of N Bernoulli(p) rollouts."""
    total = 0.0
    for outcome in itertools.product((0, 1), repeat=n):
        r = np.array(outcome)
        probability = p ** r.sum() * (1 - p) ** (n - r.sum())
        total += probability * float(np.mean(advantages(r) * (r - p) / (p * (1 - p))))
    return total


def bernoulli_group(r: np.ndarray) -> Rollouts:
    n = len(r)
    rewards = torch.tensor(r, dtype=torch.float64)
    groups = torch.zeros(n, dtype=torch.long)
    base = normalize(rewards, groups, std=True)
    return Rollouts(rewards, base, torch.zeros(n, 1), torch.ones(n, 1), torch.tensor(r), groups, torch.tensor(r))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("baseline", ["none", "loo", "loo-1"])
def test_pkpo_is_unbiased_for_pass_at_k(k: int, baseline: str) -> None:
    if (k, baseline) == (1, "loo-1"):
        pytest.skip("there is no such baseline")
    for p in (0.1, 0.3, 0.8):
        option = PkpoConfig(k, baseline)  # type: ignore[arg-type]
        found = expected_gradient(lambda r: fast(bernoulli_group(r), option), 5, p)  # noqa: B023
        assert found == pytest.approx(k * (1 - p) ** (k - 1), rel=1e-9)


def test_a_second_baseline_would_bias_pkpo() -> None:
    def twice(r: np.ndarray) -> np.ndarray:
        s = fast(bernoulli_group(r), PkpoConfig(3))
        return s - (s.sum() - s) / (len(s) - 1)

    assert expected_gradient(twice, 5, 0.3) == pytest.approx(1.785, abs=5e-4)


@pytest.mark.parametrize(("unbiased", "wanted"), [(False, 2.533), (True, 2.773)])
def test_maxrl_is_unbiased_only_with_its_empty_groups(unbiased: bool, wanted: float) -> None:
    found = expected_gradient(lambda r: fast(bernoulli_group(r), MaxRLConfig(unbiased)), 5, 0.3)
    assert found == pytest.approx(wanted, abs=5e-4)
    assert sum(0.7 ** (j - 1) for j in range(1, 6)) == pytest.approx(2.773, abs=5e-4)


def test_facts_of_pass_at_k_training() -> None:
    for r in itertools.product((0, 1), repeat=6):
        rows = bernoulli_group(np.array(r))
        assert fast(rows, PasskConfig(3)).sum() == pytest.approx(0, abs=1e-12)
        if 0 < sum(r) < 6:
            rate = sum(r) / 6
            wanted = (np.array(r) - rate) / math.sqrt(rate * (1 - rate))
            np.testing.assert_allclose(fast(rows, PasskConfig(1)), wanted, rtol=1e-5)
        if sum(r) > 3:
            assert not fast(rows, PasskConfig(3)).any(), "fewer wrong rollouts than k"


def test_loo_minus_one_gives_wrong_rollouts_exactly_nothing() -> None:
    rows = bernoulli_group(np.array([1, 0, 0, 1, 0, 0]))
    found = fast(rows, PkpoConfig(4))
    assert (found[rows.correct.numpy() == 0] == 0).all()
    assert found[0] > 0
    assert not fast(rows, PkpoConfig(6)).any(), "nothing once N − c < k − 1"


def test_ucpo_keeps_the_sum_of_each_group() -> None:
    for seed in range(8):
        rows = random_rows(seed)
        for group in rows.groups.unique():
            who = rows.groups.numpy() == int(group)
            assert fast(rows, UcpoConfig(0.7))[who].sum() == pytest.approx(float(rows.base[who].sum()), abs=1e-9)


def test_darling_with_one_right_answer_weighs_by_difficulty_alone() -> None:
    for r in itertools.product((0, 1), repeat=5):
        rows = dataclasses.replace(
            bernoulli_group(np.array(r)), answers=torch.tensor(r) * -1 + torch.arange(5) * (1 - torch.tensor(r))
        )
        n, c = 5, sum(r)
        np.testing.assert_allclose(fast(rows, DarlingConfig()), (n - c) / (n - 1) * (np.array(r) - c / n), atol=1e-12)
    assert not fast(example((1, 1, 1, 1), (7, 7, 7, 7)), DarlingConfig()).any()


def test_outcomes_of_one_right_answer_cost_and_of_distinct_ones_do_not() -> None:
    rows = example((1, 1, 1, 0), (7, 7, 7, 3))
    assert fast(rows, OutcomeConfig(0.2)) - rows.base.numpy() == pytest.approx([-0.2 * 2 / 4] * 3 + [0])
    distinct = example((1, 1, 1, 0), (1, 2, 3, 4))
    assert np.array_equal(fast(distinct, OutcomeConfig(0.2)), distinct.base.numpy())


def test_ties_are_ranked_alike() -> None:
    rows = dataclasses.replace(example(), logps=torch.full((4, 10), -1.0, dtype=torch.float64))
    found = fast(rows, UnlikelinessConfig(0.25))
    assert found[0] == found[3]
    assert found[1] == found[2]


@pytest.mark.parametrize(
    ("function", "option"),
    [
        (f_grpo, FGrpoConfig(0.0)),
        (ucpo, UcpoConfig(0.0)),
        (outcome_batch, OutcomeConfig(0.0)),
        (outcome_historical, HistoricalConfig(0.0)),
        (entropy_advantage, EntropyAdvantageConfig(0.0)),
        (uarl, UarlConfig(0.0)),
        (cue_grpo, CueConfig(0.0)),
        (setpo, SetpoConfig(0.0)),
    ],
)
def test_strength_zero_is_the_base_bit_for_bit(function: Callable[..., torch.Tensor], option: Any) -> None:
    rows = random_rows(0)
    assert not option.active
    assert function(rows, option).numpy().tobytes() == rows.base.numpy().tobytes()


def test_float32_is_kept_and_close() -> None:
    rows = random_rows(4)
    parts = {name: getattr(rows, name).float() for name in ("rewards", "base", "logps")}
    single = dataclasses.replace(rows, **parts)
    for option in OPTIONS:
        found = fast(single, option)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, fast(rows, option), rtol=2e-4, atol=2e-5, err_msg=str(option))


@pytest.mark.parametrize(
    ("function", "option"),
    [
        (outcome_batch, OutcomeConfig()),
        (darling, DarlingConfig()),
        (uarl, UarlConfig()),
        (cue_grpo, CueConfig()),
        (setpo, SetpoConfig()),
    ],
)
def test_missing_answers_are_named(function: Callable[..., torch.Tensor], option: Any) -> None:
    with pytest.raises(ValueError, match="answers=None"):
        function(dataclasses.replace(example(), answers=None), option)


def test_missing_counts_are_named() -> None:
    with pytest.raises(ValueError, match="seen=None"):
        outcome_historical(dataclasses.replace(example(), seen=None), HistoricalConfig())


def test_an_offset_of_one_is_a_mere_penalty() -> None:
    rows = random_rows(3)
    assert (fast(rows, HistoricalConfig(0.2, "con", 1.0)) <= rows.base.numpy()).all()


def test_missing_entropies_are_named() -> None:
    with pytest.raises(ValueError, match="entropies=None"):
        entropy_advantage(example(), EntropyAdvantageConfig())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (PasskConfig, {"k": 0}, "k=0"),
        (PasskConfig, {"k": 2.0}, "k=2.0"),
        (PasskConfig, {"k": True}, "k=True"),
        (PkpoConfig, {"k": 1}, "loo"),
        (PkpoConfig, {"baseline": "mean"}, "baseline='mean'"),
        (MaxRLConfig, {"unbiased": 1}, "unbiased=1"),
        (FGrpoConfig, {"gamma": -0.1}, "gamma=-0.1"),
        (UcpoConfig, {"tau": 1.1}, "tau=1.1"),
        (UcpoConfig, {"logprob_aggregation": "token"}, "logprob_aggregation='token'"),
        (UnlikelinessConfig, {"strength": math.nan}, "strength=nan"),
        (UnlikelinessConfig, {"logprob_aggregation": "max"}, "logprob_aggregation='max'"),
        (UnlikelinessConfig, {"zero_variance_groups": "drop"}, "zero_variance_groups='drop'"),
        (OutcomeConfig, {"strength": -1}, "strength=-1"),
        (HistoricalConfig, {"form": "max"}, "form='max'"),
        (HistoricalConfig, {"offset": 1.5}, "offset=1.5"),
        (DarlingConfig, {"std": 0}, "std=0"),
        (EntropyAdvantageConfig, {"alpha": math.inf}, "alpha=inf"),
        (EntropyAdvantageConfig, {"kappa": 0.5}, "kappa=0.5"),
        (ReinforceConfig, {"positive": -0.1}, "positive=-0.1"),
        (ReinforceConfig, {"negative": -1}, "negative=-1"),
        (ReinforceConfig, {"positive": 0, "negative": 0}, "every advantage would be 0"),
        (BbgConfig, {"k": 0}, "k=0"),
        (BbgConfig, {"tau": -1}, "tau=-1"),
        (BbgConfig, {"positive": math.nan}, "positive=nan"),
        (XdrConfig, {"tau_tokens": 0}, "tau_tokens=0"),
        (XdrConfig, {"tau_tokens": -1.0}, "tau_tokens=-1.0"),
        (RecoConfig, {"cap": 0}, "cap=0"),
        (RecoConfig, {"cap": math.inf}, "cap=inf"),
        (UarlConfig, {"alpha": 1.1}, "alpha=1.1"),
        (CueConfig, {"alpha": -1}, "alpha=-1"),
        (SetpoConfig, {"strength": -1}, "strength=-1"),
    ],
)
def test_bad_options_are_named(kind: type, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def without_half(rows: Rollouts) -> tuple[Rollouts, torch.Tensor]:
    """Half of the rollouts, with the base advantages that they had among all; and which."""
    kept = torch.arange(len(rows.rewards)) % 2 == 0
    parts = {one.name: getattr(rows, one.name) for one in dataclasses.fields(rows)}
    return Rollouts(**{name: None if part is None else part[kept] for name, part in parts.items()}), kept


ALONE = (
    EntropyAdvantageConfig(),
    HistoricalConfig(0.2, "ucb"),
    HistoricalConfig(0.2, "con"),
    SmoothingConfig(),
    ReinforceConfig(),
    ReinforceConfig(0.0),
    ReinforceConfig(0.7, 0.0),
)


@pytest.mark.parametrize("option", [*OPTIONS, ALONE[0], ALONE[3], SmoothingConfig(center=True)], ids=str)
def test_a_method_that_looks_at_its_group_says_so(option: Any) -> None:
    """Trainers rely on it: groups that no process holds whole are refused for such methods, and for no others."""
    others = {EntropyAdvantageConfig: entropy_advantage, SmoothingConfig: smooth}
    function = others.get(type(option)) or FAST_AND_SLOW[type(option).__name__][0]
    looked = False
    for seed in range(6):
        rows = random_rows(seed)
        half, kept = without_half(rows)
        looked |= not torch.equal(function(half, option), function(rows, option)[kept])
    assert not looked or option.whole_groups
    if option in ALONE:
        assert not looked
        assert not option.whole_groups
