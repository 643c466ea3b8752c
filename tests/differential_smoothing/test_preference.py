"""DivPO against DPO's own loss, the worked example, and which pair is taken."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from differential_smoothing.methods.preference import DivpoConfig, divpo
from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts

EXAMPLE = Rollouts(
    rewards=torch.tensor([1.0, 0, 0, 1]),
    base=torch.tensor([0.5, -0.5, -0.5, 0.5]),
    logps=torch.tensor([-0.5, -1.2, -0.8, -1.0])[:, None].expand(4, 10),
    mask=torch.arange(10) < torch.tensor([4, 5, 10, 10])[:, None],
    correct=torch.tensor([1, 0, 0, 1]),
    groups=torch.zeros(4, dtype=torch.long),
    reference=torch.tensor([-0.5, -1.2, -0.8, -1.0])[:, None].expand(4, 10),
)


def drawn(seed: int) -> tuple[Rollouts, torch.Tensor]:
    """Three groups that do not stand together, one without a wrong rollout, an empty row, ties; and the log-probs."""
    torch.manual_seed(seed)
    groups = torch.tensor([0, 1, 2])[torch.randint(3, (14,))]
    correct = torch.tensor([CORRECT, INCORRECT, UNSCORABLE])[torch.multinomial(torch.tensor([4.0, 4, 1]), 14, True)]
    correct = correct.where((groups != 2) | (correct != INCORRECT), torch.tensor(CORRECT))
    length = torch.randint(0, 4, (14,))
    mask = torch.arange(4) < length[:, None]
    values = -torch.randint(1, 4, (14, 1)).double().expand(14, 4)  # many are equal
    logps = values.clone().requires_grad_()
    rows = Rollouts(
        rewards=correct.double(),
        base=torch.zeros(14, dtype=torch.float64),
        logps=logps.detach().masked_fill(~mask, torch.nan),
        mask=mask.int(),
        correct=correct,
        groups=groups,
        reference=(values + torch.randn(14, 4)).masked_fill(~mask, torch.nan),
    )
    return rows, logps


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), beta=st.sampled_from([0.1, 1.0]), how=st.sampled_from(["sum", "mean"]))
def test_divpo_has_the_gradient_of_dpo_on_its_pairs(seed: int, beta: float, how: Any) -> None:
    """By loops; the gradient in the log-probs is the advantage, less what takes TRL's KL back."""
    rows, logps = drawn(seed)
    mask = rows.mask.bool()
    assert rows.reference is not None
    total = (logps * 0.0).sum()
    for group in range(3):
        pair = []
        for code, sign in ((CORRECT, 1), (INCORRECT, -1)):
            who = [i for i in range(14) if rows.groups[i] == group and rows.correct[i] == code and mask[i].any()]
            known = [
                float((rows.logps[i][mask[i]].sum if how == "sum" else rows.logps[i][mask[i]].mean)()) for i in who
            ]
            pair += [who[int(np.argmin(sign * np.array(known)))]] if who else []
        if len(pair) == 2:
            ratio = [(logps[i] - rows.reference[i])[mask[i]].sum() for i in pair]
            total = total + torch.nn.functional.logsigmoid(beta * (ratio[0] - ratio[1]))
    (wanted,) = torch.autograd.grad(total, [logps])
    found = divpo(rows, DivpoConfig(beta, how))
    taken_back = beta * (1 - (rows.reference - rows.logps).exp())
    torch.testing.assert_close((found - taken_back)[mask], wanted[mask], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("how", "wanted"), [("sum", [0, -0.05, 0, 0.05]), ("mean", [0, 0, -0.05, 0.05])])
def test_worked_example(how: Any, wanted: list[float]) -> None:
    """At the first step, where the policy is the base: ±beta / 2."""
    found = divpo(EXAMPLE, DivpoConfig(0.1, how))
    assert found[:, 0].tolist() == pytest.approx(wanted)
    assert torch.equal(found, found[:, :1].expand(4, 10))


def test_a_group_without_a_pair_gets_nothing() -> None:
    right = dataclasses.replace(EXAMPLE, correct=torch.ones(4, dtype=torch.long))
    assert not divpo(right, DivpoConfig()).any()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="reference=None"):
        divpo(dataclasses.replace(EXAMPLE, reference=None), DivpoConfig())
    for options, message in (
        ({"beta": 0.0}, "beta=0"),
        ({"beta": math.inf}, "beta=inf"),
        ({"logprob_aggregation": "token"}, "logprob_aggregation='token'"),
    ):
        with pytest.raises(ValueError, match=message):
            DivpoConfig(**options)  # type: ignore[arg-type]
