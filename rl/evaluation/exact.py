"""Exact evaluation by teacher forcing: the probability of every solution string, hence C, Pass@k and diversity.

The strings of one prompt share prefixes, so they are laid out as a trie in one row: each node is computed once, attends
to its ancestors alone and stands at the position that it has in its strings. For Countdown with four numbers that is
about a fourth of the tokens. A long row is cut into several.
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

FULL = 128
"""Nodes after which a prompt's strings go on in another row: attention costs the square of a row's width."""
_TOKENS = 2048  # of one forward pass: the fastest on one core, whose cache it fits
_LOGITS = 1 << 25  # of one forward pass: 128 MiB in float32, which a large vocabulary reaches with fewer tokens


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


@dataclass(frozen=True)
class _Batch:
    """Tries side by side as the model takes them, and the edges of their strings."""

    tokens: torch.Tensor
    positions: torch.Tensor
    allowed: torch.Tensor
    edges: torch.Tensor
    """(4, edges): index of the string, row, node, token predicted there."""

    @classmethod
    def of(cls, tries: Sequence[_Trie], pad: int) -> _Batch:
        edges = [
            (index, row, node, token)
            for row, trie in enumerate(tries)
            for index, path in trie.ends.items()
            for node, token in path
        ]
        return cls(*_layout(tries, pad), torch.tensor(edges).T)


class Texts:
    """Paired prompts and completions laid out for teacher forcing, once for any number of evaluations."""

    def __init__(
        self, tokenizer: Any, prompts: Sequence[str], completions: Sequence[str], batch: int | None = None
    ) -> None:
        """batch: tokens per forward pass; None: 2,048, or fewer where the vocabulary is large.

        Raises ValueError if the two lists differ in length or a prompt has no tokens.
        """
        if len(prompts) != len(completions):
            raise ValueError(f"completions: {len(completions)} for {len(prompts)} prompts; they are paired")
        self._count = len(prompts)
        listed = tokenizer(list(completions), add_special_tokens=False)["input_ids"] if completions else []
        by_prompt: dict[str, list[int]] = {}
        for index, prompt in enumerate(prompts):
            by_prompt.setdefault(prompt, []).append(index)
        end = tokenizer.eos_token_id
        tries = []
        for prompt, indices in by_prompt.items():
            ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            if not ids:
                raise ValueError(f"prompts: {prompt!r} has no tokens")
            tries.append(_Trie(ids))
            for index in sorted(indices, key=listed.__getitem__):  # what shares a prefix stands together
                if len(tries[-1].tokens) >= FULL:
                    tries.append(_Trie(ids))
                tries[-1].add(index, listed[index], end)
        pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._batches = [
            _Batch.of(chunk, pad) for chunk in _batches(tries, batch or min(_TOKENS, _LOGITS // len(tokenizer)))
        ]

    @torch.no_grad()
    def log_probs(self, model: Any, temperature: float = 1.0) -> torch.Tensor:
        """log pi(completion, end of sequence | prompt) in nats, float64, shape (pairs,).

        The distribution is that of sampling at `temperature` without truncation of the vocabulary. Equal completions
        of one prompt each get their log-prob. Raises ValueError if the temperature is not positive.
        """
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: must be positive")
        result = torch.zeros(self._count, dtype=torch.float64)
        training = model.training
        model.eval()
        for one in self._batches:
            tokens, positions, allowed, edges = (
                part.to(model.device) for part in (one.tokens, one.positions, one.allowed, one.edges)
            )
            mask = _for_attention(allowed, model)
            logits = model(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False).logits
            _, rows, nodes, targets = edges
            picked = torch.log_softmax(logits.float() / temperature, dim=-1)[rows, nodes, targets]
            result.index_add_(0, one.edges[0], picked.double().cpu())
        model.train(training)
        return result


class Solutions:
    """Problems with every string of their solutions, laid out once for any number of exact evaluations."""

    def __init__(
        self,
        tokenizer: Any,
        problems: Sequence[HasPrompt],
        solutions: Callable[[Any], Mapping[str, Sequence[str]]],
    ) -> None:
        """solutions: problem → canonical form → its strings."""
        self._problems = [problem.id for problem in problems]
        prompts: list[str] = []
        texts: list[str] = []
        self._forms: list[np.ndarray] = []
        """By problem, the number of the canonical form of each of its strings."""
        self._counts: list[int] = []
        for problem in problems:
            found = solutions(problem)
            forms = [number for number, strings in enumerate(found.values()) for _ in strings]
            self._forms.append(np.array(forms, dtype=int))
            self._counts.append(len(found))
            prompts += [problem.prompt] * len(forms)
            texts += [text for strings in found.values() for text in strings]
        self._texts = Texts(tokenizer, prompts, texts)

    def evaluate(self, model: Any, ks: Sequence[int], temperature: float = 1.0) -> pd.DataFrame:
        """One row per problem: what the theory speaks of, exactly, for the strings that are listed.

        Columns: problem (id), solutions (canonical forms), strings, C (mass of the strings), gini_simpson and entropy
        (nats) of pi_K over canonical forms, coverage_{k} (expected share of the canonical forms among k samples),
        passk_{k} = 1 − (1 − C)^k, logp_correct = E_{pi_K} log pi(string). Where C underflows to zero, what needs pi_K
        is NaN.
        """
        log_probs = self._texts.log_probs(model, temperature).numpy()
        bounds = np.cumsum([len(forms) for forms in self._forms])[:-1]
        parts = np.split(log_probs, bounds) if self._forms else []
        return pd.DataFrame(
            [
                _row(name, part, forms, count, ks)
                for name, part, forms, count in zip(self._problems, parts, self._forms, self._counts)
            ]
        )


def string_log_probs(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    completions: Sequence[str],
    temperature: float = 1.0,
    batch: int | None = None,
) -> torch.Tensor:
    """`Texts.log_probs`, for texts that are evaluated once."""
    return Texts(tokenizer, prompts, completions, batch).log_probs(model, temperature)


def evaluate_exact(
    model: Any,
    tokenizer: Any,
    problems: Sequence[HasPrompt],
    ks: Sequence[int],
    solutions: Callable[[Any], Mapping[str, Sequence[str]]],
    temperature: float = 1.0,
) -> pd.DataFrame:
    """`Solutions.evaluate`, for problems that are evaluated once."""
    return Solutions(tokenizer, problems, solutions).evaluate(model, ks, temperature)


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
