"""What the supervised stage trains on: every solution of every training problem, drawn with a skew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rl.experiments.model_config import BaseConfig
from rl.tasks.base import Task

IGNORED = -100


@dataclass(frozen=True)
class Examples:
    """Solution strings as tokens, and for each problem the cumulated probabilities of its strings."""

    tokens: torch.Tensor
    """(strings, width): prompt, solution, end of sequence, padding."""
    labels: torch.Tensor
    """(strings, kept): the tokens after the shortest prompt, `IGNORED` on prompts and padding."""
    cumulated: torch.Tensor
    """(strings,) float64: string s of problem p is drawn for u in [cumulated[s−1], cumulated[s]) within [p, p+1)."""
    problems: int

    @property
    def width(self) -> int:
        return self.tokens.shape[1]

    @property
    def kept(self) -> int:
        """How many of the last positions predict something that counts."""
        return self.labels.shape[1]

    @classmethod
    def build(cls, task: Task, problems: Sequence[Any], tokenizer: Any, base: BaseConfig, workers: int = 1) -> Examples:
        """All solutions of `problems`, drawn with probability ∝ exp(−base.skew · effort(solution)) within each.

        A problem's mistake, where the task knows one, is drawn with the share `base.mistakes`.
        workers: processes that enumerate solutions; the result does not depend on them.
        """
        scratch = task.from_scratch
        assert scratch is not None  # the caller has checked
        assert task.solutions is not None
        prompts: list[str] = []
        texts: list[str] = []
        cumulated: list[np.ndarray] = []
        for index, (problem, forms) in enumerate(zip(problems, _solved(task.solutions, problems, workers))):
            strings = [text for form in forms.values() for text in form]
            weights = np.exp(-base.skew * np.array([scratch.effort(text, base.effort) for text in strings]))
            if base.mistakes and (wrong := scratch.mistake(problem)):
                strings.append(wrong)
                weights = np.append(weights, weights.sum() * base.mistakes / (1 - base.mistakes))
            share = np.cumsum(weights) / weights.sum()
            share[-1] = 1.0
            cumulated.append(index + share)
            texts += strings
            prompts += [problem.prompt] * len(strings)
        heads = tokenizer(prompts, add_special_tokens=False)["input_ids"]
        bodies = tokenizer(texts, add_special_tokens=False)["input_ids"]
        width = max(len(head) + len(body) for head, body in zip(heads, bodies)) + 1
        shortest = min(map(len, heads))
        tokens = np.full((len(texts), width), tokenizer.pad_token_id)
        labels = np.full((len(texts), width), IGNORED)
        for row, (head, body) in enumerate(zip(heads, bodies)):
            whole = [*head, *body, tokenizer.eos_token_id]
            tokens[row, : len(whole)] = whole
            labels[row, len(head) : len(whole)] = whole[len(head) :]
        return cls(
            torch.from_numpy(tokens),
            torch.from_numpy(labels[:, shortest:]),
            torch.from_numpy(np.concatenate(cumulated)),
            len(problems),
        )

    def draw(self, batch: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`batch` strings: a problem uniformly, then one of its solutions; tokens and labels."""
        point = torch.rand(batch, generator=generator, dtype=torch.float64) * self.problems
        rows = torch.searchsorted(self.cumulated, point, right=True)
        return self.tokens[rows], self.labels[rows]


def _solved(
    solutions: Callable[[Any], Mapping[str, Sequence[str]]], problems: Sequence[Any], workers: int
) -> list[Mapping[str, Sequence[str]]]:
    if workers == 1:
        return [solutions(problem) for problem in problems]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(solutions, problems, chunksize=64))
