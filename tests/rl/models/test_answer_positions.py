"""Logits at the positions of answers alone: the same log-probs and gradients from less work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chat
import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

from rl.models.answer_positions import score_answers_alone

PROMPT, ANSWER = 5, 3


def head(folder: Path, alone: bool) -> Any:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    if alone:
        score_answers_alone(model)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat.model(tmp_path_factory.mktemp("chat"))


def scored(model: Any, labels: torch.Tensor, tokens: torch.Tensor) -> tuple[Any, torch.Tensor]:
    seen: list[int] = []
    handle = model.base_model.norm.register_forward_hook(lambda *given: seen.append(given[-1].shape[1]))
    found = model(input_ids=tokens, labels=labels, fused_lm_head=True)
    handle.remove()
    assert seen == [tokens.shape[1]], "the layers see all of it"
    found.log_probs.sum().backward()
    return found, model.model.layers[0].mlp.up_proj.weight.grad


def test_the_same_log_probs_entropies_and_gradients(folder: Path) -> None:
    """Also where the first answer token of a row is masked."""
    tokens = torch.randint(3, 200, (4, PROMPT + ANSWER), generator=torch.Generator().manual_seed(0))
    labels = tokens.clone()
    labels[:, :PROMPT] = -100
    labels[1, PROMPT] = -100
    whole, gradient = scored(head(folder, alone=False), labels, tokens)
    cut, same = scored(head(folder, alone=True), labels, tokens)
    assert cut.log_probs.shape == (4, ANSWER), "prompts are not scored"
    assert whole.log_probs.shape == (4, PROMPT + ANSWER - 1)
    for name in ("log_probs", "entropy", "label_mask"):
        assert torch.allclose(cut[name].float(), whole[name][:, -ANSWER:].float(), atol=1e-6)
    assert torch.allclose(gradient, same, atol=1e-6)


def test_without_labels_and_without_the_head_all_is_as_before(folder: Path) -> None:
    tokens = torch.tensor([[5, 6, 7, 8]])
    model = head(folder, alone=True)
    labels = torch.tensor([[-100, -100, 7, 8]])
    assert model(input_ids=tokens, labels=labels, fused_lm_head=True).log_probs.shape == (1, 2)
    assert model(input_ids=tokens).logits.shape[:2] == (1, 4)
    none = torch.full_like(tokens, -100)
    assert model(input_ids=tokens, labels=none, fused_lm_head=True).log_probs.tolist() == [[0.0] * 3]
    assert model.generate(tokens, max_new_tokens=2, do_sample=False).shape[1] <= 6
