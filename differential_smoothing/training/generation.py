"""Sampling from the distribution that was asked for: what a checkpoint's own settings would add stays off.

transformers fills every field of a `GenerationConfig` that the caller left open from the checkpoint's
`generation_config.json`: penalties, min_p, typical_p, forbidden tokens, beams. Shipped instruct models carry such
values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from transformers import GenerationConfig

# Fields of a checkpoint's own settings that stay: which tokens begin, end and pad, and how the cache is kept. None of
# them changes a token's probability. All others are off unless the caller asks.
KEPT = (
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "decoder_start_token_id",
    "use_cache",
    "cache_implementation",
    "cache_config",
    "max_cache_len",
    "compile_config",
    "disable_compile",
    "prefill_chunk_size",
    "continuous_batching_config",
)

# Generation settings that can change the sampled distribution, and the values at which each does not.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "top_p": (1.0,),
    "top_k": (0, -1),
    "min_p": (0.0,),
    "typical_p": (1.0,),
    "top_h": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "presence_penalty": (0.0,),
    "frequency_penalty": (0.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "min_tokens": (0,),
    "num_beams": (1,),
    "do_sample": (True,),
    "guidance_scale": (1.0,),
    "bad_words_ids": (),
    "bad_words": (),
    "allowed_token_ids": (),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "sequence_bias": (),
    "logit_bias": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "exponential_decay_length_penalty": (),
    "watermarking_config": (),
    "structured_outputs": (),
    "penalty_alpha": (),
    "dola_layers": (),
}


@contextlib.contextmanager
def neutral_generation_config(model: Any) -> Iterator[None]:
    """Within it, `model.generate` adds nothing of the checkpoint's own but what `KEPT` names.

    model: a transformers model, or a PEFT model around one. Its settings, which are saved with it, are put back.
    """
    holder = model.get_base_model() if hasattr(model, "peft_config") else model
    theirs = holder.generation_config
    holder.generation_config = GenerationConfig(**{name: getattr(theirs, name, None) for name in KEPT})
    try:
        yield
    finally:
        holder.generation_config = theirs


def non_neutral_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a caller's generation settings that make the sampled distribution another than the model's."""
    return {
        name: value
        for name, value in settings.items()
        if name in _NEUTRAL and value is not None and value not in _NEUTRAL[name]
    }
