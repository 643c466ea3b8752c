"""vLLM where its defaults do not do: whether it is here at all, and TRL's colocated engine on a CPU."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec


def need_vllm(setting: str) -> None:
    """Raise ValueError, in one line, unless vLLM can be imported; `setting` is what asks for it."""
    remedy = "`bash paper_repro.sh vllm` sets it up"
    if find_spec("vllm") is None:
        raise ValueError(f"{setting}: vLLM is not installed here; {remedy}")
    try:
        import vllm  # noqa: F401
    except ImportError as error:  # libraries that do not fit each other
        reason = str(error).splitlines()[0]
        raise ValueError(f"{setting}: vLLM is installed but cannot be imported ({reason}); {remedy}") from error


def colocate_on_cpu() -> None:
    """Prepare this process for `use_vllm=True, vllm_mode="colocate"` on a CPU; call it before making the trainer.

    vLLM's CPU kernels keep packed copies of the weights and drop the weights themselves, so that TRL could not load new
    ones after a step (or, for the head, would load them to no effect): plain matrix products are used instead. TRL does
    not say at which precision vLLM computes, and vLLM rounds float32 to bfloat16: it is told float32, the trainer's
    own; and not to compile, which costs more than it saves here. Raises ValueError if vLLM cannot be imported.
    """
    need_vllm("use_vllm")
    import vllm
    from trl.generation import vllm_generation
    from vllm import _custom_ops

    _custom_ops._supports_onednn = False
    vllm_generation.LLM = partial(vllm.LLM, dtype="float32", enforce_eager=True)
