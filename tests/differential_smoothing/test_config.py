"""DSGRPOConfig: the term's options as fields of TRL's arguments; the same step as by `method`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridge import steps
from stepping import BATCH, WORLD
from transformers import HfArgumentParser

from differential_smoothing import methods
from differential_smoothing.config import OPTIONS, DSGRPOConfig
from differential_smoothing.methods import BASES
from differential_smoothing.trl import DSGRPOTrainer


def config(folder: Path, **settings: Any) -> DSGRPOConfig:
    plain = WORLD.settings(folder, per_device_train_batch_size=8, max_steps=1)
    taken = ("output_dir", "report_to", "use_cpu", "bf16", "gradient_checkpointing", "disable_tqdm", "save_strategy")
    taken += ("logging_strategy", "num_generations", "per_device_train_batch_size", "max_completion_length", "optim")
    taken += ("learning_rate", "lr_scheduler_type", "max_grad_norm", "weight_decay", "loss_type", "beta", "max_steps")
    return DSGRPOConfig(**{**{name: getattr(plain, name) for name in taken}, **settings})


def step(folder: Path, args: Any, **keywords: Any) -> np.ndarray:
    return steps(WORLD.trainer(args, DSGRPOTrainer, rollout_func=WORLD.handed_in([BATCH]), **keywords))[0]


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"gamma_p": 0.3, "gamma_n": 0.1}, {"gamma_p": 0.3, "gamma_n": 0.1}),
        ({"gamma_p": 0.3, "center": True}, {"gamma_p": 0.3, "gamma_n": 0.0, "center": True}),
        (
            {"gamma_p": 0.3, "logprob_aggregation": "token", "zero_variance_groups": "zero"},
            {"gamma_p": 0.3, "gamma_n": 0.0, "logprob_aggregation": "token", "zero_variance_groups": "zero"},
        ),
        (
            {"gamma_p": 0.3, "apply_to": "reward", "scale_rewards": "none"},
            {"gamma_p": 0.3, "gamma_n": 0.0, "apply_to": "reward", "std": False},
        ),
        ({"gamma_p": 0.3, "base": "maxrl"}, {"gamma_p": 0.3, "gamma_n": 0.0, "base": "maxrl"}),
    ],
    ids=str,
)
def test_fields_are_the_options(fields: dict[str, Any], options: dict[str, Any], tmp_path: Path) -> None:
    found = step(tmp_path, config(tmp_path, **fields))
    plain = WORLD.settings(tmp_path, per_device_train_batch_size=8, max_steps=1)
    np.testing.assert_array_equal(found, step(tmp_path, plain, method=methods.get("ds-grpo", **options)))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("road", [{}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}], ids=str)
def test_the_term_is_added_to_the_base_that_is_named(base: str, road: dict[str, Any], tmp_path: Path) -> None:
    """Steps are linear in the advantages: with the term less without it is the same on every base."""
    with_term = step(tmp_path, config(tmp_path, gamma_p=0.3, gamma_n=0.1, base=base, **road))
    alone = step(tmp_path, config(tmp_path, base=base, **road))
    on_grpo = step(tmp_path, config(tmp_path, gamma_p=0.3, gamma_n=0.1)) - step(tmp_path, config(tmp_path))
    np.testing.assert_allclose(with_term - alone, on_grpo, rtol=0, atol=1e-6)
    if base != "dr-grpo":  # that method has a loss of its own besides
        plain = WORLD.settings(tmp_path, per_device_train_batch_size=8, max_steps=1)
        np.testing.assert_allclose(alone, step(tmp_path, plain, method=base), rtol=0, atol=1e-6)


def test_without_gammas_it_is_grpo(tmp_path: Path) -> None:
    plain = WORLD.settings(tmp_path, per_device_train_batch_size=8, max_steps=1)
    np.testing.assert_array_equal(step(tmp_path, config(tmp_path)), step(tmp_path, plain, method="grpo"))


def test_command_lines_and_saved_arguments_see_them(tmp_path: Path) -> None:
    words = ["--output_dir", str(tmp_path), "--use_cpu", "--bf16", "false", "--gamma_p", "0.2", "--center", "true"]
    (args,) = HfArgumentParser([DSGRPOConfig]).parse_args_into_dataclasses(words)  # type: ignore[arg-type]
    assert (args.gamma_p, args.center, args.gamma_n) == (0.2, True, 0.0)
    assert {name: args.to_dict()[name] for name in OPTIONS} == {
        "gamma_p": 0.2,
        "gamma_n": 0.0,
        "apply_to": "advantage",
        "logprob_aggregation": "sum",
        "center": True,
        "zero_variance_groups": "keep",
        "base": "grpo",
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": "maxrl", "apply_to": "reward"}, "base='maxrl' cannot go with apply_to='reward'"),
        ({"gamma_p": -1.0}, "gamma_p=-1.0 must be a finite number >= 0"),
        ({"apply_to": "loss"}, "apply_to='loss' must be one of advantage, reward"),
        ({"logprob_aggregation": "max"}, "logprob_aggregation='max' must be one of"),
        ({"zero_variance_groups": "drop"}, "zero_variance_groups='drop' must be one of"),
        ({"logprob_aggregation": "token", "apply_to": "reward"}, "cannot go with apply_to='reward'"),
        ({"base": "dapo"}, "base='dapo' must be one of"),
    ],
)
def test_impossible_values_are_one_line(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        config(tmp_path, **fields)


def test_both_spellings_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="method: its options stand in the arguments"):
        step(tmp_path, config(tmp_path), method="ds-grpo")
