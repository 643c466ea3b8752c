"""The table of stages: what is asked for decides which there are; no committed run is left out of --full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from recorded import write_experiment

from repro import stages
from repro.manifest import ROOT
from repro.stage import Stage
from repro.stages import GROUPS, Pipeline
from rl.analysis.results import committed
from rl.experiments.config import load


def names(found: list[Stage]) -> list[str]:
    return [one.name for one in found]


def options(stage: Stage) -> dict[str, str]:
    words = stage.command[2:]  # after the module and the experiment
    return dict(zip(words[0::2], words[1::2]))


def test_each_command_is_a_module_that_takes_its_arguments(tmp_path: Path) -> None:
    """`--help` after them: argparse has then accepted all before."""
    kinds = {one.command[0].partition("_")[0]: one for group in GROUPS.values() for one in group(Pipeline(full=True))}
    assert len(kinds) == 8
    for stage in kinds.values():
        words = [sys.executable, "-m", *stage.command, "--help"]
        assert subprocess.run(words, capture_output=True, cwd=ROOT).returncode == 0, stage


def test_names_are_unique() -> None:
    for pipeline in (
        Pipeline(),
        Pipeline(full=True),
        Pipeline("gpu", full=True),
        Pipeline("llm", full=True),
        Pipeline("paper"),
    ):
        found = [one.name for group in GROUPS.values() for one in group(pipeline)]
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("pipeline", "experiment", "seeds"),
    [
        (Pipeline(), "countdown", "0,1,2"),
        (Pipeline(full=True), "countdown", "0,1,2,3,4"),
        (Pipeline(quick=True), "countdown-quick", "0"),
        (Pipeline("gpu"), "countdown-gpu", "0,1,2"),
        (Pipeline("llm"), "countdown-llm", "0,1,2"),
        (Pipeline("llm", quick=True), "countdown-llm-quick", "0"),
    ],
)
def test_the_main_experiment(pipeline: Pipeline, experiment: str, seeds: str) -> None:
    first, *others = stages.runs(pipeline)
    assert first.name == "runs"
    assert load(ROOT / first.command[1]).name == experiment
    assert options(first) == {"--methods": "grpo,ds-grpo", "--seeds": seeds, "--jobs": "1", "--out": "build"}
    assert len(first.writes) == 3 * len(seeds.split(","))
    assert Path("build/runs") / experiment / "seed0/base/eval-heldout.json" in first.writes
    assert bool(others) == pipeline.full


def test_the_scale_of_the_paper_runs_every_experiment_by_its_own_methods_and_seeds() -> None:
    planned = {one.name: one for path in ROOT.glob("rl/experiments/paper/*.yaml") for one in [load(path)]}
    found = stages.runs(Pipeline("paper"))
    assert {one.name for one in found} == {f"runs/{name}" for name in planned}
    for stage in found:
        one = planned[stage.name.removeprefix("runs/")]
        assert options(stage)["--methods"].split(",") == list(one.methods)
        assert one.needs is not None
        assert options(stage)["--seeds"] == ",".join(map(str, one.needs.seeds))


def test_full_at_the_scale_llm_runs_every_experiment_and_only_methods_that_it_has() -> None:
    found = stages.runs(Pipeline("llm", full=True))
    made = {}
    for stage in found:
        config = load(ROOT / stage.command[1])
        made.setdefault(config.name, set()).update(options(stage)["--methods"].split(","))
    planned = {one.name: set(one.methods) for path in ROOT.glob("rl/experiments/llm/*.yaml") for one in [load(path)]}
    del planned["countdown-llm-quick"]
    assert made == planned
    assert all("rl/experiments/llm/shared" in map(str, stage.reads) for stage in found)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_scale_llm_computes_in_what_was_measured_to_be_fast(dtype: str, tmp_path: Path) -> None:
    (tmp_path / "precision.json").write_text(json.dumps({"dtype": dtype}))
    [stage] = stages.runs(Pipeline("llm", out=tmp_path))
    assert options(stage)["--set"] == f"base.checkpoint.dtype={dtype}"
    [other] = stages.runs(Pipeline("gpu", out=tmp_path))
    assert "--set" not in options(other)


def test_full_makes_every_run_that_is_recorded_and_none_that_cannot_be() -> None:
    made = set()
    for stage in stages.runs(Pipeline(full=True)):
        if stage.command[0] == "rl.sweep":
            config, asked = load(ROOT / stage.command[1]), options(stage)
            for method in asked["--methods"].split(","):
                config.method(method)
                made |= {(config.name, int(seed), method) for seed in asked["--seeds"].split(",")}
    runs = (committed(path.parent.name, "cpu") for path in ROOT.glob("results/cpu/*/evaluations.parquet"))
    recorded = {(run.config["name"], run.seed, run.method) for found in runs for run in found}
    assert len(recorded) > 200
    assert {one for one in recorded if one[2] != "base"} - made == set()


def test_figures_of_the_quick_run_are_made_from_it() -> None:
    found = {one.name: one for one in stages.figures(Pipeline(quick=True))}
    assert found["fig_training"].command[-2:] == ("--experiment", "countdown-quick")
    assert found["tab_main-gpu"].command[-2:] == ("--scale", "gpu")
    assert "--experiment" not in found["fig_math_passk"].command
    assert names(stages.notebooks(Pipeline(quick=True))) == []


def test_what_was_never_run_is_passed_over_but_not_what_runs_makes(tmp_path: Path) -> None:
    """At the scale paper no figure is declared; at the scale gpu the main experiment is made before."""
    paper = {one.name: one for one in stages.figures(Pipeline("paper", out=tmp_path))}
    assert "no run" in paper["fig_math_passk-paper"].absent
    assert "no run" in paper["tab_main-paper"].absent
    assert not paper["fig_heuristics"].absent
    quick = {one.name: one for one in stages.figures(Pipeline(quick=True, out=tmp_path))}
    assert quick["tab_main"].reads == []
    assert not quick["tab_main"].absent


def test_a_local_run_is_watched_in_place_of_the_committed_ones(tmp_path: Path) -> None:
    def watched() -> set[Path]:
        [found] = [one for one in stages.figures(Pipeline(out=tmp_path)) if one.name == "tab_main"]
        return {Path(path) for path in found.reads}

    assert {path.parent for path in watched()} == {ROOT / "results" / "cpu" / "countdown"}
    write_experiment(tmp_path, seeds=1, experiment="countdown")
    assert watched() == set(tmp_path.glob("runs/countdown/seed0/*/eval-heldout.json"))


def test_a_group_without_the_stage_that_is_asked_for_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "repro.stages", "theory", "--only", "fig_flows", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (3, "")


def test_one_stage_alone(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "repro.stages", "figures", "--only", "fig_flows", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"fig_flows"}
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["fig_flows.json"]
