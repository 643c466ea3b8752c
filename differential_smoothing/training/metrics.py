"""Numbers for the log: what a method's term did to the advantages, and what groups hold of correct answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from differential_smoothing.passk import pass_at_k
from differential_smoothing.rollouts import CORRECT, UNSCORABLE


class TermStatistics:
    """Sums over all rows since the last `collect`; they stay on the device, so adding to them waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(9, dtype=torch.float64, device=device)
        self.empty = True

    def add(self, base: torch.Tensor, shaped: torch.Tensor, mask: torch.Tensor) -> None:
        """base: (B,) advantages without the term; shaped: (B,) or (B, T) with it; mask: (B, T), tokens that count.

        A row's term is `shaped - base`, its mean over the tokens that count for (B, T).
        """
        length = mask.sum(dim=1).to(self._sums.dtype)
        base = base.to(self._sums.dtype)
        if shaped.dim() == 2:
            change = (shaped - base.unsqueeze(1)) * mask
            size = change.abs().sum(dim=1) / length.clamp(min=1)
            term = change.sum(dim=1) / length.clamp(min=1)
        else:
            term = shaped - base
            size = term.abs()
        has = (size != 0).to(self._sums.dtype)
        rows = (
            size,
            base.abs(),
            has,
            term,
            term**2,
            has * length,
            has * length**2,
            term * length,
            torch.ones_like(size),
        )
        self._sums += torch.stack([row.sum() for row in rows])
        self.empty = False

    def collect(self, accelerator: Any) -> dict[str, float]:
        """`ds_term`, `ds_base`, `ds_share`, `ds_length_corr` over all processes, NaN where undefined; begins anew."""
        sums = accelerator.reduce(self._sums, reduction="sum").tolist()
        self._sums = torch.zeros_like(self._sums)
        self.empty = True
        size, base, n, term, term2, length, length2, product, rows = sums
        covariance = n * product - term * length
        spread = (n * term2 - term**2) * (n * length2 - length**2)
        return {
            "ds_term": size / rows,
            "ds_base": base / rows,
            "ds_share": size / (size + base) if size + base > 0 else math.nan,
            "ds_length_corr": covariance / math.sqrt(spread)
            if spread > 1e-12 * (n * term2) * (n * length2)
            else math.nan,
        }


def group_metrics(correct: Sequence[int], answers: Sequence[str], group_size: int) -> dict[str, float]:
    """What the groups of a batch, whose rows stand together, say of correctness: means over groups.

    `distinct_correct`: the number of distinct answers among correct rollouts. `pass@k` for k = 1, 2, 4, … up to the
    group size: the unbiased estimate; unscorable rollouts do not count, and a group with fewer than k others has none.
    """
    seen = {(row // group_size, answers[row]) for row, code in enumerate(correct) if code == CORRECT}
    groups = [correct[start : start + group_size] for start in range(0, len(correct), group_size)]
    found = {"distinct_correct": len(seen) / len(groups)}
    tallies = [(len(group) - group.count(UNSCORABLE), group.count(CORRECT)) for group in groups]
    for k in (2**power for power in range(group_size.bit_length())):
        estimates = [pass_at_k(n, c, k) for n, c in tallies if n >= k]
        if estimates:
            found[f"pass@{k}"] = math.fsum(estimates) / len(estimates)
    return found
