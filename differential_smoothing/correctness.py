"""Which rollouts are correct, and which give the same answer: from rewards, or from functions of the user's."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from differential_smoothing.rollouts import CORRECT, INCORRECT, UNSCORABLE

Correctness = Callable[..., Any]
"""Called as a TRL reward function is, may be a coroutine as one may; returns True, False or None (unscorable) for each
completion; 1, 0 and NaN mean the same, as Python, NumPy and torch numbers."""
AnswerKey = Callable[..., Any]
"""Called likewise; returns for each completion what makes two correct answers the same one."""


def correct_from_rewards(rewards: torch.Tensor) -> torch.Tensor:
    """Three-valued correctness (B,) by a reward function's values (B,): exactly 1, exactly 0, anything else."""
    correct = torch.full(rewards.shape, UNSCORABLE, dtype=torch.long, device=rewards.device)
    return correct.masked_fill(rewards == 1, CORRECT).masked_fill(rewards == 0, INCORRECT)


def answer_ids(answers: Sequence[str]) -> torch.Tensor:
    """(B,) integers, the same for two rows iff their answers are."""
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(answer, len(known)) for answer in answers])


def one_each(name: str, found: Any, rows: int) -> list[Any]:
    """What the function `name` of the user's returned, awaited where it is a coroutine, as one value a completion.

    Raises ValueError for another number of values.
    """
    if inspect.isawaitable(found):
        awaited = found

        async def wait() -> Any:
            return await awaited

        with ThreadPoolExecutor(1) as other:  # this thread may have a loop of its own, in a notebook for instance
            found = other.submit(asyncio.run, wait()).result()
    values = [*found]
    if len(values) != rows:
        raise ValueError(f"{name} returned {len(values)} values for {rows} completions")
    return values


def codes_of(verdicts: Iterable[Any]) -> list[int]:
    """CORRECT, INCORRECT or UNSCORABLE for each verdict. Raises ValueError for a value that is none."""
    codes = []
    for verdict in verdicts:
        try:
            value = math.nan if verdict is None else float(verdict) if not isinstance(verdict, str) else None
        except (TypeError, ValueError):
            value = None
        if value not in (0.0, 1.0) and not (value is not None and math.isnan(value)):
            raise ValueError(
                f"correctness returned {verdict!r}; a verdict is True, False or None (1, 0 and NaN mean the same)"
            )
        codes.append(UNSCORABLE if math.isnan(value) else CORRECT if value else INCORRECT)
    return codes
