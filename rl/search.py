"""`python -m rl.search SEARCH`: choose each method's coefficients on pilot seeds, by validation problems alone.

Every method gets the same number of candidates, the same steps and the same pilot seeds. The score of a run is the
mean of Pass@1 and Pass@1024 on the validation problems, over the validations in the last fifth of its steps; the score
of a candidate is the mean over the pilot seeds. All runs, losers too, go into `search-EXPERIMENT.json`; with
`--methods`, those of other methods that are in it stay.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from repro.files import write_json
from repro.manifest import manifest
from repro.names import nearest
from rl.experiments import runs
from rl.experiments.jobs import Job, run_jobs
from rl.experiments.progress import ProgressReporter
from rl.experiments.runs import Metrics
from rl.experiments.trajectory import LAST_PART, in_last_part

SCORED = ("val/pass@1", "val/pass@1024")


@dataclass(frozen=True)
class Trial:
    """One run: a candidate of a method, a pilot seed, and the experiment name that the run goes by."""

    method: str
    options: dict[str, Any]
    seed: int
    name: str


@dataclass(frozen=True)
class Search:
    """What is searched. experiment: its YAML. train: what its runs have other than it, `steps` first of all."""

    experiment: Path
    seeds: tuple[int, ...]
    train: dict[str, Any]
    trials: tuple[Trial, ...]


def read(path: Path) -> Search:
    """Read the YAML of a search; ValueError, in one line, if it is not one or gives methods unequal budgets."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or set(found) != {"experiment", "seeds", "train", "candidates"}:
        raise ValueError(f"{path}: wanted exactly the keys experiment, seeds, train, candidates")
    if not (isinstance(found["train"], dict) and "steps" in found["train"]):
        raise ValueError(f"{path}: train must say the steps of a run")
    if found["train"]["steps"] < LAST_PART or found["train"].get("validate_every") == 0:
        raise ValueError(
            f"{path}: train needs a validation in the last of {LAST_PART} equal parts of its steps, to score"
        )
    budgets = {method: len(options) for method, options in found["candidates"].items()}
    if len(set(budgets.values())) != 1:
        raise ValueError(f"{path}: methods must have equally many candidates, not {budgets}")
    stem = Path(found["experiment"]).stem
    trials = tuple(
        Trial(method, options, seed, f"{stem}-search-{number}")
        for method, candidates in found["candidates"].items()
        for number, options in enumerate(candidates)
        for seed in found["seeds"]
    )
    return Search(path.parent / found["experiment"], tuple(found["seeds"]), found["train"], trials)


def job(search: Search, trial: Trial, out: Path) -> Job:
    """The training of the trial; it finds by itself what is done already."""
    assignments = [
        f"name={trial.name}",
        f"train={json.dumps(search.train)}",
        f"methods.{trial.method}={json.dumps(trial.options)}",
    ]
    arguments = [str(search.experiment), "--method", trial.method, "--seed", str(trial.seed), "--out", str(out)]
    arguments += [word for assignment in assignments for word in ("--set", assignment)]
    metrics = runs.folder_of(out, trial.name, trial.seed, trial.method) / "metrics.jsonl"
    name = f"{trial.method} {trial.name} seed {trial.seed}"
    return Job(name, "rl.train", tuple(arguments), lambda: False, (), search.train["steps"], metrics)


def result(search: Search, trial: Trial, out: Path, failure: str | None) -> dict[str, Any]:
    """The trial's options, score and curve, or why it failed."""
    asked = {"method": trial.method, "options": trial.options, "seed": trial.seed}
    if failure is not None:
        return {**asked, "score": None, "failure": failure}
    metrics = Metrics(runs.folder_of(out, trial.name, trial.seed, trial.method) / "metrics.jsonl")
    curve = [{"step": row["step"], **{key: row[key] for key in SCORED}} for row in metrics.rows() if SCORED[0] in row]
    return {**asked, "score": score(curve, search.train["steps"]), "curve": curve}


def score(curve: list[dict[str, Any]], steps: int) -> float:
    """The mean of what is scored, over the validations after the first four fifths of `steps`."""
    last = [row for row in curve if in_last_part(row["step"], steps)]
    return sum(row[key] for row in last for key in SCORED) / (len(last) * len(SCORED))


def best(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each method, the options with the highest mean score over seeds; those with a failed run do not count."""
    scores: dict[tuple[str, str], list[float | None]] = {}
    for one in results:
        scores.setdefault((one["method"], json.dumps(one["options"])), []).append(one["score"])
    means = {
        key: sum(found) / len(found)
        for key, values in scores.items()
        if (found := [v for v in values if v is not None]) and len(found) == len(values)
    }
    chosen: dict[str, dict[str, Any]] = {}
    for (method, options), _ in sorted(means.items(), key=lambda item: -item[1]):
        chosen.setdefault(method, json.loads(options))
    return chosen


def others(path: Path, wanted: set[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """From a search that was made before: its trials of other methods than `wanted`, and the manifests they have."""
    if not path.is_file():
        return [], []
    found = json.loads(path.read_text(encoding="utf-8"))
    kept = [trial for trial in found["trials"] if trial["method"] not in wanted]
    manifests = [*found.get("earlier", []), found["manifest"]]
    names = {trial["method"] for trial in kept}
    return kept, [one for one in manifests if names & set(one["config"]["methods"])]


def main() -> int:
    """Run the search; 1 if a trial failed, 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m rl.search", description="Choose coefficients on validation.")
    parser.add_argument("search", type=Path, help="the search's YAML")
    parser.add_argument("--methods", help="comma-separated: these methods alone")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build"))
    options = parser.parse_args()
    started = time.time()
    try:
        search = read(options.search)
        known = {trial.method for trial in search.trials}
        wanted = set(options.methods.split(",")) if options.methods else known
        for name in sorted(wanted - known):
            raise ValueError(f"--methods: {options.search} has no candidates of {name!r}{nearest(name, sorted(known))}")
    except (OSError, ValueError) as error:
        print(f"rl.search: {error}", file=sys.stderr)
        return 2
    trials = [trial for trial in search.trials if trial.method in wanted]
    jobs = [job(search, trial, options.out) for trial in trials]
    with ProgressReporter() as display:
        outcome = run_jobs(jobs, options.jobs, options.out / "logs" / f"search-{search.experiment.stem}", display)
    results = [result(search, one, options.out, outcome.failed.get(made.name)) for one, made in zip(trials, jobs)]
    for one in results:
        shown = one["failure"] if one["score"] is None else f"{one['score']:.4f}"
        print(f"{one['method']} {one['options']} seed {one['seed']}: {shown}")
    config = {
        "search": options.search.name,
        "experiment": search.experiment.name,
        "train": search.train,
        "seeds": list(search.seeds),
        "methods": sorted(wanted),
    }
    path = options.out / "runs" / f"search-{search.experiment.stem}.json"
    kept, earlier = others(path, wanted)
    record = {"chosen": best(kept + results), "trials": kept + results, "earlier": earlier}
    write_json(path, {**record, "manifest": manifest(config, search.seeds[0], started)})
    print(f"chosen: {record['chosen']}; all trials in {path}")
    return 0 if all(one["score"] is not None for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
