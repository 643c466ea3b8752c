"""Logits at the positions of answers alone, for the trainers of TRL.

On a GPU TRL's fused head computes log-probs only where there is a label, on a CPU everywhere. With prompts of twenty
tokens, answers of ten and a vocabulary of 49,152 words most of its work is then thrown away.
"""

from __future__ import annotations

import functools
import types
from typing import Any

import torch

from rl.models.supervised import IGNORED


def score_answers_alone(model: Any) -> None:
    """Let TRL's fused head of `model` leave out the columns before the first label; call it once, after TRL added it.

    The log-probs that come back have that many columns less, on the left.
    """
    fused = model.forward

    @functools.wraps(type(model).forward)  # `generate` looks at the signature
    def forward(self: Any, *args: Any, labels: torch.Tensor | None = None, **kwargs: Any) -> Any:
        if not kwargs.get("fused_lm_head") or labels is None or not (labels[:, 1:] != IGNORED).any():
            return fused(*args, **kwargs) if labels is None else fused(*args, labels=labels, **kwargs)
        first = 1 + int((labels[:, 1:] != IGNORED).any(dim=0).nonzero()[0])

        def cut(module: Any, given: Any, output: Any) -> Any:
            # the label in column t is predicted by the state in column t − 1
            output.last_hidden_state = output.last_hidden_state[:, first - 1 : -1]
            return output

        handle = self.base_model.register_forward_hook(cut)
        try:
            return fused(*args, shift_labels=labels[:, first:], **kwargs)
        finally:
            handle.remove()

    model.forward = types.MethodType(forward, model)
