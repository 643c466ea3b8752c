"""The registry: names, defaults, overrides, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys

import pytest
import torch

from differential_smoothing.methods import METHODS, PRESETS, get
from differential_smoothing.methods.logprob import LogprobConfig
from differential_smoothing.methods.variants import is_variant, kind
from differential_smoothing.rollouts import Rollouts, normalize
from differential_smoothing.smoothing import SmoothingConfig
from repro.manifest import ROOT

NAMES = [
    "grpo",
    "ds-grpo",
    "ds-grpo-positive",
    "ds-grpo-negative",
    "ds-grpo-centered",
    "entropy-bonus",
    "entropy-penalty",
    "logprob-bonus",
    "logprob-penalty",
]


@pytest.mark.parametrize("module", ["differential_smoothing", "differential_smoothing.methods"])
def test_names_and_options_need_no_torch(module: str) -> None:
    """What only lists methods or checks their options, as a command's `--help` does, starts at once."""
    script = f"import sys, {module}; print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_promised_method_is_there() -> None:
    assert set(NAMES) <= set(METHODS)


def test_every_method_has_a_row_in_the_docs() -> None:
    rows = [line.split("|")[1] for line in (ROOT / "docs" / "methods.md").read_text().splitlines() if line[:3] == "| `"]
    assert sorted(name for row in rows for name in re.findall("`(.*?)`", row)) == sorted(METHODS)


@pytest.mark.parametrize("name", [*METHODS, *PRESETS])
def test_every_entry_is_whole(name: str) -> None:
    method = get(name)
    assert method.name == name
    assert (method.advantages is None and method.surrogate is None) == (method.options is None)
    assert name == "grpo" or method.settings(), "a method without an option is plain GRPO"
    assert set(method.bounds) <= set(method.settings())
    assert json.loads(json.dumps(method.record()))["name"] == name
    again = get(name, **method.settings())
    assert again == method


def test_defaults_do_what_the_names_say() -> None:
    options = {name: get(name).options for name in NAMES}
    positive, negative, centered = (options[f"ds-grpo-{kind}"] for kind in ("positive", "negative", "centered"))
    assert isinstance(positive, SmoothingConfig)
    assert isinstance(negative, SmoothingConfig)
    assert isinstance(centered, SmoothingConfig)
    assert positive.gamma_p > 0 == positive.gamma_n
    assert negative.gamma_n > 0 == negative.gamma_p
    assert centered.center
    assert get("entropy-bonus").trl["entropy_coef"] > 0 > get("entropy-penalty").trl["entropy_coef"]
    bonus, penalty = options["logprob-bonus"], options["logprob-penalty"]
    assert isinstance(bonus, LogprobConfig)
    assert isinstance(penalty, LogprobConfig)
    assert bonus.gamma > 0 > penalty.gamma
    assert options["ds-grpo"] == SmoothingConfig(gamma_p=0.01, gamma_n=0.01)


@pytest.mark.parametrize("base", ["w-reinforce", "psr", "nsr", "bbg"])
def test_the_ds_term_goes_on_any_base(base: str) -> None:
    rewards, groups = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.zeros(4, dtype=torch.long)
    logps = torch.tensor([[-1.0], [-3.0], [-2.0], [-5.0]])
    rows = Rollouts(rewards, normalize(rewards, groups, True), logps, torch.ones(4, 1), rewards.long(), groups)
    method, alone = get("ds-grpo", gamma_p=0.1, gamma_n=0.2, base=base), get(base)
    assert method.advantages is not None
    assert alone.advantages is not None
    found = method.advantages(method.on_base(rows), method.options)
    torch.testing.assert_close(
        found - alone.advantages(rows, alone.options),
        torch.tensor([0.1, 0.2, 0.2, 0.2]) * torch.tensor([1, -3, -2, -5]),
    )
    assert method.whole_groups
    assert method.record()["base"] == base


def test_presets_are_their_sources() -> None:
    """Term of a correct and of a wrong rollout of two tokens at log-probs −1 and −3, in a group of two."""
    logps, mask = torch.tensor([[-1.0, -3.0], [-1.0, -3.0]]), torch.ones(2, 2)
    rewards, groups = torch.tensor([1.0, 0.0]), torch.tensor([0, 0])
    base = normalize(rewards, groups, std=True)
    rows = Rollouts(rewards, base, logps, mask, correct=torch.tensor([1, 0]), groups=groups)
    found = {name: method.advantages(rows, method.options) for name, method in PRESETS.items()}  # type: ignore[misc]
    sign = torch.tensor([1.0, -1.0])
    torch.testing.assert_close(found["paper-eq6"], base + 0.01 * 4 * sign)
    torch.testing.assert_close(found["authors-sep25"], base[:, None] - 0.01 * logps * sign[:, None])
    torch.testing.assert_close(found["authors-nov25"], torch.tensor([0.5, -0.5]) + 0.01 * 2 * sign)
    torch.testing.assert_close(found["maxrl-repo"], base + 0.05 * 2 * sign)


def test_overrides_reach_options_and_trl() -> None:
    assert get("ds-grpo", gamma_p=0.3, logprob_aggregation="mean").options == SmoothingConfig(0.3, 0.01, "mean")
    assert get("entropy-bonus", entropy_coef=0.02).trl == {"entropy_coef": 0.02}
    assert get("ds-grpo", gamma_n=0).record()["gamma_n"] == 0
    assert get("ds-grpo").record()["gamma_n"] == 0.01, "an override must not touch the registry"


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("ds-gpro", {}, "did you mean 'ds-grpo'"),
        ("dsgrpo-centered", {}, "did you mean 'ds-grpo-centered'"),
        ("ds-grpo", {"gama_p": 0.1}, "did you mean 'gamma_p'"),
        ("ds-grpo", {"gamma_p": "0.1"}, "gamma_p='0.1' must be a number"),
        ("ds-grpo", {"gamma_p": True}, "gamma_p=True must be a number"),
        ("ds-grpo", {"gamma_p": -0.1}, "ds-grpo: gamma_p=-0.1"),
        ("ds-grpo", {"logprob_aggregation": "max"}, "logprob_aggregation='max'"),
        ("ds-grpo-positive", {"gamma_n": 0.1}, "gamma_n"),
        ("ds-grpo-negative", {"gamma_p": 0.1}, "gamma_p"),
        ("ds-grpo-centered", {"center": False}, "center"),
        ("entropy-bonus", {"entropy_coef": -0.1}, "entropy_coef=-0.1"),
        ("entropy-penalty", {"entropy_coef": 0.1}, "entropy_coef=0.1"),
        ("entropy-penalty", {"entropy_coef": -math.inf}, "entropy_coef=-inf"),
        ("logprob-bonus", {"gamma": -0.1}, "gamma=-0.1"),
        ("logprob-penalty", {"gamma": 0.1}, "gamma=0.1"),
        ("grpo", {"gamma_p": 0.1}, "unknown option 'gamma_p'"),
    ],
)
def test_refusals_name_what_is_wrong(name: str, overrides: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get(name, **overrides)


def test_a_variant_is_its_method_with_other_options_under_a_second_name() -> None:
    token = get("ds-grpo@token", gamma_p=0.3, logprob_aggregation="token")
    assert token == dataclasses.replace(get("ds-grpo", gamma_p=0.3, logprob_aggregation="token"), name="ds-grpo@token")
    assert token.record()["name"] == "ds-grpo@token"
    assert is_variant(token.name)
    assert not is_variant("ds-grpo")
    assert kind(token.name) == kind("ds-grpo") == "ds-grpo"


@pytest.mark.parametrize("name", ["ds-grpo@", "ds-grpo@a/b", "ds-grpo@..", "ds-grpo@a@b"])
def test_a_variant_has_a_name_that_can_be_a_folder(name: str) -> None:
    with pytest.raises(ValueError, match="a variant needs a name"):
        get(name, gamma_p=0.3)


def test_a_variant_of_nothing_or_without_options_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'ds-grpo'"):
        get("ds-gpro@token", gamma_p=0.3)
    with pytest.raises(ValueError, match="options of its own"):
        get("ds-grpo@token")
