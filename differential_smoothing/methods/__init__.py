"""Every method by name: `get("ds-grpo", gamma_p=0.1)`.

Docstrings say how sure it is that a formula or a value is the paper's: H high, M medium, L low; D: derived here.
"""

from differential_smoothing.methods.registry import BASES, METHODS, PRESETS, Method, Options, get, nearest

__all__ = ["BASES", "METHODS", "PRESETS", "Method", "Options", "get", "nearest"]
