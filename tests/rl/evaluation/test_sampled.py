"""Completions come from the distribution that was asked for, whatever the padding, and carry their log-probs."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from rl.evaluation.exact import string_log_probs
from rl.evaluation.sampled import Sampling, complete
from rl.models.from_scratch import make_tokenizer

PROMPTS = ["1 2 + :", "3 :", "2 2 2 2 + + :"]  # of different lengths: padding is at work
PLAIN = Sampling(n=64, temperature=1.0, top_p=1.0, top_k=0, max_tokens=3, seed=0)


def changed(**values: Any) -> Sampling:
    return Sampling(**{**vars(PLAIN), **values})


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """A model with random weights, far from uniform, over a dozen symbols."""
    tokenizer = make_tokenizer([*"+:", "1", "2", "3"])
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,  # heads of width 32: the least that vLLM takes on a CPU
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(5.0)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model.eval(), tokenizer


def exact(pair: tuple[Any, Any], prompt: str, temperature: float) -> dict[str, float]:
    """The probability of every text of at most two symbols that ends by itself, from `rl.evaluation.exact`."""
    symbols = [*"+:", "1", "2", "3"]
    texts = [" ".join(words) for length in range(3) for words in itertools.product(symbols, repeat=length)]
    found = string_log_probs(*pair, [prompt] * len(texts), texts, temperature)
    return dict(zip(texts, found.exp().tolist()))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_follow_the_exact_distribution(pair: tuple[Any, Any], temperature: float) -> None:
    n = 4000
    drawn = complete(pair, PROMPTS, changed(n=n, temperature=temperature))
    other = {1.0: 0.6, 0.6: 1.0}[temperature]
    for prompt, completions in zip(PROMPTS, drawn):
        counts = Counter(one.text for one in completions if one.verbatim)
        for wanted, fits in ((exact(pair, prompt, temperature), True), (exact(pair, prompt, other), False)):
            names = [text for text, p in wanted.items() if p * n > 5]
            p = np.array([wanted[text] for text in names])
            z = (np.array([counts[text] for text in names]) / n - p) / np.sqrt(p * (1 - p) / n)
            assert (np.abs(z).max() < 4.5) == fits  # with the wrong temperature it must not fit


def test_log_probs_are_those_of_the_distribution_sampled_from(pair: tuple[Any, Any]) -> None:
    for temperature in (1.0, 0.7):
        for prompt, completions in zip(PROMPTS, complete(pair, PROMPTS, changed(temperature=temperature))):
            whole = [one for one in completions if one.verbatim]
            assert len(whole) >= 2
            wanted = string_log_probs(*pair, [prompt] * len(whole), [one.text for one in whole], temperature)
            np.testing.assert_allclose([one.logp for one in whole], wanted, atol=1e-4)


def test_order_counts_and_ends(pair: tuple[Any, Any]) -> None:
    drawn = complete(pair, PROMPTS, PLAIN)
    assert [len(completions) for completions in drawn] == [64] * 3
    assert complete(pair, [], PLAIN) == []
    for one in itertools.chain.from_iterable(drawn):
        assert 1 <= one.tokens <= 3
        assert one.finished or one.tokens == 3
        assert one.logp < 0
        assert "<eos>" not in one.text
        assert not one.verbatim or (one.finished and one.tokens == len(one.text.split()) + 1)


def test_one_seed_one_result_and_the_global_state_is_left_alone(pair: tuple[Any, Any]) -> None:
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = complete(pair, PROMPTS, PLAIN)
    assert torch.equal(before, torch.random.get_rng_state())
    assert complete(pair, PROMPTS, PLAIN) == first
    assert complete(pair, PROMPTS, changed(seed=1)) != first


def test_truncated_vocabulary(pair: tuple[Any, Any]) -> None:
    for completions in complete(pair, PROMPTS, changed(top_k=1)):
        assert len({one.text for one in completions}) == 1
        assert completions[0].logp == pytest.approx(0.0, abs=1e-6)


def test_model_from_a_folder(pair: tuple[Any, Any], tmp_path: Path) -> None:
    model, tokenizer = pair
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert complete(tmp_path, PROMPTS, PLAIN) == complete(pair, PROMPTS, PLAIN)


@pytest.mark.parametrize(
    "values", [{"n": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"top_k": -1}, {"max_tokens": 0}]
)
def test_refusals(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        changed(**values)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_missing_engine_is_one_line(pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=r"engine='vllm': vLLM is not installed here; `bash paper_repro\.sh vllm`"):
        complete("somewhere", PROMPTS, changed(engine="vllm"))


@pytest.mark.vllm
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
@pytest.mark.parametrize(
    "shipped", [{}, {"repetition_penalty": 1.5, "min_p": 0.5, "top_k": 2}], ids=["plain", "shipped"]
)
def test_vllm_gives_what_transformers_gives(shipped: dict[str, Any], pair: tuple[Any, Any], tmp_path: Path) -> None:
    """Also where the checkpoint ships sampling settings of its own."""
    model, tokenizer = pair
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").write_text(json.dumps({**settings, "do_sample": True, **shipped}))
    tokenizer.save_pretrained(tmp_path)
    n = 2000
    drawn = complete(str(tmp_path), PROMPTS, changed(n=n, temperature=0.7, engine="vllm"))
    for prompt, completions in zip(PROMPTS, drawn):
        assert len(completions) == n
        wanted = exact(pair, prompt, 0.7)
        for one in completions:
            if one.verbatim:
                assert np.exp(one.logp) == pytest.approx(wanted[one.text], rel=0.02, abs=1e-4)
        common = max(wanted, key=lambda text: wanted[text])
        share = sum(one.text == common and one.verbatim for one in completions) / n
        assert abs(share - wanted[common]) < 5 * np.sqrt(wanted[common] * (1 - wanted[common]) / n)
