"""TRL's colocated vLLM on a CPU, where its defaults cannot train."""

from __future__ import annotations

from functools import partial


def colocate_on_cpu() -> None:
    """Prepare this process for `use_vllm=True, vllm_mode="colocate"` on a CPU; call it before making the trainer.

    vLLM's CPU kernels keep packed copies of the weights and drop the weights themselves, so that TRL could not load new
    ones after a step (or, for the head, would load them to no effect): plain matrix products are used instead. TRL does
    not say at which precision vLLM computes, and vLLM rounds float32 to bfloat16: it is told float32, the trainer's
    own; and not to compile, which costs more than it saves here. Raises ValueError if vLLM is not installed.
    """
    try:
        import vllm
        from vllm import _custom_ops
    except ImportError:
        raise ValueError("use_vllm: vLLM is not installed here; `bash paper_repro.sh vllm` sets it up") from None
    from trl.generation import vllm_generation

    _custom_ops._supports_onednn = False
    vllm_generation.LLM = partial(vllm.LLM, dtype="float32", enforce_eager=True)
