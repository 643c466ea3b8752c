"""Every method by name: `get("ds-grpo", gamma_p=0.1)`."""

from differential_smoothing.methods.registry import BASES, METHODS, PRESETS, Method, Options, get, nearest

__all__ = ["BASES", "METHODS", "PRESETS", "Method", "Options", "get", "nearest"]
