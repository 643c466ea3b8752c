"""AdamW for weights in bfloat16: it steps in float32 and hands the weights back rounded.

A bfloat16 has eight significant bits. A step of AdamW is smaller than half their last place for most weights at the
learning rates of reinforcement learning: without copies in float32 these weights would never move.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` over float32 copies of the parameters; its state holds the copies too."""

    def __init__(self, parameters: Iterable[Any], **options: Any) -> None:
        groups = list(parameters)
        groups = groups if isinstance(groups[0], dict) else [{"params": groups}]
        self.rounded: list[torch.Tensor] = [one for group in groups for one in group["params"]]
        super().__init__(
            [{**group, "params": [one.detach().float().clone() for one in group["params"]]} for group in groups],
            **options,
        )

    @property
    def masters(self) -> list[torch.Tensor]:
        """The copies in the order of `rounded`."""
        return [one for group in self.param_groups for one in group["params"]]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """As AdamW's, from the gradients of the rounded parameters; one after the other, to hold one in float32."""
        for rounded, master in zip(self.rounded, self.masters):
            if rounded.grad is None:
                continue
            master.grad = rounded.grad.float()
            super().step()
            master.grad = None
            rounded.copy_(master)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As AdamW's, of the rounded parameters: the copies have no gradients between steps."""
        for rounded in self.rounded:
            rounded.grad = None

    def state_dict(self) -> dict[str, Any]:
        """As AdamW's, with the copies."""
        return {**super().state_dict(), "masters": self.masters}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As AdamW's, likewise."""
        super().load_state_dict(state_dict)
        for master, kept in zip(self.masters, state_dict["masters"], strict=True):
            master.copy_(kept)
