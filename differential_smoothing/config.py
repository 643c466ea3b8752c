"""TRL's GRPO arguments: with those of differential smoothing as fields, and with what a method asks of TRL."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trl import GRPOConfig

from differential_smoothing import methods
from differential_smoothing.methods import BASES, Method


@dataclass
class DSGRPOConfig(GRPOConfig):
    """`GRPOConfig` for `DSGRPOTrainer`; the defaults are GRPO itself. docs/choosing_gamma.md says how to choose gammas.

    `scale_rewards` ("group" or "none") says whether the group's std divides the advantages, and with
    `apply_to="reward"` the term with them; `base="dr-grpo"` means "none". Raises ValueError for a
    value that is not possible.
    """

    gamma_p: float = field(default=0.0, metadata={"help": "Strength of the term on correct completions, from 0."})
    gamma_n: float = field(default=0.0, metadata={"help": "Strength of the term on incorrect completions, from 0."})
    apply_to: str = field(default="advantage", metadata={"help": "What the term is added to: advantage or reward."})
    logprob_aggregation: str = field(
        default="sum", metadata={"help": "How token log-probs make a completion's: sum, mean, or token (each its own)."}
    )
    center: bool = field(
        default=False, metadata={"help": "Subtract the mean log-prob over the group's completions of the same class."}
    )
    zero_variance_groups: str = field(
        default="keep", metadata={"help": "In groups of equal rewards: keep the term, or give advantage zero."}
    )
    base: str = field(default="grpo", metadata={"help": f"Whose advantages the term is added to: {', '.join(BASES)}."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.method()

    def method(self) -> Method:
        """The method with these options."""
        options = {name: getattr(self, name) for name in OPTIONS}
        try:
            return methods.get("ds-grpo", **options, std=self.scale_rewards != "none" and self.base != "dr-grpo")
        except ValueError as error:
            raise ValueError(str(error).removeprefix("ds-grpo: ")) from None


OPTIONS = tuple(f.name for f in dataclasses.fields(DSGRPOConfig) if f.name not in GRPOConfig.__dataclass_fields__)


def as_method(method: Any, keywords: Mapping[str, Any]) -> Method:
    """The method meant by the trainer's argument `method`, a name or a `Method`.

    keywords: the trainer's other arguments. Raises ValueError where options of a method are among them, and for
    anything else than a name or a `Method`.
    """
    known = {key for other in methods.METHODS.values() for key in other.settings()}
    astray = sorted(known & set(keywords))
    name = method if isinstance(method, str) else getattr(method, "name", "ds-grpo")
    if astray:
        given = ", ".join(f"{key}={keywords[key]!r}" for key in astray)
        raise ValueError(f"{given}: an option of the method; pass method=methods.get({name!r}, {given})")
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise ValueError(
            f"method={method!r}: must be a name, or a method with its options: methods.get('ds-grpo', gamma_p=0.1)"
        )
    return methods.get(method)


def configured(args: GRPOConfig, method: Method) -> GRPOConfig:
    """A copy of `args` with the TRL arguments that belong to `method`.

    An argument that still has TRL's default yields to the method; raises ValueError for one that contradicts it.
    """
    args = copy.copy(args)
    default = {field.name: field.default for field in dataclasses.fields(args)}
    default["epsilon_high"] = args.epsilon if args.epsilon_high is not None else None  # that is what None means
    asked = method.asks
    if method.options is not None:
        asked["scale_rewards"] = "group" if method.std else "none"
        asked["multi_objective_aggregation"] = "sum_then_normalize"  # the other one does not normalize by group
    for key, value in asked.items():
        if getattr(args, key) not in (default[key], value):
            raise ValueError(
                f"{key}={getattr(args, key)!r} contradicts method {method.name!r}, which asks for {value!r}; "
                + _way_out(method, key, getattr(args, key))
            )
        setattr(args, key, value)
    return args


def _way_out(method: Method, key: str, value: Any) -> str:
    if key == "scale_rewards" and value == "none" and "std" in method.settings():
        return f"for advantages without division by the std pass method=methods.get({method.name!r}, std=False)"
    if key in method.settings():
        return f"it is an option of the method: pass method=methods.get({method.name!r}, {key}={value!r})"
    return "leave it out, or take another method"
