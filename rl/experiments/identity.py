"""The code that decides a run, as one hash: not all of the project, and no comment or docstring of it.

All tasks and methods are imported, one of each is in use: the tables that name them do not count, nor what they alone
import. Of what is left each line of code counts, also where it only shows progress: a run made anew costs time, an old
result under a new name would be wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from differential_smoothing.methods import METHODS, PRESETS, Method
from repro.manifest import ROOT, versions
from repro.sources import closure, code_of
from rl.experiments import runs
from rl.experiments.config import Experiment
from rl.tasks import TASKS

TABLES = {"rl.tasks": ("TASKS",), "differential_smoothing.methods.registry": ("METHODS", "PRESETS")}
"""The modules that name every task or every method, and the tables in which they do."""


def code_key(modules: Iterable[str], task: str, method: Method | None = None, root: Path = ROOT) -> str:
    """SHA-256 of package versions and of the code behind `modules` that a run of `task` and `method` uses.

    method: None where no method's code runs, as in evaluations. root: the project's folder.
    """
    tasks, methods = {one.module for one in TASKS.values()}, set()
    for one in (*METHODS.values(), *PRESETS.values()):
        methods |= _modules(one)
    used = {TASKS[task].module, *(_modules(method) if method is not None else ())}
    total = hashlib.sha256()
    words = [f"{name}={version}" for name, version in versions().items()]
    if method is not None:
        words += [getattr(method.advantages, "__qualname__", ""), f"{method.entropies} {method.answer_counts}"]
        words += [method.surrogate.__qualname__] if method.surrogate is not None else []
    for word in words:
        total.update(word.encode() + b"\0")
    tables = {_path(module): names for module, names in TABLES.items()}
    for path in closure(
        [*modules, *used], root, unfollowed={"rl.tasks": tasks, "differential_smoothing.methods.registry": methods}
    ):
        name = path.relative_to(root)
        text = code_of(path.read_text(encoding="utf-8"), tables.get(name, ()))
        total.update(f"{name}\0{text}\0".encode())
    return total.hexdigest()


def source_key(config: Experiment, name: str) -> str:
    """The hash of the code and the package versions that decide a run of the method `name`."""
    return code_key(["rl.training.run"], config.task.name, config.method(name))


def is_evaluated(folder: Path, split: str, key: str) -> bool:
    """Whether `folder` holds this very evaluation, `key` being its `eval_key`."""
    found = runs.read_json(folder / f"eval-{split}.json")
    return found.get("key") == key and (folder / f"eval-{split}.parquet").is_file()


def eval_key(record: dict[str, Any], seed: int, weights: str) -> str:
    """The hash of all that decides an evaluation: settings, seed, code and the model's weights."""
    words = [
        json.dumps(record, sort_keys=True),
        str(seed),
        weights,
        code_key(["rl.evaluation.run"], record["task"]["name"]),
    ]
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _modules(method: Method) -> set[str]:
    """Where the method's function and its options are defined, and those of its base advantage."""
    found = {one.__module__ for one in (method.advantages, method.surrogate) if one is not None}
    found |= {type(method.options).__module__} if method.options is not None else set()
    return found | (_modules(METHODS[method.base]) if method.base is not None else set())


def _path(module: str) -> Path:
    base = Path(*module.split("."))
    return base / "__init__.py" if (ROOT / base).is_dir() else base.with_suffix(".py")
