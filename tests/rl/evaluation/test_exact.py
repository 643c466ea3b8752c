"""Exact evaluation against plain forward passes, one string at a time, and against sampling."""

import copy
import dataclasses
import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import small_base
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_base import TASK

from differential_smoothing import passk
from rl.evaluation import diversity, exact
from rl.models import from_scratch
from rl.tasks import countdown

BASE = dataclasses.replace(small_base.BASE, layers=2, steps=80)


@pytest.fixture(scope="module")
def trained():
    tokenizer = from_scratch.make_tokenizer(countdown.vocabulary(TASK))
    examples = from_scratch.Examples.build(countdown.TASK, countdown.splits(TASK)["train"], tokenizer, BASE)
    torch.manual_seed(0)
    model = from_scratch.make_model(BASE, tokenizer, examples.width)
    from_scratch.supervise(model, examples, BASE, 0)
    return model.eval(), tokenizer


def plain(model, tokenizer, prompt, completion, temperature):
    """log pi of one string by one forward pass without trie, padding or mask."""
    head = tokenizer(prompt)["input_ids"]
    body = [*tokenizer(completion)["input_ids"], tokenizer.eos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([[*head, *body]])).logits[0] / temperature
    log_probs = logits.double().log_softmax(-1)
    return sum(float(log_probs[len(head) - 1 + i, token]) for i, token in enumerate(body))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize(("batch", "full"), [(1, 128), (64, 128), (4096, 128), (256, 12), (256, 1)])
def test_log_probs_are_those_of_single_passes(trained, monkeypatch, temperature, batch, full):
    model, tokenizer = trained
    monkeypatch.setattr(exact, "FULL", full)
    pairs = [
        (problem.prompt, text)
        for problem in countdown.splits(TASK)["heldout"][:6]
        for form in countdown.solutions(problem).values()
        for text in [*form, form[0], form[0].split()[0], ""]
    ]
    pairs = pairs[::2] + pairs[1::2]
    prompts, texts = zip(*pairs)
    found = exact.string_log_probs(model, tokenizer, prompts, texts, temperature, batch)
    expected = [plain(model, tokenizer, prompt, text, temperature) for prompt, text in pairs]
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_plain_attention_sees_what_fused_attention_sees(trained, dtype):
    """It adds its mask instead of choosing by it."""
    model, tokenizer = trained
    problem = countdown.splits(TASK)["heldout"][0]
    texts = [text for form in countdown.solutions(problem).values() for text in form]
    fused, plain_one = (copy.deepcopy(model).to(dtype) for _ in range(2))
    plain_one.set_attn_implementation("eager")
    prompts = [problem.prompt] * len(texts)
    expected = exact.string_log_probs(fused, tokenizer, prompts, texts)
    found = exact.string_log_probs(plain_one, tokenizer, prompts, texts)
    assert torch.allclose(found, expected, atol=1e-4 if dtype == torch.float32 else 0.5)


def test_a_trie_that_sees_its_siblings_is_noticed(trained, monkeypatch):
    # Negative control: causal attention over the row instead of ancestors only.
    model, tokenizer = trained
    problem = next(p for p in countdown.splits(TASK)["heldout"] if len(countdown.solutions(p)) > 1)
    texts = [text for form in countdown.solutions(problem).values() for text in form]
    right = exact.string_log_probs(model, tokenizer, [problem.prompt] * len(texts), texts)
    layout = exact._layout

    def causal(tries, pad):
        tokens, positions, allowed = layout(tries, pad)
        return tokens, positions, torch.ones_like(allowed).tril()

    monkeypatch.setattr(exact, "_layout", causal)
    wrong = exact.string_log_probs(model, tokenizer, [problem.prompt] * len(texts), texts)
    assert (right - wrong).abs().max() > 1e-2


def test_evaluation_agrees_with_sampling(trained):
    model, tokenizer = trained
    problems = countdown.splits(TASK)["heldout"][:8]
    frame = exact.evaluate_exact(model, tokenizer, problems, (1, 4, 16), countdown.solutions)
    torch.manual_seed(1)
    n = 2048
    for row, problem in zip(frame.itertuples(), problems):
        inputs = tokenizer([problem.prompt], return_tensors="pt")
        tokens = model.generate(**inputs, do_sample=True, top_k=0, top_p=1.0, max_new_tokens=8, num_return_sequences=n)[
            :, inputs["input_ids"].shape[1] :
        ]
        texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        listed = {text for form in countdown.solutions(problem).values() for text in form}
        answers = [countdown.verify(problem, text).canonical if text in listed else None for text in texts]
        counts = Counter(answer for answer in answers if answer is not None)
        error = 5 * math.sqrt(max(row.C * (1 - row.C), 1e-4) / n)
        assert passk.pass_at_k(n, counts.total(), 1) == pytest.approx(row.C, abs=error)
        assert passk.pass_at_k(n, counts.total(), 16) == pytest.approx(row.passk_16, abs=16 * error)
        assert diversity.coverage(n, counts, 4, row.solutions) == pytest.approx(row.coverage_4, abs=4 * error)


def test_laid_out_once_they_serve_every_model_and_temperature(trained):
    model, tokenizer = trained
    problems = countdown.splits(TASK)["heldout"][:3]
    listed = exact.Solutions(tokenizer, problems, countdown.solutions)
    other = type(model)(model.config)
    for network, temperature in ((model, 1.0), (other, 1.0), (model, 0.5), (model, 1.0)):
        found = listed.evaluate(network, (1, 4), temperature)
        wanted = exact.evaluate_exact(network, tokenizer, problems, (1, 4), countdown.solutions, temperature)
        pd.testing.assert_frame_equal(found, wanted, check_exact=True)


def test_columns_by_hand():
    tokenizer = from_scratch.make_tokenizer(countdown.vocabulary(TASK))
    problem = SimpleNamespace(id="x", prompt="1 2 : 3")
    probabilities = {"1 + 2": 0.2, "2 + 1": 0.1, "3": 0.1}
    forms = {"sum": ("1 + 2", "2 + 1"), "three": ("3",)}

    class Known:
        def __init__(self, tokenizer, prompts, texts):
            self.texts = texts

        def log_probs(self, model, temperature):
            return torch.tensor([math.log(probabilities[text]) for text in self.texts], dtype=torch.float64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "Texts", Known)
        row = exact.evaluate_exact(None, tokenizer, [problem], (1, 3), lambda _: forms).iloc[0]
    assert (row.problem, row.solutions, row.strings) == ("x", 2, 3)
    assert pytest.approx(0.4) == row.C
    assert row.passk_3 == pytest.approx(1 - 0.6**3)
    assert row.coverage_3 == pytest.approx(((1 - 0.7**3) + (1 - 0.9**3)) / 2)
    assert row.gini_simpson == pytest.approx(1 - 0.75**2 - 0.25**2)
    assert row.entropy == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert row.logp_correct == pytest.approx((0.2 * np.log(0.2) + 0.1 * np.log(0.1) * 2) / 0.4)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-800, -0.7), min_size=1, max_size=2))
def test_impossible_strings_give_no_diversity_instead_of_nonsense(values):
    row = exact._row("x", np.array(values), np.arange(len(values)), len(values), (1, 64))
    assert 0 <= row["C"] <= 1
    if row["C"] == 0:
        assert np.isnan(row["gini_simpson"])
        assert row["passk_64"] == 0
    else:
        assert 0 <= row["gini_simpson"] <= 0.5


def test_bad_arguments_are_named(trained):
    model, tokenizer = trained
    with pytest.raises(ValueError, match="completions: 0 for 1"):
        exact.string_log_probs(model, tokenizer, ["1 2 : 3"], [])
    with pytest.raises(ValueError, match="temperature=0"):
        exact.string_log_probs(model, tokenizer, ["1 2 : 3"], ["1 + 2"], temperature=0)
    with pytest.raises(ValueError, match="no tokens"):
        exact.string_log_probs(model, tokenizer, [""], ["1 + 2"])
    assert exact.string_log_probs(model, tokenizer, [], []).shape == (0,)
