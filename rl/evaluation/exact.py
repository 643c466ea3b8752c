"""Exact evaluation by teacher forcing: the probability of every solution string, hence C, Pass@k and diversity.

The strings of one prompt share prefixes, so they are laid out as a trie in one row: each node is computed once, attends
to its ancestors alone and stands at the position that it has in its strings. For Countdown with four numbers that is
about a fourth of the tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch

from differential_smoothing.passk import pass_at_k_exact
from rl.evaluation.diversity import coverage_exact, gini_simpson, shannon_entropy

_LOGITS = 1 << 25  # of one forward pass, all positions together: 128 MiB in float32


class HasPrompt(Protocol):
    """What exact evaluation needs of a problem."""

    @property
    def id(self) -> str: ...

    @property
    def prompt(self) -> str: ...


@dataclass
class _Trie:
    """One prompt with all continuations: node j is predicted by node `parent[j]`; the prompt is the trunk."""

    tokens: list[int]
    parent: list[int]
    ends: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Index of the string → its edges (node, token predicted there), end of sequence included."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self.tokens = list(prompt)
        self.parent = list(range(-1, len(prompt) - 1))
        self.ends = {}
        self._trunk = len(prompt) - 1
        self._children: dict[tuple[int, int], int] = {}

    def add(self, index: int, completion: Sequence[int], end: int) -> None:
        node = self._trunk
        edges = []
        for token in completion:
            edges.append((node, token))
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = len(self.tokens)
                self.tokens.append(token)
                self.parent.append(node)
            node = child
        self.ends[index] = [*edges, (node, end)]


def _layout(tries: Sequence[_Trie], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids (rows, width), positions (rows, width), and who attends to whom (rows, 1, width, width), bool."""
    width = max(len(trie.tokens) for trie in tries)
    tokens = np.full((len(tries), width), pad, dtype=np.int64)
    positions = np.zeros((len(tries), width), dtype=np.int64)
    allowed = np.zeros((len(tries), width, width), dtype=bool)
    allowed[:, range(width), range(width)] = True  # padding attends to itself: no row of the softmax is empty
    for row, trie in enumerate(tries):
        tokens[row, : len(trie.tokens)] = trie.tokens
        for node, parent in enumerate(trie.parent):
            if parent >= 0:
                allowed[row, node] |= allowed[row, parent]
                positions[row, node] = positions[row, parent] + 1
    return torch.from_numpy(tokens), torch.from_numpy(positions), torch.from_numpy(allowed[:, None])


def _for_attention(allowed: torch.Tensor, model: Any) -> torch.Tensor:
    """`allowed` as the model's attention takes it: plain attention adds its mask to the scores, where a true is 1."""
    if model.config._attn_implementation != "eager":
        return allowed
    lowest = torch.finfo(model.dtype).min
    return torch.zeros_like(allowed, dtype=model.dtype).masked_fill(~allowed, lowest)


def _batches(tries: list[_Trie], batch: int) -> Iterator[list[_Trie]]:
    """Tries of similar size together, as many as fit `batch` tokens (at least one)."""
    chunk: list[_Trie] = []
    for trie in sorted(tries, key=lambda trie: len(trie.tokens)):
        if chunk and (len(chunk) + 1) * len(trie.tokens) > batch:
            yield chunk
            chunk = []
        chunk.append(trie)
    if chunk:
        yield chunk


@torch.no_grad()
def string_log_probs(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    completions: Sequence[str],
    temperature: float = 1.0,
    batch: int | None = None,
) -> torch.Tensor:
    """log pi(completion, end of sequence | prompt) in nats, float64, shape (len(completions),), for paired texts.

    The distribution is that of sampling at `temperature` without truncation of the vocabulary. `batch` is the number
    of tokens per forward pass; by default 2,048, the fastest on one core, or fewer where the vocabulary is large.
    Equal completions of one prompt each get their log-prob. Raises ValueError if the two lists differ in length, the
    temperature is not positive or a text is empty of tokens where it must not be.
    """
    if len(prompts) != len(completions):
        raise ValueError(f"completions: {len(completions)} for {len(prompts)} prompts; they are paired")
    if not temperature > 0:
        raise ValueError(f"temperature={temperature}: must be positive")
    result = torch.zeros(len(prompts), dtype=torch.float64)
    if not prompts:
        return result
    unique = list(dict.fromkeys(prompts))
    encoded = tokenizer(unique, add_special_tokens=False)["input_ids"]
    tries = {}
    for text, ids in zip(unique, encoded):
        if not ids:
            raise ValueError(f"prompts: {text!r} has no tokens")
        tries[text] = _Trie(ids)
    end = tokenizer.eos_token_id
    for index, ids in enumerate(tokenizer(list(completions), add_special_tokens=False)["input_ids"]):
        tries[prompts[index]].add(index, ids, end)
    pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    training = model.training
    model.eval()
    batch = batch or min(2048, _LOGITS // model.config.vocab_size)
    for chunk in _batches(list(tries.values()), batch):
        tokens, positions, allowed = (part.to(model.device) for part in _layout(chunk, pad))
        mask = _for_attention(allowed, model)
        logits = model(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False).logits
        log_probs = torch.log_softmax(logits.float() / temperature, dim=-1)
        edges = [
            (index, row, node, token)
            for row, trie in enumerate(chunk)
            for index, path in trie.ends.items()
            for node, token in path
        ]
        strings, rows, nodes, targets = torch.tensor(edges).T
        picked = log_probs[rows.to(model.device), nodes.to(model.device), targets.to(model.device)]
        result.index_add_(0, strings, picked.double().cpu())
    model.train(training)
    return result


def evaluate_exact(
    model: Any,
    tokenizer: Any,
    problems: Sequence[HasPrompt],
    ks: Sequence[int],
    solutions: Callable[[Any], Mapping[str, Sequence[str]]],
    temperature: float = 1.0,
    batch: int | None = None,
) -> pd.DataFrame:
    """One row per problem: what the theory speaks of, exactly, for the strings that `solutions(problem)` lists.

    Columns: problem (id), solutions (canonical forms), strings, C (mass of the strings), gini_simpson and entropy
    (nats) of pi_K over canonical forms, coverage_{k} (expected share of the canonical forms among k samples), passk_{k}
    = 1 − (1 − C)^k, logp_correct = E_{pi_K} log pi(string). Where C underflows to zero, what needs pi_K is NaN.
    """
    listed = [solutions(problem) for problem in problems]
    owner: list[int] = []
    form: list[int] = []
    texts: list[str] = []
    for index, found in enumerate(listed):
        for number, strings in enumerate(found.values()):
            owner += [index] * len(strings)
            form += [number] * len(strings)
            texts += strings
    prompts = [problems[index].prompt for index in owner]
    log_probs = string_log_probs(model, tokenizer, prompts, texts, temperature, batch).numpy()
    owners, forms = np.array(owner, dtype=int), np.array(form, dtype=int)
    bounds = np.searchsorted(owners, np.arange(len(problems) + 1))
    rows = []
    for index, problem in enumerate(problems):
        part = slice(bounds[index], bounds[index + 1])
        rows.append(_row(problem.id, log_probs[part], forms[part], len(listed[index]), ks))
    return pd.DataFrame(rows)


def _row(name: str, log_probs: np.ndarray, forms: np.ndarray, count: int, ks: Sequence[int]) -> dict[str, Any]:
    mass = np.bincount(forms, np.exp(log_probs), minlength=count)
    # float32 logits can make the sum exceed one by rounding.
    correctness = min(float(mass.sum()), 1.0)
    positive = correctness > 0
    weights = np.exp(log_probs) / mass.sum() if positive else log_probs
    return {
        "problem": name,
        "solutions": count,
        "strings": len(log_probs),
        "C": correctness,
        "gini_simpson": gini_simpson(mass / mass.sum()) if positive else np.nan,
        "entropy": shannon_entropy(mass / mass.sum()) if positive else np.nan,
        **{f"coverage_{k}": coverage_exact(np.minimum(mass, 1.0), k) for k in ks},
        **{f"passk_{k}": float(pass_at_k_exact(correctness, k)) for k in ks},
        "logp_correct": float(weights @ log_probs) if positive else np.nan,
    }
