"""`python -m rl.sweep CONFIG --methods grpo,ds-grpo --seeds 0,1,2 --jobs 2`: methods × seeds, side by side.

Base models come first, each is evaluated, every method starts from the base of its seed and is evaluated when trained.
Work that is done, by its settings and the code behind it, is not done again, and none is ever deleted: runs and
evaluations of other settings or code are put aside under `earlier`. A run that fails does not stop the others and is
named at the end. Where an experiment says under `needs` how its runs are launched, each is launched through accelerate,
and one job at a time has the machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rl.experiments import runs
from rl.experiments.bases import base_folder
from rl.experiments.config import ConfigError, Experiment, load
from rl.experiments.identity import eval_key, is_evaluated, source_key
from rl.experiments.jobs import Job, run_jobs
from rl.experiments.progress import ProgressReporter, duration
from rl.experiments.yaml_loader import parse
from rl.plan import refusal
from rl.train import TRACKERS


def jobs_for(
    config: Experiment,
    path: Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    sets: Sequence[str],
    report_to: str | None = None,
) -> list[Job]:
    """All commands of a sweep in the order of their start: bases, then method by method, each with its evaluation."""
    common = ("--out", str(out), *(word for assignment in sets for word in ("--set", assignment)))
    reported = ("--report-to", report_to) if report_to else ()
    sources = {method: source_key(config, method) for method in methods}

    def evaluated(method: str, seed: int, model: Path) -> bool:
        folder = runs.folder_of(out, config.name, seed, method)
        if not any(model.glob("*.safetensors")):
            return False
        key = eval_key(config.record(method), seed, runs.weights(model))
        return is_evaluated(folder, "heldout", key)

    found = []
    bases: dict[Path, str] = {}  # a pretrained model is the base of all seeds
    for seed in seeds:
        base = base_folder(config, seed, out)
        if base in bases:
            continue
        bases[base] = f"base seed {seed}"
        arguments = (str(path), "--seed", str(seed), *common)
        found.append(Job(bases[base], "rl.pretrain", arguments, (base / "manifest.json").is_file))
    for seed in seeds:
        for method in ("base", *methods):
            folder = runs.folder_of(out, config.name, seed, method)
            model = base_folder(config, seed, out)
            after = bases[model]
            if method != "base":
                record = config.record(method)
                name, model = f"{method} seed {seed}", folder / "model"
                found.append(
                    Job(
                        name,
                        "rl.train",
                        (str(path), "--method", method, "--seed", str(seed), *common, *reported),
                        lambda folder=folder, record=record, seed=seed, method=method: runs.is_done(  # type: ignore[misc]
                            folder, record, seed, sources[method]
                        ),
                        (after,),
                        config.train.steps,
                        folder / "metrics.jsonl",
                        None if config.needs is None else config.needs.launch_file,
                    )
                )
                after = name
            found.append(
                Job(
                    f"evaluation of {method} seed {seed}",
                    "rl.evaluate",
                    ("--config", str(path), "--method", method, "--seed", str(seed), *common),
                    lambda method=method, seed=seed, model=model: evaluated(method, seed, model),  # type: ignore[misc]
                    (after,),
                )
            )
    return found


def _listed(text: str, what: str) -> list[str]:
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise ConfigError(f"--{what}: names none")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 for a wrong request, 1 if a run failed, each named on standard error."""
    parser = argparse.ArgumentParser(prog="python -m rl.sweep", description="Run methods × seeds side by side.")
    parser.add_argument("config", type=Path, help="the experiment's YAML")
    parser.add_argument("--methods", required=True, help="comma-separated names; base is always there")
    parser.add_argument("--seeds", required=True, help="comma-separated numbers")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="side by side, a thread each")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--report-to", choices=TRACKERS, help="send the logs of training there too")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="put over the YAML")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        config = load(options.config, options.set)
        methods = [name for name in _listed(options.methods, "methods") if name != "base"]
        for name in methods:
            config.method(name)
        seeds = _listed(options.seeds, "seeds")
        for seed in seeds:
            if not seed.isdecimal():
                raise ConfigError(f"--seeds: {seed!r} is not a whole number from 0")
        if options.jobs < 1:
            raise ConfigError(f"--jobs {options.jobs}: must be at least 1")
        if config.needs is not None:
            machines = parse(config.needs.launch_file.read_text(encoding="utf-8"))["num_machines"]
            if machines > 1:
                raise ConfigError(
                    f"needs.launch: {config.needs.launch} is for {machines} machines and a sweep starts runs on one; "
                    "docs/paper_scale.md says how each is started"
                )
            if reason := refusal(config):
                print(f"rl.sweep: {reason}", file=sys.stderr)
                return 1
        numbers = [int(seed) for seed in seeds]
        jobs = jobs_for(config, options.config, methods, numbers, options.out, options.set, options.report_to)
    except (ConfigError, OSError) as error:
        print(f"rl.sweep: {error}", file=sys.stderr)
        return 2
    with ProgressReporter() as display:
        at_once = options.jobs if config.needs is None else 1
        outcome = run_jobs(jobs, at_once, options.out / "logs" / config.name, display)
    print(
        f"{config.name}: {len(outcome.ran)} done, {len(outcome.skipped)} up to date, {len(outcome.failed)} failed, "
        f"{len(outcome.left_out)} left out, in {duration(time.monotonic() - started)}"
    )
    for name, line in outcome.failed.items():
        print(f"rl.sweep: failed: {name}: {line}", file=sys.stderr)
    for name, cause in outcome.left_out.items():
        print(f"rl.sweep: left out: {name}, because of {cause}", file=sys.stderr)
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(main())
