"""An evaluation of a model, written beside the run that made it.

Exact where the answers can be enumerated: teacher forcing gives every solution its probability, hence C, Pass@k for
every k, coverage and the diversity of pi_K; what the enumeration lacks is bounded by sampling. Elsewhere by sampling,
with unbiased Pass@k.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from repro.files import replacing, write_json
from repro.manifest import manifest
from repro.names import nearest
from rl import tasks
from rl.evaluation.exact import evaluate_exact
from rl.evaluation.grading import grade_samples, per_problem, unlisted_mass_bound, upper_bound
from rl.evaluation.sampled import Sampling, complete
from rl.evaluation.vllm_engine import need_vllm
from rl.experiments import runs
from rl.experiments.config import ConfigError, EvalConfig, Experiment
from rl.experiments.identity import eval_key, is_evaluated
from rl.experiments.runs import RunError
from rl.models.from_scratch import base_model
from rl.models.pretrained import SAFELY, load_tokenizer, render_prompts
from rl.tasks._rows import left_out
from rl.tasks.base import Task


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """problems: one row per problem. samples: one row per completion, None where none were drawn."""

    problems: pd.DataFrame
    samples: pd.DataFrame | None
    summary: dict[str, Any]


def evaluate(
    model: Path, task: Task, problems: Sequence[Any], settings: EvalConfig, seed: int, device: str = "cpu"
) -> Evaluation:
    """Evaluate the checkpoint `model` on `problems` as `settings` say. Columns: see `rl.evaluation`.

    Exact mode adds to the columns of `evaluate_exact`: logp_incorrect = E_{pi_I} log pi by sampling, and outside, an
    upper bound (95%) on the mass of correct strings that were not enumerated; NaN where nothing was sampled.
    """
    samples = None
    if settings.samples:
        how = Sampling(
            n=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_tokens=settings.max_tokens,
            seed=seed,
            engine=settings.engine,
            rows=settings.rows,
        )
        samples = grade_samples(task, problems, complete(model, [one.prompt for one in problems], how, device))
    if settings.mode == "sampled":
        assert samples is not None  # EvalConfig asks for as many samples as the largest k
        known = {one.id: set(task.solutions(one)) for one in problems} if task.solutions else None
        table = _labeled(per_problem(samples, settings.ks, known), problems)
        return Evaluation(table, samples, _summary(settings, table, samples))

    if task.solutions is None:
        raise ConfigError("evaluate.mode: exact needs a task whose solutions can be listed; use sampled")
    found = {one.id: task.solutions(one) for one in problems}
    tokenizer = load_tokenizer(model)
    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, **SAFELY)
    table = evaluate_exact(
        network.to(device), tokenizer, problems, settings.ks, lambda one: found[one.id], settings.temperature
    )
    table = _labeled(table, problems)
    summary_outside = None
    table["logp_incorrect"] = math.nan
    table["outside"] = math.nan
    if samples is not None:
        by_problem = per_problem(samples, (1,))
        table["logp_incorrect"] = by_problem["logp_incorrect"].to_numpy()
        listed = {name: frozenset(text for form in forms.values() for text in form) for name, forms in found.items()}
        strays = unlisted_mass_bound(samples, listed)
        # what is outside is also at most what the enumeration leaves
        table["outside"] = strays["outside"].clip(upper=1 - table["C"]).to_numpy()
        n, seen = int(strays["n"].sum()), int(strays["found"].sum())
        summary_outside = {"samples": n, "found": seen, "mean_mass_at_most": upper_bound(seen, n)}
    summary = _summary(settings, table, samples)
    return Evaluation(table, samples, {**summary, "outside": summary_outside})


def _labeled(table: pd.DataFrame, problems: Sequence[Any]) -> pd.DataFrame:
    """`table` with the column benchmark, where the task has problems of several."""
    names = [str(one.benchmark) for one in problems if hasattr(one, "benchmark")]
    return table.assign(benchmark=names) if names else table


def _curves(settings: EvalConfig, table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """The means over problems of Pass@k and of coverage, by k."""
    return {
        out: {str(k): _finite(table[f"{column}_{k}"].mean()) for k in settings.ks if f"{column}_{k}" in table}
        for out, column in (("pass_at_k", "passk"), ("coverage", "coverage"))
    }


def _reasons(samples: pd.DataFrame | None, table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How often each reason was given for a verdict on the problems of `table`: how often a grader gave up, say."""
    if samples is None:
        return {}
    counts = samples.loc[samples["problem"].isin(table["problem"]), "reason"].value_counts()
    return {"reasons": {str(name): int(count) for name, count in counts.items()}}


def _summary(settings: EvalConfig, table: pd.DataFrame, samples: pd.DataFrame | None) -> dict[str, Any]:
    mean = {name: _finite(table[name].mean()) for name in table.columns if name not in ("problem", "benchmark")}
    more: dict[str, Any] = {}
    if "benchmark" in table:
        more["benchmarks"] = {
            str(name): {"problems": len(part), **_curves(settings, part), **_reasons(samples, part)}
            for name, part in table.groupby("benchmark", sort=False)
        }
    more |= _reasons(samples, table)
    single = ("C", "gini_simpson", "entropy", "logp_correct", "logp_incorrect")
    truncated = None if samples is None else _finite(1 - samples["finished"].mean())
    return {
        "mode": settings.mode,
        "ks": list(settings.ks),
        "problems": len(table),
        **_curves(settings, table),
        **{name: mean[name] for name in single},
        **more,
        "truncated": truncated,
        "sampling": {key: value for key, value in vars(settings).items() if key not in ("mode", "ks")},
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def parameters(model: Path) -> int:
    """How many parameters the checkpoint has; weights that layers share count once."""
    total = 0
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            total += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (no mapping)
    return total


def locate(config: Experiment, method: str, seed: int, out: Path) -> tuple[Path, Path]:
    """The folder of a run and its model's, the base model's for `base`. Raises RunError if it is not finished."""
    folder = runs.folder_of(out, config.name, seed, method)
    if method == "base":
        return folder, base_model(config, seed, out)
    config.method(method)
    if not (folder / "manifest.json").is_file():
        raise RunError(f"{folder}: has no finished run; `python -m rl.train` makes it")
    return folder, folder / "model"


def write(folder: Path, split: str, found: Evaluation, more: dict[str, Any]) -> None:
    """The files of an evaluation; the JSON last, so that where it is, all are."""
    with replacing(folder / f"eval-{split}.parquet") as temporary:
        found.problems.to_parquet(temporary, index=False)
    if found.samples is not None:
        with replacing(folder / f"eval-{split}-samples.parquet") as temporary:
            found.samples.to_parquet(temporary, index=False)
    write_json(folder / f"eval-{split}.json", {"split": split, **found.summary, **more})


def _files(folder: Path, split: str) -> list[Path]:
    """Those of an evaluation that are there, the JSON last: while it is here, the others can still be moved after."""
    names = (f"eval-{split}.parquet", f"eval-{split}-samples.parquet", f"eval-{split}.json")
    return [folder / name for name in names if (folder / name).is_file()]


def _place(shelf: Path, split: str, key: str) -> Path:
    return shelf / f"eval-{split}-{key[:12]}"


def _set_aside(folder: Path, split: str, shelf: Path) -> None:
    """Move a finished evaluation of `split`, of other settings, to `shelf`; what a killed process left stays."""
    if (folder / f"eval-{split}.json").is_file():
        key = runs.read_json(folder / f"eval-{split}.json").get("key", "unnamed")
        runs.move(_files(folder, split), _place(shelf, split, key))


def run(config: Experiment, options: argparse.Namespace) -> str:
    """Do what the command line asks for; returns a line that says what came out."""
    started = time.time()
    if config.evaluate.engine == "vllm":
        need_vllm("evaluate.engine")  # before a base model is made
    if options.model is None:
        folder, model = locate(config, options.method, options.seed, options.out)
        shelf = runs.shelf_of(options.out, config.name, options.seed, options.method)
        record = config.record(options.method)
    else:
        model = model_folder(options.model)
        folder = options.out / "evaluations" / options.model.resolve().name
        shelf = options.out / "earlier" / "evaluations" / folder.name
        record = config.record()
    with runs.locked(folder):
        key = eval_key(record, options.seed, runs.weights(model))
        if is_evaluated(folder, options.split, key):
            return f"{folder}: {options.split} is evaluated already"
        if is_evaluated(place := _place(shelf, options.split, key), options.split, key):
            _set_aside(folder, options.split, shelf)
            runs.move(_files(place, options.split), folder)
            return f"{folder}: {options.split} was evaluated so before; that lay in {place}, and is here again"
        task = tasks.get(config.task.name)
        problems = render_prompts(task.splits(config.task)[options.split], config.base, load_tokenizer(model))
        if not problems:
            raise ConfigError(f"--split {options.split}: {config.task.name} has no problems there")
        device = "cuda" if config.scale != "cpu" and torch.cuda.is_available() else "cpu"
        found = evaluate(model, task, problems, config.evaluate, options.seed, device)
        made = manifest(record, options.seed, started, left_out=left_out())
        if options.method == "base":  # a base model lies elsewhere; here it stands beside the runs
            write_json(folder / "manifest.json", {**made, "base": runs.weights(model), "model": model.name})
        more = {"model": model.name, "parameters": parameters(model), "key": key, "manifest": made}
        _set_aside(folder, options.split, shelf)
        write(folder, options.split, found, more)
    ks = [k for k in (1, 8, 64) if k in config.evaluate.ks] or config.evaluate.ks[:1]
    shown = ", ".join(f"Pass@{k} {found.summary['pass_at_k'][str(k)]:.3f}" for k in ks)
    return f"{folder}: {options.split}, {len(problems)} problems, {config.evaluate.mode}: {shown}"


def model_folder(path: Path) -> Path:
    """The checkpoint at `path`, which may be a run's folder. Raises ConfigError with the nearest name."""
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    beside = [found.name for found in path.parent.iterdir() if found.is_dir()] if path.parent.is_dir() else []
    raise ConfigError(f"{path}: no model lies there" + (nearest(path.name, beside) if beside else ""))
