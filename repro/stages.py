"""The stages of the pipeline, in their order: what each runs, what it reads and what it writes.

`python -m repro.stages GROUP` runs those of one group that are stale; `paper_repro.sh` does so group by group. Ends
with 1 if a stage failed, with 3 if none of the group was asked for.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from repro.manifest import ROOT
from repro.stage import Stage, run
from rl.analysis.reads import MAIN, Experiment, Place, available, has_scales, stem_of
from rl.experiments.config import SCALES, load

EXPERIMENTS = Path("rl/experiments")
PARTS_OF_DS = "ds-grpo-centered,ds-grpo-positive,ds-grpo-negative,entropy-bonus,entropy-penalty"
OPTIONS_OF_DS = ",".join(f"ds-grpo@{one}" for one in ("mean", "token", "reward", "no-std", "centred", "mixed-groups"))
BASELINES = (  # the strongest answers of other papers, then the plain heuristics
    "unlikeliness,passk-training,outcome-batch,f-grpo,ucpo,maxrl,darling,pkpo,entropy-advantage,"
    "entropy-bonus,entropy-penalty,logprob-bonus,logprob-penalty,kl-base"
)
MATCHED = f"grpo,ds-grpo,ds-grpo@matched,{BASELINES}"
COUNTED = "10,11,12,13,14,15,16"  # seeds of docs/protocols/countdown-saturated.md
COEFFICIENTS = ("countdown", "maze-perfect", "maze-looped")  # --full searches them first

# --full: all else that is committed, or is to be. Stage, experiment, methods, seeds.
FULL_LLM = (
    ("others", "countdown", "ds-grpo-centered,entropy-bonus,maxrl,ds-grpo@maxrl", "0,1,2"),
    ("gcd", "gcd", "grpo,ds-grpo,entropy-bonus", "0,1,2"),  # one short answer
    ("palindromes", "palindromes", "grpo,ds-grpo", "0"),  # several answers
    ("sums", "sums", "grpo,ds-grpo", "0"),  # one answer, several ways
)
FULL = (
    ("ablation", "countdown", f"ds-grpo@reward-mixed-groups,{OPTIONS_OF_DS}", "0,1,2"),
    ("baselines", "countdown", "maxrl,passk-training,darling", "0,1,2"),  # the strongest on mazes
    ("linear", "linear", "grpo,ds-grpo", "0,1,2"),
    ("maze-perfect", "maze-perfect", MATCHED, "0,1,2"),  # one answer
    ("maze-looped", "maze-looped", MATCHED, "0,1,2"),  # many answers
    ("maze-looped-ablation", "maze-looped", OPTIONS_OF_DS, "0,1,2"),
    ("maze-misled", "maze-misled", "grpo,ds-grpo,entropy-bonus,entropy-penalty", "0,1,2,3,4"),  # T7's other side
    (
        "countdown-saturated",
        "countdown-saturated",
        "grpo,ds-grpo,entropy-bonus,entropy-penalty",
        "10,11,12,13,14,15,16",
    ),
)
FURTHER_SCALES = (("fig_countdown_passk", "gpu"), ("tab_main", "gpu"))  # drawn at the scale cpu too


@dataclass(frozen=True)
class Pipeline:
    """What is asked for. out: where everything goes."""

    scale: str = "cpu"
    quick: bool = False
    full: bool = False
    jobs: int = 1
    out: Path = Path("build")

    @property
    def main(self) -> Path:
        """The YAML of the main experiment."""
        return EXPERIMENTS / self.scale / f"countdown{'-quick' * self.quick}.yaml"


def _shared(pipeline: Pipeline) -> tuple[str, ...]:
    return ("--jobs", str(pipeline.jobs), "--out", str(pipeline.out))


def theory(pipeline: Pipeline) -> list[Stage]:
    """Every theorem against an oracle that does not know it; the data behind the theory's figures."""
    verify = ("theory.verify", "--instances", "10000" if pipeline.quick else "100000", *_shared(pipeline))
    tables = ("theory.tables", "--out", str(pipeline.out))
    return [
        Stage("theory", "every theorem against its oracle", verify, writes=[pipeline.out / "theory" / "verify.json"]),
        Stage("curves", "the data behind the theory's figures", tables, reads=["theory"]),
    ]


def runs(pipeline: Pipeline) -> list[Stage]:
    """Base models made here, training, evaluation: one base model per seed, from which all its methods start."""
    if pipeline.scale == "paper":
        planned = [(path, load(path)) for path in sorted((EXPERIMENTS / "paper").glob("*.yaml"))]
        return [
            _runs(pipeline, f"/{one.name}", path, ",".join(one.methods), ",".join(map(str, one.needs.seeds)))
            for path, one in planned
            if one.needs is not None
        ]
    seeds = "0" if pipeline.quick else "0,1,2,3,4" if pipeline.full else "0,1,2"
    found = [_runs(pipeline, "", pipeline.main, "grpo,ds-grpo", seeds)]
    if not pipeline.full:
        return found
    further = FULL_LLM if pipeline.scale == "llm" else FULL if pipeline.scale == "cpu" else ()
    if pipeline.scale != "llm":
        found.append(_runs(pipeline, "/others", pipeline.main, PARTS_OF_DS, "0,1,2"))
    if pipeline.scale == "cpu":
        found += [_search(pipeline, name) for name in COEFFICIENTS]
    return found + [
        _runs(pipeline, f"/{name}", EXPERIMENTS / pipeline.scale / f"{experiment}.yaml", methods, seeds)
        for name, experiment, methods, seeds in further
    ]


def _runs(pipeline: Pipeline, name: str, path: Path, methods: str, seeds: str) -> Stage:
    experiment = load(path).name
    folder = pipeline.out / "runs" / experiment
    return Stage(
        f"runs{name}",
        f"{experiment}: base, training and evaluation: {methods}; seeds {seeds}",
        ("rl.sweep", str(path), "--methods", methods, "--seeds", seeds, *_shared(pipeline), *_dtype(pipeline)),
        reads=[path.parent / "*.yaml", *path.parent.glob("shared")],
        writes=[
            folder / f"seed{seed}" / method / "eval-heldout.json"
            for seed in seeds.split(",")
            for method in ("base", *methods.split(","))
        ],
        modules=("rl.train", "rl.pretrain", "rl.evaluate"),
    )


def _dtype(pipeline: Pipeline) -> tuple[str, ...]:
    """What the scale llm computes in, where `rl.precision` found its bfloat16 slow; no measurement, the YAML's."""
    measured = pipeline.out / "precision.json"
    if pipeline.scale != "llm" or not measured.is_file():
        return ()
    dtype = json.loads(measured.read_text(encoding="utf-8"))["dtype"]
    return ("--set", f"base.checkpoint.dtype={dtype}")


def _search(pipeline: Pipeline, name: str) -> Stage:
    path = EXPERIMENTS / "search" / f"{name}.yaml"
    return Stage(
        f"search/{name}",
        f"{name}: each method's coefficients, on validation problems",
        ("rl.search", str(path), *_shared(pipeline)),
        reads=[path],
        writes=[pipeline.out / "runs" / f"search-{name}.json"],
        modules=("rl.train", "rl.search"),
    )


def figures(pipeline: Pipeline) -> list[Stage]:
    """Figures and tables, each from local results where there are some, else from the committed ones."""
    names = [path.stem for kind in ("fig", "tab") for path in sorted((ROOT / "figures").glob(f"{kind}_*.py"))]
    asked = [(name, pipeline.scale) for name in names]
    return [_figure(pipeline, *one) for one in [*asked, *(more for more in FURTHER_SCALES if more not in asked)]]


def _figure(pipeline: Pipeline, name: str, scale: str) -> Stage:
    reads = importlib.import_module(f"figures.{name}").READS
    scale = scale if has_scales(reads) else "cpu"
    main = scale in MAIN and scale == pipeline.scale and Experiment(MAIN) in reads  # `runs` makes it
    experiment = load(pipeline.main).name if main and pipeline.quick else None
    options = ["--out", str(pipeline.out)]
    options += ["--scale", scale] if scale != "cpu" else []
    options += ["--experiment", experiment] if experiment else []
    place = Place(pipeline.out, scale, experiment)
    stem = stem_of(name, scale)
    return Stage(
        stem,
        "",
        (f"figures.{name}", *options),
        reads=[path for one in reads for path in one.files(place)],
        writes=[pipeline.out / "figures" / f"{stem}.csv"],
        absent=""
        if main or available(reads, place)
        else f"not made, no run of what it reads, or too few, at the scale {scale}",
    )


def verdicts(pipeline: Pipeline) -> list[Stage]:
    """The paper's claims one by one."""
    options = ("--out", str(pipeline.out), "--experiment", load(pipeline.main).name, "--scale", pipeline.scale)
    local: list[Path | str] = [
        *pipeline.out.glob("theory/verify.json"),
        *pipeline.out.glob("runs/*/seed*/*/eval-heldout.json"),
    ]
    reads = [*local, "results/theory/verify.json", "results/*/*/*", "rl/analysis/claims.yaml"]
    return [
        Stage(
            "verdicts",
            "the paper's claims one by one",
            ("rl.report", *options),
            reads=reads,
            writes=[pipeline.out / "claims.json"],
        )
    ]


def notebooks(pipeline: Pipeline) -> list[Stage]:
    """The notebooks that explain it, from top to bottom."""
    command = ("repro.notebooks", *_shared(pipeline))
    reads = ["notebooks", "theory", "figures/*.py"]
    modules = ("theory.checks", "theory.theorems")
    found = Stage("notebooks", "every notebook, top to bottom", command, reads=reads, modules=modules)
    return [] if pipeline.quick else [found]


GROUPS = {"theory": theory, "runs": runs, "figures": figures, "verdicts": verdicts, "notebooks": notebooks}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m repro.stages", description="Run stages that are stale.")
    parser.add_argument("group", choices=list(GROUPS))
    parser.add_argument("--only", action="append", default=[], help="a stage's name, or what stands before its slash")
    parser.add_argument("--scale", default="cpu", choices=SCALES)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build"))
    options = vars(parser.parse_args())
    group, only = options.pop("group"), options.pop("only")
    pipeline = Pipeline(**options)
    wanted = [one for one in GROUPS[group](pipeline) if not only or {one.name, one.name.partition("/")[0]} & set(only)]
    done = [run(one, pipeline.out) for one in wanted]
    return 3 if not wanted else 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
