"""An experiment: its YAML, read strictly into frozen dataclasses. Every default of TRL that matters stands in the YAML.

A file may begin with `extends: other.yaml` (beside it) and then give only what differs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from differential_smoothing.methods import METHODS, Method
from differential_smoothing.methods import get as get_method
from differential_smoothing.methods.variants import is_variant, kind
from repro.names import nearest
from rl import tasks
from rl.experiments.model_config import BaseConfig, CheckpointConfig
from rl.experiments.resources import NeedsConfig
from rl.experiments.yaml_loader import ConfigError, build, existing, merged, override, parse

SECTIONS = ("name", "scale", "task", "base", "train", "evaluate", "methods")
OPTIONAL = ("needs",)
SCALES = ("cpu", "llm", "gpu", "paper")


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Names that TRL's GRPOConfig has mean what they mean there and are handed on as they are."""

    steps: int
    """Optimizer steps."""
    prompts: int
    """Prompts of one optimizer step, over all processes."""
    validate_every: int
    """Steps between exact evaluations on the validation problems; 0: none."""
    heldout_every: int
    """Steps between exact evaluations on the held-out problems, kept problem by problem; 0: none. Nothing is chosen
    by them: they make the endpoint, the mean over the last fifth of the steps, and its curve."""
    validation_ks: tuple[int, ...]
    """The ks of Pass@k in the evaluations along a run."""
    save_every: int
    """Steps between checkpoints; a whole number of generation batches."""
    num_generations: int
    num_iterations: int
    gradient_accumulation_steps: int
    steps_per_generation: int
    """Micro-batches that one generation batch is cut into: a multiple of gradient_accumulation_steps."""
    max_completion_length: int
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "luspo", "sapo", "vespo"]
    scale_rewards: Literal["group", "batch", "none"]
    importance_sampling_level: Literal["token", "sequence"]
    epsilon: float
    epsilon_high: float
    beta: float
    mask_truncated_completions: bool
    learning_rate: float
    lr_scheduler_type: str
    warmup_steps: int
    weight_decay: float
    optim: str
    adam_beta1: float
    adam_beta2: float
    adam_epsilon: float
    max_grad_norm: float
    bf16: bool
    gradient_checkpointing: bool
    use_vllm: bool
    trl: dict[str, Any] = field(default_factory=dict)
    """Further arguments of GRPOConfig, by their names there."""

    def __post_init__(self) -> None:
        whole = ("steps", "prompts", "save_every", "num_iterations", "gradient_accumulation_steps")
        for name in (*whole, "steps_per_generation", "max_completion_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} must be at least 1")
        if self.num_generations < 2:
            raise ValueError(f"num_generations: {self.num_generations} must be at least 2")
        if not self.validation_ks or min(self.validation_ks) < 1:
            raise ValueError(f"validation_ks: {list(self.validation_ks)} must be whole numbers from 1")
        for name in ("validate_every", "heldout_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")
        if self.temperature <= 0 or self.learning_rate <= 0:
            name = "temperature" if self.temperature <= 0 else "learning_rate"
            raise ValueError(f"{name}: {getattr(self, name)} must be positive")
        if self.steps_per_generation % self.gradient_accumulation_steps:
            raise ValueError(
                f"steps_per_generation: {self.steps_per_generation} must be a multiple of "
                f"gradient_accumulation_steps={self.gradient_accumulation_steps}"
            )
        if (self.prompts * self.num_generations) % self.gradient_accumulation_steps:
            raise ValueError(
                f"gradient_accumulation_steps: {self.gradient_accumulation_steps} does not divide the "
                f"{self.prompts * self.num_generations} rollouts of a step"
            )
        for name in ("steps", "save_every"):
            if getattr(self, name) % self.window:
                raise ValueError(
                    f"{name}: {getattr(self, name)} must be a multiple of {self.window}, the steps that one "
                    "generation batch lasts (a checkpoint in its midst could not be resumed exactly)"
                )

    @property
    def window(self) -> int:
        """Optimizer steps that one generation batch lasts."""
        return self.num_iterations * self.steps_per_generation // self.gradient_accumulation_steps


# the fields of TrainConfig that TRL does not have
OWN = ("steps", "prompts", "validate_every", "heldout_every", "save_every", "validation_ks", "trl")


@dataclass(frozen=True)
class EvalConfig:
    """An evaluation. mode: `exact` by teacher forcing every solution, `sampled` by unbiased Pass@k from `samples`.

    samples: completions drawn per problem. In exact mode they serve what cannot be enumerated: the bound on correct
    mass outside the enumeration, and the log-probs of incorrect completions; 0 leaves both out.
    """

    mode: Literal["exact", "sampled"]
    ks: tuple[int, ...]
    samples: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    engine: Literal["transformers", "vllm"]
    rows: int
    """Completions drawn side by side (transformers); part of what a seed stands for."""

    def __post_init__(self) -> None:
        if not self.ks or min(self.ks) < 1 or list(self.ks) != sorted(set(self.ks)):
            raise ValueError(f"ks: {list(self.ks)} must be ascending whole numbers from 1")
        if self.samples < 0 or (self.mode == "sampled" and self.samples < self.ks[-1]):
            raise ValueError(f"samples: {self.samples} is less than the largest k, {self.ks[-1]}: no unbiased estimate")
        if self.mode == "exact" and (self.top_p != 1 or self.top_k != 0):
            raise ValueError("mode: exact evaluates the whole distribution; it needs top_p 1 and top_k 0")
        if self.temperature <= 0 or self.max_tokens < 1:
            raise ValueError(f"temperature: {self.temperature} and max_tokens={self.max_tokens} must be positive")


@dataclass(frozen=True)
class Experiment:
    """A whole experiment. methods: the options of each method by name; a method without an entry has its defaults.

    base: made from scratch, or (in the YAML under `base.checkpoint`) somebody else's. needs: no part of the record.
    """

    name: str
    scale: Literal["cpu", "llm", "gpu", "paper"]
    task: Any
    base: BaseConfig | CheckpointConfig
    train: TrainConfig
    evaluate: EvalConfig
    methods: dict[str, dict[str, Any]]
    needs: NeedsConfig | None = None

    def method(self, name: str) -> Method:
        """The method `name` with this experiment's options; raises ConfigError naming the nearest one."""
        if is_variant(name) and name not in self.methods:
            variants = [known for known in self.methods if is_variant(known)]
            raise ConfigError(f"methods: {self.name} has no variant {name!r}{nearest(name, variants)}")
        try:
            return get_method(name, **self.methods.get(name, {}))
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def record(self, method: str | None = None) -> dict[str, Any]:
        """Every setting, resolved, in JSON's types: what manifests hold and hashes are taken of.

        Of the methods, only `method`: its options do not depend on those of others.
        """
        parts = {key: value for key, value in dataclasses.asdict(self).items() if key not in ("methods", "needs")}
        parts["base"] = self.base.record()
        if method is not None:
            parts["method"] = {"name": "base"} if method == "base" else self.method(method).record()
        return dict(json.loads(json.dumps(parts)))


def read(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The settings of a YAML file as a plain mapping, `extends` resolved. Raises ConfigError with one line."""
    try:
        if path.resolve() in above:
            raise ConfigError("extends itself")
        values = parse(existing(path).read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ConfigError("wanted settings by name")
        below = values.pop("extends", None)
        if below is None:
            return values
        if not isinstance(below, str):
            raise ConfigError(f"extends: {below!r} is not the name of a file")
    except ConfigError as error:
        raise ConfigError(_at(path, error)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    return merged(read(path.parent / below, (*above, path.resolve())), values)


def load(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment; `overrides` are `section.key=value` as given to --set. Raises ConfigError with one line."""
    path = Path(path)
    values = read(path)
    try:
        for assignment in overrides:
            values = override(values, assignment)
        return _experiment(values)
    except ConfigError as error:
        raise ConfigError(_at(path, error)) from None


def _at(path: Path, error: ConfigError) -> str:
    text = str(error)
    return text if text.startswith((f"{path}:", "--set")) else f"{path}: {text}"


def _experiment(values: dict[str, Any]) -> Experiment:
    for key in values:
        if key not in SECTIONS + OPTIONAL:
            raise ConfigError(f"{key}: no such section{nearest(str(key), SECTIONS + OPTIONAL)}")
    for key in SECTIONS:
        if key not in values:
            raise ConfigError(f"{key}: is missing")
    if not isinstance(values["name"], str) or not values["name"].replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"name: {values['name']!r} must be letters, digits, - and _: it names a folder")
    if values["scale"] not in SCALES:
        raise ConfigError(f"scale: {values['scale']!r} is not possible{nearest(str(values['scale']), SCALES)}")
    task, base = _task(values["task"]), _base(values["base"])
    _check_effort(task, base)
    made = Experiment(
        name=values["name"],
        scale=values["scale"],
        task=task,
        base=base,
        train=build(TrainConfig, values["train"], "train"),
        evaluate=build(EvalConfig, values["evaluate"], "evaluate"),
        methods=_methods(values["methods"]),
        needs=build(NeedsConfig, values["needs"], "needs") if "needs" in values else None,
    )
    _check_trl(made.train)
    for name in made.methods:
        made.method(name)
    return made


def _task(values: Any) -> Any:
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise ConfigError("task.name: is missing; it says which task this is")
    if values["name"] not in tasks.TASKS:
        raise ConfigError(f"task.name: no task is called {values['name']!r}{nearest(values['name'], tasks.TASKS)}")
    return build(tasks.get(values["name"]).config, values, "task")


def _base(values: Any) -> BaseConfig | CheckpointConfig:
    if isinstance(values, dict) and "checkpoint" in values:
        if len(values) > 1:
            raise ConfigError("base.checkpoint: is there, so nothing else can be said of the base")
        return build(CheckpointConfig, values["checkpoint"], "base.checkpoint")
    return build(BaseConfig, values, "base")


def _check_effort(task: Any, base: BaseConfig | CheckpointConfig) -> None:
    """The weights of `base.effort` are those that the task has."""
    scratch = tasks.get(task.name).from_scratch
    if not isinstance(base, BaseConfig):
        return
    if scratch is None:
        raise ConfigError(f"base: no model can be made from scratch for {task.name}; name one under base.checkpoint")
    for key in base.effort:
        if key not in scratch.weights:
            raise ConfigError(f"base.effort.{key}: no such weight{nearest(key, scratch.weights)}")
    for key in scratch.weights:
        if key not in base.effort:
            raise ConfigError(f"base.effort.{key}: is missing")


def _methods(values: Any) -> dict[str, dict[str, Any]]:
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"methods: wanted options by method, got {values!r}")
    for name, options in values.items():
        if kind(str(name)) not in METHODS:
            raise ConfigError(f"methods.{name}: no such method{nearest(kind(str(name)), METHODS)}")
        if options is not None and not isinstance(options, dict):
            raise ConfigError(f"methods.{name}: wanted options by name, got {options!r}")
    return {name: dict(options or {}) for name, options in values.items()}


def _check_trl(train: TrainConfig) -> None:
    """The further arguments for TRL exist there, and are not those that the run itself sets."""
    if not train.trl:
        return
    from trl import GRPOConfig

    known = {found.name for found in dataclasses.fields(GRPOConfig)}
    taken = {found.name for found in dataclasses.fields(TrainConfig)} | set(MANAGED)
    for key in train.trl:
        if key in taken:
            raise ConfigError(f"train.trl.{key}: is set elsewhere")
        if key not in known:
            raise ConfigError(f"train.trl.{key}: TRL has no such argument{nearest(key, known - taken)}")
        if key in NOT_RESUMED:
            raise ConfigError(f"train.trl.{key}: no run could be resumed exactly, {NOT_RESUMED[key]} would be lost")


# Arguments of TRL with state that no checkpoint holds: what of it
NOT_RESUMED = {
    "sync_ref_model": "the reference model that follows the policy",
    "save_only_model": "the optimizer",
    "ignore_data_skip": "the place in the order of prompts",
}

# Arguments of TRL that `rl.train` sets itself: exact resuming and the run folder rest on them.
MANAGED = (
    "output_dir",
    "seed",
    "data_seed",
    "max_steps",
    "num_train_epochs",
    "per_device_train_batch_size",
    "generation_batch_size",
    "shuffle_dataset",
    "save_strategy",
    "save_steps",
    "logging_strategy",
    "logging_steps",
    "eval_strategy",
    "report_to",
    "disable_tqdm",
    "use_cpu",
    "resume_from_checkpoint",
)
