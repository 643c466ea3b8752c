"""Recorded runs, read back: local runs, else the committed ones in `results/`. No torch here: figures import this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from differential_smoothing.methods.variants import is_variant
from repro.manifest import ROOT, missing_fields
from rl.analysis import tables
from rl.experiments import trajectory

SHARED = ("name", "scale", "task", "base", "train", "evaluate")  # what runs must have in common to stand in one figure


LOCAL, COMMITTED = "local run", "results"  # where runs lie


class ResultError(ValueError):
    """A result that a figure needs is missing, incomplete or of another experiment; the message is one line."""


class NotRun(ResultError):
    """There is no result at all of what was asked for; the message says how to make it."""


@dataclass(frozen=True)
class Run:
    """One model: a method (or `base`) with a seed."""

    method: str
    seed: int
    folder: Path
    """The run's own; of a committed run, that of its experiment's tables."""
    config: dict[str, Any]
    manifest: dict[str, Any]
    summary: dict[str, Any]
    """Of the evaluation; empty where the run is not evaluated yet."""
    problems: pd.DataFrame
    """One row per held-out problem; columns: `rl.evaluation.exact`, of a sampled evaluation `rl.evaluation.grading`."""
    metrics: pd.DataFrame
    """One row per training step; empty for `base`."""
    trajectory: pd.DataFrame
    """C of each held-out problem at each of the last steps; empty where it was not evaluated along training."""
    evaluation: str
    """Where the evaluation stands, for messages."""

    @property
    def exact(self) -> bool:
        """Whether `C` is the probability of a correct answer itself, not a share of samples."""
        return bool(self.summary["mode"] == "exact")

    @property
    def ks(self) -> tuple[int, ...]:
        """The ks at which Pass@k was evaluated, ascending; of an exact evaluation it follows for all others too."""
        return tuple(self.config["evaluate"]["ks"])


@dataclass(frozen=True)
class Results:
    """Evaluated runs of one experiment. origin: LOCAL or COMMITTED. out: where local ones were looked for."""

    experiment: str
    origin: str
    runs: tuple[Run, ...]
    out: Path | None

    def methods(self, variants: bool = False) -> list[str]:
        """The methods that were run, `base` and `grpo` first, then by name; `variants` (METHOD@VARIANT) if wanted."""
        first = {"base": 0, "grpo": 1, "ds-grpo": 2}
        found = {run.method for run in self.runs if variants or not is_variant(run.method)}
        return sorted(found, key=lambda name: (first.get(name, 3), name))

    def of(self, method: str) -> dict[int, Run]:
        """The runs of `method` by seed; raises NotRun if there is none."""
        found = {run.seed: run for run in self.runs if run.method == method}
        if not found:
            raise NotRun(f"{self.experiment}: no evaluated run of {method} in {self.origin}")
        return found


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path}: cannot be read ({error})") from None


def _frame(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.is_file() else pd.DataFrame()


def _whole(manifest: dict[str, Any], where: object) -> dict[str, Any]:
    missing = missing_fields(manifest)
    if missing:
        raise ResultError(f"{where}: not drawn, its manifest lacks {', '.join(missing)}")
    return manifest


def _config(manifest: dict[str, Any], summary: dict[str, Any] | None) -> dict[str, Any]:
    """What the run was made with, in today's names; how it was evaluated may be newer."""
    config = dict(manifest["config"])
    if "method" in config:
        config["method"] = dict(_renamed(name, value) for name, value in config["method"].items())
    return config | ({"evaluate": summary["manifest"]["config"]["evaluate"]} if summary else {})


RENAMED = {
    "reduction": "logprob_aggregation",
    "place": "apply_to",
    "centring": "center",
    "flat_groups": "zero_variance_groups",
}
"""Options of methods that older runs recorded under another name."""


def _renamed(name: str, value: Any) -> tuple[str, Any]:
    return RENAMED.get(name, name), value != "none" if name == "centring" else value


def read_run(folder: Path) -> Run:
    """Read the folder of a local run, which need not be evaluated yet.

    Raises ResultError, naming the file, if something is missing or has no complete manifest.
    """
    path, table, rows = folder / "eval-heldout.json", folder / "eval-heldout.parquet", folder / "metrics.jsonl"
    manifest, summary = _whole(_json(folder / "manifest.json"), folder / "manifest.json"), {}
    if path.is_file():
        summary = _json(path)
        _whole(summary.get("manifest", {}), path)
        if not table.is_file():
            raise ResultError(f"{table}: missing; evaluate the run again")
    has_rows = rows.is_file() and rows.stat().st_size
    return Run(
        method=folder.name,
        seed=int(folder.parent.name.removeprefix("seed")),
        folder=folder,
        config=_config(manifest, summary),
        manifest=manifest,
        summary=summary,
        problems=_frame(table) if summary else pd.DataFrame(),
        metrics=pd.read_json(rows, lines=True, precise_float=True) if has_rows else pd.DataFrame(),
        trajectory=_frame(folder / trajectory.TABLE),
        evaluation=str(path),
    )


def committed(experiment: str, scale: str) -> list[Run]:
    """The evaluated runs of `experiment` in `results/`."""
    folder = tables.folder_of(ROOT / "results", scale, experiment)
    runs = []
    for (name, seed, method), stored in tables.read(folder).items():
        if name == experiment and stored.evaluation is not None:
            where = f"{folder / 'evaluations.parquet'} ({method}, seed {seed})"
            for found in (stored.manifest, stored.evaluation.get("manifest", {})):
                _whole(found, where)
            rows = {table: stored.tables.get(table, pd.DataFrame()) for table in tables.TABLES}
            runs.append(
                Run(
                    method=method,
                    seed=seed,
                    folder=folder,
                    config=_config(stored.manifest, stored.evaluation),
                    manifest=stored.manifest,
                    summary=stored.evaluation,
                    problems=rows["evaluations"],
                    metrics=rows["metrics"],
                    trajectory=rows["trajectories"],
                    evaluation=where,
                )
            )
    return runs


def _local(experiment: str, out: Path | None) -> list[Path]:
    return sorted((out / "runs" / experiment).glob("seed*/*/eval-heldout.json")) if out is not None else []


def files(experiment: str, out: Path | None, scale: str = "cpu") -> list[Path]:
    """The files that change when what `load` returns does; empty where it raises NotRun."""
    folder = tables.folder_of(ROOT / "results", scale, experiment)
    return _local(experiment, out) or (sorted(folder.iterdir()) if (folder / tables.MANIFESTS).is_file() else [])


def load(experiment: str, out: Path | None, scale: str = "cpu") -> Results:
    """Every evaluated run of `experiment`: the local ones under `out`, or, where there is none, the committed ones.

    Raises NotRun if there is no run at all, ResultError if one is incomplete or two differ in more than the method.
    """
    local = _local(experiment, out)
    found = [read_run(path.parent) for path in local] or committed(experiment, scale)
    if found:
        runs = tuple(sorted(found, key=lambda run: (run.seed, run.method)))
        _one_regime(runs)
        return Results(experiment, LOCAL if local else COMMITTED, runs, out)
    command = sweep_command(experiment, scale)
    remedy = f"{command} makes its results" if command else f"no experiment of the scale {scale} is called so"
    raise NotRun(f"{experiment}: not run; {remedy}")


def sweep_command(experiment: str, scale: str, methods: str = "grpo,ds-grpo", seeds: str = "0,1,2") -> str | None:
    """The command that makes the results of `experiment`; None if no YAML of the scale has that name."""
    for path in sorted((ROOT / "rl" / "experiments" / scale).glob("*.yaml")):
        if f"name: {experiment}" in path.read_text(encoding="utf-8").splitlines():
            return f"`python -m rl.sweep {path.relative_to(ROOT)} --methods {methods} --seeds {seeds}`"
    return None


def _one_regime(runs: tuple[Run, ...]) -> None:
    """Refuse a mixture of configurations: the reader would compare what is not comparable."""
    first = runs[0]
    for run in runs[1:]:
        for part in SHARED:
            if _today(run.config, part) != _today(first.config, part):
                raise ResultError(
                    f"{run.evaluation}: its `{part}` differs from that of {first.evaluation}; run it again"
                )


EARLIER: dict[str, dict[str, Any]] = {
    "task": {"split": "drawn"},
    "train": {"heldout_every": 0, "validation_ks": [1, 8, 64, 128, 1024]},
    "evaluate": {"rows": 512},
}
"""Settings that came to be after runs had been recorded, with the value that held for those runs."""


def _today(config: dict[str, Any], part: str) -> Any:
    found = config.get(part)
    return EARLIER[part] | found if part in EARLIER and isinstance(found, dict) else found
