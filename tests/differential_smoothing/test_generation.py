"""Rollouts and evaluations come from the policy's own distribution, whatever sampling settings its checkpoint ships."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bridge import World
from peft import LoraConfig, get_peft_model
from scipy import stats
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from differential_smoothing.training.generation import KEPT, neutral_generation_config, non_neutral_settings
from rl.evaluation.sampled import Sampling, complete
from rl.models.tabular import BOS, EOS, tabular_tokenizer

WORLD = World()
N = 2000
# Settings that a checkpoint may ship, each strong enough to be seen in N samples of the world's law
SHIPPED: list[dict[str, Any]] = [
    {"repetition_penalty": 1.3},
    {"min_p": 0.5},
    {"typical_p": 0.3},
    {"top_h": 0.2},
    {"epsilon_cutoff": 0.25},
    {"eta_cutoff": 0.9},
    {"no_repeat_ngram_size": 1},
    {"bad_words_ids": [[4]]},
    {"suppress_tokens": [4]},
    {"begin_suppress_tokens": [EOS]},
    {"sequence_bias": [[[4], 2.0]]},
    {"min_new_tokens": 2},
    {"min_length": 3},
    {"num_beams": 4},
    {"exponential_decay_length_penalty": (1, 3.0)},
    {"forced_eos_token_id": EOS, "max_new_tokens": 1},
    {"repetition_penalty": 1.3, "top_k": 2, "top_p": 0.6, "temperature": 0.5, "do_sample": False},
]


def shipping(settings: dict[str, Any]) -> Any:
    model = WORLD.model()
    model.generation_config.update(**settings)
    return model


def misfit(trajectories: list[tuple[int, ...]]) -> float:
    """The p-value of these draws under the law of the world; 0 for one that it never gives."""
    counts = Counter(trajectories)
    if set(counts) - set(WORLD.trajectories):
        return 0.0
    observed = [counts[trajectory] for trajectory in WORLD.trajectories]
    return float(stats.chisquare(observed, np.array(WORLD.p0) * len(trajectories)).pvalue)


def rollouts(model: Any, folder: Path, **settings: Any) -> list[tuple[int, ...]]:
    """What a training without updates draws."""
    seen: list[tuple[int, ...]] = []

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        seen.extend(tuple(ids) for ids in completion_ids)
        return WORLD.reward(completion_ids)

    args = WORLD.settings(folder, per_device_train_batch_size=N, max_steps=1, learning_rate=0.0, **settings)
    WORLD.trainer(args, model=model, reward_funcs=reward, method="grpo").train()
    return seen


def texts(model: Any) -> list[tuple[int, ...]]:
    """What `rl.evaluation.sampled` draws."""
    tokenizer = tabular_tokenizer(5)
    sampling = Sampling(n=N, temperature=1.0, top_p=1.0, top_k=0, max_tokens=WORLD.longest, seed=0)
    (drawn,) = complete((model, tokenizer), ["<bos>"], sampling)
    return [(*tokenizer(one.text, add_special_tokens=False)["input_ids"], EOS) for one in drawn]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda settings: next(iter(settings)))
def test_what_a_checkpoint_ships_stays_off(shipped: dict[str, Any], tmp_path: Path) -> None:
    model = shipping(shipped)
    before = model.generation_config.to_dict()
    assert misfit(rollouts(model, tmp_path)) > 1e-4
    assert misfit(texts(model)) > 1e-4
    left = model.generation_config.to_dict()
    assert {key: left[key] for key in shipped} == {key: before[key] for key in shipped}, "it is saved with the model"


@pytest.mark.parametrize("shipped", SHIPPED[:-1], ids=lambda settings: next(iter(settings)))
def test_without_the_guard_it_would_show(shipped: dict[str, Any]) -> None:
    """The negative control: transformers fills what the caller left open."""
    model = shipping(shipped)
    asked = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, eos_token_id=EOS, pad_token_id=0)
    asked.max_new_tokens = shipped.get("max_new_tokens", WORLD.longest)
    torch.manual_seed(0)
    try:
        drawn = model.generate(torch.full((N, 1), BOS), attention_mask=torch.ones(N, 1), generation_config=asked)
    except (RuntimeError, ValueError, NotImplementedError):
        return  # beams, for instance, cannot go without a cache: a crash shows as well
    rows = [row[: row.index(EOS) + 1] if EOS in row else row for row in drawn[:, 1:].tolist()]
    assert misfit([tuple(row) for row in rows]) < 1e-5


def test_tokens_and_cache_are_the_checkpoints() -> None:
    model = shipping({"eos_token_id": [EOS, 4], "use_cache": False})
    with neutral_generation_config(model):
        assert model.generation_config.eos_token_id == [EOS, 4]
        assert model.generation_config.use_cache is False
        assert {
            key: value for key, value in model.generation_config.to_diff_dict().items() if key not in KEPT
        }.keys() <= {"transformers_version"}


def test_settings_come_back_after_an_error() -> None:
    model = shipping({"repetition_penalty": 1.3})
    with pytest.raises(ZeroDivisionError), neutral_generation_config(model):
        1 / 0  # noqa: B018
    assert model.generation_config.repetition_penalty == 1.3


def test_under_an_adapter_too() -> None:
    config = Qwen2Config(
        vocab_size=8,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    inner = Qwen2ForCausalLM(config)
    inner.generation_config.update(suppress_tokens=[3, 4, 5, 6, 7], pad_token_id=0)
    model = get_peft_model(inner, LoraConfig(target_modules=["q_proj"], task_type="CAUSAL_LM"))
    asked = GenerationConfig(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=4, pad_token_id=0)
    prompt = {"input_ids": torch.ones(64, 1, dtype=torch.long), "attention_mask": torch.ones(64, 1, dtype=torch.long)}
    assert model.generate(**prompt, generation_config=asked)[:, 1:].max() < 3, "the negative control"
    with neutral_generation_config(model):
        assert model.generate(**prompt, generation_config=asked)[:, 1:].max() >= 3


def test_what_the_caller_asks_for_is_done_and_said(tmp_path: Path) -> None:
    """Truncation that was asked for is done; that the log-probs are of another distribution then is said once."""
    asked: list[dict[str, Any]] = [{"min_p": 0.5}, {"top_k": 1}, {"generation_kwargs": {"suppress_tokens": [4]}}]
    for settings in asked:
        assert misfit(rollouts(WORLD.model(), tmp_path, **settings)) < 1e-6
        with pytest.warns(UserWarning, match="rollouts come from another distribution than the policy's"):
            WORLD.trainer(WORLD.settings(tmp_path, max_steps=1, **settings), method="ds-grpo")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        WORLD.trainer(WORLD.settings(tmp_path, max_steps=1), method="ds-grpo")


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0, "temperature": 0.6}, []),
        ({"top_p": 0.9, "top_k": -1, "min_p": 0.0}, ["top_p"]),
        ({"top_k": 50, "stop_strings": ["x"], "min_tokens": 2}, ["top_k", "min_tokens"]),
        ({"bad_words_ids": [[1]], "do_sample": False}, ["bad_words_ids", "do_sample"]),
    ],
)
def test_what_changes_the_law(settings: dict[str, Any], changed: list[str]) -> None:
    assert list(non_neutral_settings(settings)) == changed
