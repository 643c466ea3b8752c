"""Completions from a model: transformers or vLLM behind one function."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from differential_smoothing.training.generation import neutral_generation_config
from rl.evaluation.vllm_engine import need_vllm
from rl.models.pretrained import SAFELY, load_tokenizer


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn: `n` per prompt. top_p 1 and top_k 0 leave the distribution whole.

    Nothing else acts on it: a checkpoint's own sampling settings (penalties, min_p, …) stay off.
    """

    n: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    seed: int
    engine: Literal["transformers", "vllm"] = "transformers"
    rows: int = 512
    """Completions drawn side by side (transformers); part of what a seed stands for."""

    def __post_init__(self) -> None:
        for name in ("n", "max_tokens", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if not self.temperature > 0:
            raise ValueError(f"temperature={self.temperature}: must be positive")
        if not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError(f"top_p={self.top_p}, top_k={self.top_k}: top_p in (0, 1], top_k from 0")


@dataclass(frozen=True)
class Completion:
    """One completion. tokens: how many, end of sequence included. finished: whether it ended by itself.

    logp: its log-probability in nats under the distribution that it was drawn from (temperature, top_p, top_k).
    verbatim: whether it is what `text` and the end of sequence are as tokens: the string that teacher forcing scores.
    """

    text: str
    tokens: int
    finished: bool
    logp: float
    verbatim: bool


def complete(model: Any, prompts: Sequence[str], sampling: Sampling, device: str = "cpu") -> list[list[Completion]]:
    """`sampling.n` completions of each prompt, in the order of `prompts`.

    model: a folder or a name that transformers (or vLLM) loads; for transformers also a pair (model, tokenizer). The
    same seed gives the same completions on the same machine (vLLM: up to how its scheduler batches them, which moves
    the last digits of log-probs); the global random state is left as it was.
    """
    if not prompts:
        return []
    if sampling.engine == "vllm":
        return _vllm(str(model), prompts, sampling)
    if isinstance(model, str | Path):
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype="auto", **SAFELY)
        model = (loaded.to(device), load_tokenizer(Path(model)))
    network, tokenizer = model
    return _transformers(network, tokenizer, prompts, sampling)


def _transformers(model: Any, tokenizer: Any, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
    ends = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    settings = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_new_tokens=sampling.max_tokens,
        eos_token_id=sorted(ends),
        pad_token_id=pad,
        disable_compile=True,
        return_dict_in_generate=True,
        output_scores=True,
    )
    encoded = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    # Prompts of similar length side by side: little padding
    order = sorted(range(len(prompts)), key=lambda index: len(encoded[index]))
    owners = [index for index in order for _ in range(sampling.n)]
    found: list[list[Completion]] = [[] for _ in prompts]
    training = model.training
    model.eval()
    with torch.random.fork_rng(), torch.no_grad(), neutral_generation_config(model):
        torch.manual_seed(sampling.seed)
        for start in range(0, len(owners), sampling.rows):
            chunk = owners[start : start + sampling.rows]
            ids, mask = _left_padded([encoded[index] for index in chunk], pad)
            drawn = model.generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=settings,
            )
            logps = model.compute_transition_scores(drawn.sequences, drawn.scores, normalize_logits=True).cpu()
            for index, row, logp in zip(chunk, drawn.sequences[:, ids.shape[1] :].tolist(), logps):
                length = next((at + 1 for at, token in enumerate(row) if token in ends), None)
                kept = row[:length]
                total = float(logp[: len(kept)].sum())
                found[index].append(_completion(tokenizer, kept, length is not None, total))
    model.train(training)
    return found


def _completion(tokenizer: Any, tokens: Sequence[int], finished: bool, logp: float) -> Completion:
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    again = tokenizer(text, add_special_tokens=False)["input_ids"]
    return Completion(text, len(tokens), finished, logp, finished and [*again] == [*tokens[:-1]])


def _left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (rows, width), the texts at the right."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, width - len(row) :] = torch.tensor(row)
        mask[at, width - len(row) :] = 1
    return ids, mask


def _vllm(model: str, prompts: Sequence[str], sampling: Sampling) -> list[list[Completion]]:
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    need_vllm("engine='vllm'")
    from vllm import LLM, SamplingParams

    tokenizer: Any = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    config: Any = AutoConfig.from_pretrained(model, trust_remote_code=False)
    encoded = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
    # vLLM ends a completion where the model's positions end, and refuses to be asked for more
    longest = min(max(map(len, encoded)) + sampling.max_tokens, config.max_position_embeddings)
    params = [
        SamplingParams(
            n=sampling.n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_tokens,
            seed=int(seed),
            logprobs=0,
            detokenize=False,
        )
        # vLLM counts up from a request's seed, one per completion: a common one would draw all prompts alike
        for seed in np.random.default_rng(sampling.seed).integers(2**62, size=len(encoded))
    ]
    engine = None
    try:
        engine = LLM(
            model=model,
            seed=sampling.seed,
            dtype=str(config.dtype or "auto").removeprefix("torch."),  # left alone, vLLM rounds float32 to 16 bits
            logprobs_mode="processed_logprobs",  # after temperature and truncation, as `Completion.logp` promises
            max_model_len=longest,
            enforce_eager=not torch.cuda.is_available(),  # on a CPU compiling costs more than it saves
        )
        outputs = engine.generate([{"prompt_token_ids": ids} for ids in encoded], params, use_tqdm=False)
    except RuntimeError as error:  # the engine's own process has said why
        raise ValueError(f"engine='vllm': {str(error).splitlines()[0]}") from error
    finally:
        if engine is not None:  # what comes next may need the memory
            engine.llm_engine.engine_core.shutdown()
    return [
        [
            _completion(tokenizer, one.token_ids, one.finish_reason == "stop", float(one.cumulative_logprob))
            for one in output.outputs
        ]
        for output in outputs
    ]
