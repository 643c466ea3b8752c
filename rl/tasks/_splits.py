"""Splits of problems: as they come, or so that problems that are the same in another guise stand in one split."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import islice
from math import ceil, log
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Indices = NDArray[np.int64]

P = TypeVar("P")

_SHARE = 10  # one problem in so many of a class is taken
_ALIKE = 0.2  # a deal whose p-values are all so large is good enough
_TRIES = 1500
_LEAST = 1e-300  # of a p-value, so that it has a logarithm


def cut(problems: Sequence[P], validation: int, heldout: int) -> dict[str, list[P]]:
    """The first problems are for validation, the next held out, the others for training."""
    end = validation + heldout
    parts = {"train": problems[end:], "validation": problems[:validation], "heldout": problems[validation:end]}
    return {split: list(part) for split, part in parts.items()}


def deal(
    forms: Sequence[Sequence[Hashable]],
    features: Sequence[Sequence[Hashable]],
    validation: int,
    heldout: int,
    rng: np.random.Generator,
) -> dict[str, list[int]]:
    """The indices of the problems of `train`, `validation` and `heldout`, ascending; no form stands in two splits.

    forms: of each problem its canonical forms. Two problems are the same if they share one; the first names the
    problem's class. Held-out and then validation are filled from classes in random order with a tenth of each (rounded
    up), so that they are of many classes. What is left of those classes, and what shares a form with a problem that was
    taken, is in no split. All else is for training.

    features: of each problem the categories in which the splits should be alike, the same number for each. Pairs of
    classes change places as long as that makes the splits more alike (the sum of the logarithms of `p_alike`, of each
    split against training in each feature), until no p-value is below .2, for at most 1,500 tries.
    Raises ValueError if there are too few classes, or nothing is left to train on.
    """
    classes = _Classes(forms, rng)
    columns = [_numbered(column) for column in zip(*features)]

    def values(found: dict[str, Indices]) -> list[float]:
        filled = [split for split in ("validation", "heldout") if len(found[split]) and len(found["train"])]
        return [p_alike(column[found[split]], column[found["train"]]) for split in filled for column in columns]

    order = rng.permutation(len(classes.members))
    best, dealt = classes.deal(order, validation, heldout)
    now = values(best)
    for _ in range(_TRIES):
        if min(now, default=1.0) >= _ALIKE:
            break
        first, second = int(rng.integers(dealt)), int(rng.integers(len(order)))
        changed = order.copy()
        changed[[first, second]] = order[[second, first]]
        found, used = classes.deal(changed, validation, heldout)
        then = values(found)
        if sum(map(log, then)) > sum(map(log, now)):
            order, best, dealt, now = changed, found, used, then
    if not len(best["train"]):
        raise ValueError(f"heldout={heldout}: nothing is left to train on that is really different")
    return {split: sorted(best[split].tolist()) for split in ("train", "validation", "heldout")}


class _Classes:
    """Problems by class, each class in random order, and the forms of each by number."""

    def __init__(self, forms: Sequence[Sequence[Hashable]], rng: np.random.Generator) -> None:
        sizes = [len(each) for each in forms]
        self.starts: Indices = np.cumsum([0, *sizes[:-1]], dtype=np.int64)
        self.forms = _numbered([form for each in forms for form in each])
        self.names = [set(self.forms[start : start + size].tolist()) for start, size in zip(self.starts, sizes)]
        shuffled = rng.permutation(len(forms))
        of = self.forms[self.starts][shuffled]
        self.members = [shuffled[of == one].tolist() for one in np.unique(of)]

    def deal(self, order: Indices, validation: int, heldout: int) -> tuple[dict[str, Indices], int]:
        """The deal from the classes in this order, and how many of them validation and held-out came to."""
        taken: set[int] = set()
        found: dict[str, Indices] = {}
        place = 0
        for split, size in (("heldout", heldout), ("validation", validation)):
            chosen: list[int] = []
            while len(chosen) < size:
                if place == len(order):
                    raise ValueError(
                        f"{split}={size}: too few of the problems are really different; choose fewer for validation "
                        "and heldout, or a task with more"
                    )
                members = self.members[order[place]]
                free = (index for index in members if taken.isdisjoint(self.names[index]))
                chosen += islice(free, min(ceil(len(members) / _SHARE), size - len(chosen)))
                place += 1
            taken.update(*(self.names[index] for index in chosen))
            found[split] = np.array(chosen, dtype=np.int64)
        known = np.zeros(int(self.forms.max()) + 1, dtype=bool)
        known[list(taken)] = True
        # whole classes stay out as well: their members share the first form
        found["train"] = np.flatnonzero(~np.logical_or.reduceat(known[self.forms], self.starts))
        return found, place


def _numbered(values: Sequence[Hashable]) -> Indices:
    """Each value by a number, from 0 in the order in which they come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)


def p_alike(one: Indices, other: Indices) -> float:
    """The p-value of the chi-squared test that two samples of category numbers are of one distribution.

    Categories of which fewer than five are expected in `one` count as one category.
    """
    size = int(max(one.max(), other.max())) + 1
    counts = np.array([np.bincount(part, minlength=size) for part in (one, other)], dtype=float)
    rare = counts.sum(axis=0) * len(one) / (len(one) + len(other)) < 5
    counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] == 1:
        return 1.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return max(float(chdtrc(counts.shape[1] - 1, ((counts - expected) ** 2 / expected).sum())), _LEAST)
