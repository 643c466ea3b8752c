"""A YAML is read strictly: whatever is wrong is one line that names the place and the nearest right thing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from trl import GRPOConfig

from repro.manifest import ROOT
from rl.analysis import results
from rl.experiments.config import MANAGED, OWN, TrainConfig, load
from rl.experiments.yaml_loader import ConfigError, parse

EXPERIMENTS = ROOT / "rl" / "experiments"
CPU = EXPERIMENTS / "cpu" / "countdown.yaml"


@pytest.mark.parametrize(
    "path", sorted(path for scale in ("cpu", "llm", "gpu") for path in EXPERIMENTS.glob(f"{scale}/*.yaml")), ids=str
)
def test_every_experiment_loads(path: Path) -> None:
    config = load(path)
    assert config.scale == path.parent.name
    assert config.train.steps % config.train.window == 0


def test_fields_for_trl_exist_there_and_own_ones_do_not() -> None:
    known = {field.name for field in dataclasses.fields(GRPOConfig)}
    ours = {field.name for field in dataclasses.fields(TrainConfig)}
    assert ours - set(OWN) <= known
    assert not set(OWN) & known
    assert set(MANAGED) <= known


def test_no_setting_of_training_has_a_silent_default() -> None:
    with_default = [field.name for field in dataclasses.fields(TrainConfig) if field.default is not dataclasses.MISSING]
    assert with_default == []
    values = yaml.safe_load(CPU.read_text())
    assert set(values["train"]) == {field.name for field in dataclasses.fields(TrainConfig)} - {"trl"}


def test_every_setting_that_is_handed_to_trl_exists_there() -> None:
    handed = {field.name for field in dataclasses.fields(TrainConfig)} - set(OWN)
    assert handed <= {field.name for field in dataclasses.fields(GRPOConfig)}
    assert {"num_generations", "loss_type", "epsilon_high"} <= handed


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("train.learning_rat=1", "train.learning_rat: no such setting; did you mean 'learning_rate'?"),
        ("train.steps=many", "train.steps: 'many' is not a whole number"),
        ("train.steps=1.5", "train.steps: 1.5 is not a whole number"),
        ("train.steps=true", "train.steps: True is not a whole number"),
        ("train.bf16=1", "train.bf16: 1 is not true or false"),
        ("train.learning_rate=.inf", "train.learning_rate: inf is not finite"),
        ("train.loss_type=dap", "train.loss_type: 'dap' is not possible; did you mean 'dapo'?"),
        ("train={steps: 100, num_iterations: 3}", "train.steps: 100 must be a multiple of 3"),
        ("train.trl={vllm_mod: colocate}", "train.trl.vllm_mod: TRL has no such argument; did you mean 'vllm_mode'?"),
        ("train.trl={seed: 1}", "train.trl.seed: is set elsewhere"),
        ("train.trl={sync_ref_model: true}", "train.trl.sync_ref_model: no run could be resumed exactly"),
        ("train.trl={save_only_model: true}", "the optimizer would be lost"),
        ("trian.steps=1", "trian: no such section; did you mean 'train'?"),
        ("task.name=cuntdown", "task.name: no task is called 'cuntdown'; did you mean 'countdown'?"),
        ("task.numbers=9", "task.numbers=9"),
        ("task={numbrs: 3}", "task.numbrs: no such setting; did you mean 'numbers'?"),
        ("base={heads: 3, width: 128}", "base.width=128"),
        ("methods.dsgrpo={}", "methods.dsgrpo: no such method; did you mean 'ds-grpo'?"),
        ("methods.ds-grpo.gama_p=1", "did you mean 'gamma_p'?"),
        ("methods.ds-grpo.gamma_p=-1", "gamma_p"),
        ("evaluate.ks=[8, 1]", "evaluate.ks"),
        (
            "evaluate={mode: sampled, samples: 16, ks: [1, 4096]}",
            "is less than the largest k, 4096: no unbiased estimate",
        ),
        ("evaluate.top_k=5", "evaluate.mode"),
        ("scale=huge", "scale: 'huge' is not possible"),
        ("name=a/b", "name: 'a/b' must be"),
        ("train.steps", "--set train.steps: wanted section.key=value"),
        ("train=[", "line 1"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_nearest_right_one(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(CPU, [assignment])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_path_names_the_nearest_file() -> None:
    with pytest.raises(ConfigError, match=r"countdwn.yaml: no such file; did you mean .*cpu/countdown.yaml\?"):
        load(CPU.with_name("countdwn.yaml"))
    with pytest.raises(ConfigError, match=r"is a folder; it holds: .*countdown\.yaml"):
        load(CPU.parent)
    with pytest.raises(ConfigError, match="no such file"):
        load(Path("/nowhere/at/all.yaml"))


def test_method_by_name() -> None:
    config = load(CPU, ["methods.ds-grpo.gamma_p=0.25"])
    assert config.method("ds-grpo").record()["gamma_p"] == 0.25
    assert config.record("ds-grpo")["method"]["gamma_p"] == 0.25
    with pytest.raises(ConfigError, match="did you mean 'ds-grpo'"):
        config.method("ds-grp")


def test_record_of_a_method_does_not_depend_on_the_options_of_others() -> None:
    plain, other = load(CPU), load(CPU, ["methods.ds-grpo.gamma_p=0.25"])
    assert plain.record("grpo") == other.record("grpo")
    assert plain.record("ds-grpo") != other.record("ds-grpo")


def test_extends_changes_only_what_is_given(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(f"extends: {CPU}\ntrain: {{steps: 100}}\nevaluate: {{ks: [1, 2]}}\n")
    short, whole = load(path), load(CPU)
    assert short.train == dataclasses.replace(whole.train, steps=100)
    assert short.evaluate.ks == (1, 2)
    assert (short.task, short.base, short.methods) == (whole.task, whole.base, whole.methods)


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text, said in (
        (f"extends: {path}\n", "extends itself"),
        ("- 1\n", "wanted settings by name"),
        ("name: a\nname: b\n", "'name' is given twice"),
        ("name: a\n", "scale: is missing"),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: ")
        assert said in str(error.value)
        assert "\n" not in str(error.value)


def test_missing_setting_is_named(tmp_path: Path) -> None:
    values = yaml.safe_load(CPU.read_text())
    del values["train"]["epsilon"]
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"train\.epsilon: is missing"):
        load(tmp_path / "x.yaml")


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("1E3", 1000.0), ("-.5", -0.5), ("3", 3), ("3-4", "3-4")])
def test_numbers_as_people_write_them(text: str, value: object) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


def test_a_variant_has_the_options_that_the_experiment_gives_it() -> None:
    config = load(CPU)
    token = config.method("ds-grpo@token")
    assert token.record()["logprob_aggregation"] == "token"
    assert config.record("ds-grpo@token")["method"]["name"] == "ds-grpo@token"
    with pytest.raises(ConfigError, match="countdown has no variant 'ds-grpo@tokn'; did you mean 'ds-grpo@token'"):
        config.method("ds-grpo@tokn")


def test_every_variant_of_the_ablation_differs_from_ds_grpo_in_one_option() -> None:
    for name in ("countdown", "maze-looped"):
        config = load(EXPERIMENTS / "cpu" / f"{name}.yaml")
        plain = {key: value for key, value in config.method("ds-grpo").record().items() if key != "name"}
        other = {"ds-grpo@matched", "ds-grpo@reward-mixed-groups"}  # the rule for gamma; two options, to find a cause
        variants = [one for one in config.methods if one.startswith("ds-grpo@") and one not in other]
        assert len(variants) == 6
        for variant in variants:
            record = config.method(variant).record()
            differs = {key for key in plain if plain[key] != record[key]} - {"gamma_p", "gamma_n"}
            assert len(differs) == 1, variant


def test_the_rule_for_gamma_gives_what_the_mazes_say() -> None:
    """gamma_p (−E_K log pi0) is that of Countdown, by the committed evaluations of the bases; gamma_n in proportion."""

    def unlikely(name: str) -> float:
        bases = results.load(name, None).of("base").values()
        return -float(np.mean([run.problems["logp_correct"].mean() for run in bases]))

    size = 0.3 * unlikely("countdown")
    for name in ("maze-perfect", "maze-looped"):
        record = load(EXPERIMENTS / "cpu" / f"{name}.yaml").method("ds-grpo@matched").record()
        assert record["gamma_p"] == pytest.approx(size / unlikely(name), rel=0.02)
        assert record["gamma_n"] == pytest.approx(record["gamma_p"] / 15, rel=0.02)
