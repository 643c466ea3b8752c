"""Recorded runs, read back: the run at hand, else `results/`. No torch here: exhibits and statistics import this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from differential_smoothing.methods.variants import is_variant
from repro.manifest import ROOT, missing_fields

SHARED = ("name", "scale", "task", "base", "train", "evaluate")  # what runs must have in common to stand in one exhibit


class ResultError(ValueError):
    """A result that an exhibit needs is missing, incomplete or of another experiment; the message is one line."""


class NotRun(ResultError):
    """There is no result at all of what was asked for; the message says how to make it."""


@dataclass(frozen=True)
class Run:
    """One evaluated model: a method (or `base`) with a seed.

    problems: one row per held-out problem (columns: `rl.evaluation.exact`, of a sampled evaluation
    `rl.evaluation.grading`). metrics: one row per training step (empty for `base`).
    """

    method: str
    seed: int
    folder: Path
    config: dict[str, Any]
    manifest: dict[str, Any]
    summary: dict[str, Any]
    problems: pd.DataFrame
    metrics: pd.DataFrame

    @property
    def exact(self) -> bool:
        """Whether `C` is the probability of a correct answer itself, not a share of samples."""
        return bool(self.summary["mode"] == "exact")

    @property
    def ks(self) -> tuple[int, ...]:
        """The ks at which Pass@k was evaluated, ascending; of an exact evaluation it follows for all others too."""
        return tuple(self.config["evaluate"]["ks"])

    @property
    def evaluation(self) -> Path:
        """The file of the evaluation's summary."""
        return self.folder / f"eval-{self.summary['split']}.json"


@dataclass(frozen=True)
class Results:
    """All runs of one experiment. origin: `run at hand` or `results`. out: where runs at hand were looked for first."""

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


def read_run(folder: Path, split: str = "heldout") -> Run:
    """Read one run folder. Raises ResultError, naming the file, if something is missing or has no complete manifest."""
    summary = _json(folder / f"eval-{split}.json")
    manifest = _json(folder / "manifest.json")
    for name, found in ((f"eval-{split}.json", summary.get("manifest", {})), ("manifest.json", manifest)):
        missing = missing_fields(found)
        if missing:
            raise ResultError(f"{folder / name}: not drawn, its manifest lacks {', '.join(missing)}")
    table = folder / f"eval-{split}.parquet"
    if not table.is_file():
        raise ResultError(f"{table}: missing; evaluate the run again")
    rows = folder / "metrics.jsonl"
    metrics = pd.read_json(rows, lines=True) if rows.is_file() and rows.stat().st_size else pd.DataFrame()
    return Run(
        method=folder.name,
        seed=int(folder.parent.name.removeprefix("seed")),
        folder=folder,
        config={**manifest["config"], "evaluate": summary["manifest"]["config"]["evaluate"]},  # may be newer
        manifest=manifest,
        summary=summary,
        problems=pd.read_parquet(table),
        metrics=metrics,
    )


def load(experiment: str, out: Path | None, scale: str = "cpu", split: str = "heldout") -> Results:
    """Every evaluated run of `experiment`: those under `out`, or, where there is none, the committed ones.

    Raises NotRun if there is no run at all, ResultError if one is incomplete or two differ in more than the method.
    """
    places = {"run at hand": out / "runs"} if out is not None else {}
    for origin, base in (places | {"results": ROOT / "results" / scale}).items():
        folders = sorted(path.parent for path in (base / experiment).glob(f"seed*/*/eval-{split}.json"))
        if folders:
            runs = tuple(read_run(folder, split) for folder in folders)
            _one_regime(runs)
            return Results(experiment, origin, runs, out)
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
                raise ResultError(f"{run.folder}: its `{part}` differs from that of {first.folder}; run it again")


EARLIER: dict[str, dict[str, Any]] = {"task": {"split": "drawn"}, "train": {"heldout_every": 0}}
"""Settings that came to be after runs had been recorded, with the value that held for those runs."""


def _today(config: dict[str, Any], part: str) -> Any:
    found = config.get(part)
    return EARLIER[part] | found if part in EARLIER and isinstance(found, dict) else found
