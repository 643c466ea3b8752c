"""TRL's GRPO arguments with those of differential smoothing, as fields: command lines, logs and files hold them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from trl import GRPOConfig

from differential_smoothing.methods import BASES, Method
from differential_smoothing.methods import get as get_method


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
            return get_method("ds-grpo", **options, std=self.scale_rewards != "none" and self.base != "dr-grpo")
        except ValueError as error:
            raise ValueError(str(error).removeprefix("ds-grpo: ")) from None


OPTIONS = tuple(f.name for f in dataclasses.fields(DSGRPOConfig) if f.name not in GRPOConfig.__dataclass_fields__)
