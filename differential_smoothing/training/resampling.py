"""Generation batches made of parts: groups without spread left out, other groups put in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from differential_smoothing.rollouts import has_spread

LEFT_PADDED = ("prompt_ids", "prompt_mask")


def mixed_groups(rewards: torch.Tensor, size: int) -> torch.Tensor:
    """Numbers of the groups whose rewards differ; rewards: (B,), rows of a group stand together."""
    return has_spread(rewards, torch.arange(len(rewards)) // size)[::size].nonzero().squeeze(1)


def rows_of(groups: torch.Tensor, size: int) -> torch.Tensor:
    """Numbers of the rows of these groups, in their order."""
    return (groups.unsqueeze(1) * size + torch.arange(size, device=groups.device)).flatten()


def joined(parts: Sequence[dict[str, Any]], pad_token: int) -> dict[str, Any]:
    """One generation batch of all rows of the parts, tensors of (B,) or (B, T), each width the widest of the parts.

    `num_items_in_batch` is counted anew. Raises ValueError for what is not one tensor row a rollout, as images are.
    """
    whole: dict[str, Any] = {}
    for key in parts[0]:
        values = [part[key] for part in parts]
        if key == "num_items_in_batch":
            continue
        if not all(isinstance(one, torch.Tensor) and one.dim() in (1, 2) for one in values):
            raise ValueError(f"{key}: dynamic sampling takes rollouts of text alone")
        if values[0].dim() == 2:
            width = max(one.shape[1] for one in values)
            fill = pad_token if key in ("prompt_ids", "completion_ids") else 0
            values = [_padded(one, width, fill, key in LEFT_PADDED) for one in values]
        whole[key] = torch.cat(values)
    mask = whole["completion_mask"]
    whole["num_items_in_batch"] = (mask * whole["tool_mask"] if "tool_mask" in whole else mask).sum()
    return whole


def picked(part: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """These rows of a generation batch."""
    return {
        key: value[rows.to(value.device)] if isinstance(value, torch.Tensor) and value.dim() > 0 else value
        for key, value in part.items()
    }


def _padded(value: torch.Tensor, width: int, fill: int, left: bool) -> torch.Tensor:
    missing = width - value.shape[1]
    return torch.nn.functional.pad(value, (missing, 0) if left else (0, missing), value=fill)
