"""The search gives every method the same budget, and the best candidate wins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from differential_smoothing import methods
from repro.manifest import ROOT
from rl import search
from rl.experiments import config
from rl.tasks import maze

COMMITTED = ROOT / "rl" / "experiments" / "search" / "countdown.yaml"


def test_committed_candidates_are_possible_and_equally_many() -> None:
    found = search.read(COMMITTED)
    assert found.experiment.is_file()
    counts = {name: sum(trial.method == name for trial in found.trials) for name in {t.method for t in found.trials}}
    assert set(counts.values()) == {3}
    for trial in found.trials:
        methods.get(trial.method, **trial.options)


@pytest.mark.parametrize("train", ["{steps: 4}", "{steps: 60, validate_every: 0}"])
def test_a_search_without_a_validation_to_score_is_refused(tmp_path: Path, train: str) -> None:
    (tmp_path / "x.yaml").write_text(f"experiment: a.yaml\nseeds: [1]\ntrain: {train}\ncandidates: {{grpo: [{{}}]}}\n")
    with pytest.raises(ValueError, match="train needs a validation in the last of 5 equal parts"):
        search.read(tmp_path / "x.yaml")


def announced(document: Path) -> dict[str, set[tuple[float, ...]]]:
    """The candidates of each method, from rows like `| a, b (x, y) | (.1, .01), (.3, .02) |`."""
    found: dict[str, set[tuple[float, ...]]] = {}
    text = document.read_text(encoding="utf-8").replace("−", "-")
    for names, options, values in re.findall(r"^\| ([a-z, -]+) \(([a-z_, ]+)\) \| (.+) \|$", text, re.MULTILINE):
        numbers = [float(number) for number in re.findall(r"-?\d*\.?\d+", values)]
        width = len(options.split(","))
        candidates = set(zip(*(numbers[at::width] for at in range(width))))
        assert len(candidates) * width == len(numbers)
        found |= {name.strip(): candidates for name in names.split(",")}
    return found


@pytest.mark.parametrize(
    ("yaml", "document"),
    [
        ("countdown", ROOT / "docs" / "protocols" / "countdown-600-steps.md"),
        ("countdown-saturated", ROOT / "docs" / "protocols" / "countdown-saturated.md"),
    ],
)
def test_the_candidates_that_are_searched_are_those_that_were_announced(yaml: str, document: Path) -> None:
    searched: dict[str, set[tuple[float, ...]]] = {}
    for trial in search.read(COMMITTED.with_stem(yaml)).trials:
        searched.setdefault(trial.method, set()).add(tuple(map(float, trial.options.values())))
    written = announced(document)
    assert {name: written.get(name) for name in searched} == searched


def test_unequal_budgets_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    path.write_text(
        "experiment: e.yaml\nseeds: [1]\ntrain: {steps: 20}\ncandidates: {ds-grpo: [{gamma_p: 1}], entropy-bonus: []}\n"
    )
    with pytest.raises(ValueError, match="equally many candidates"):
        search.read(path)


def test_the_best_mean_over_seeds_wins_and_failures_do_not() -> None:
    rows = [("a", 1, 0, 0.9), ("a", 1, 1, 0.1), ("a", 2, 0, 0.6), ("a", 2, 1, 0.5)]
    rows += [("a", 3, 0, 0.99), ("a", 3, 1, None), ("b", 3, 0, None)]
    trials = [{"method": m, "options": {"x": x}, "seed": seed, "score": score} for m, x, seed, score in rows]
    assert search.best(trials) == {"a": {"x": 2}}
    assert search.best([trial for trial in trials if trial["seed"] == 0 and trial["score"]]) == {"a": {"x": 3}}


def test_the_score_is_the_mean_over_the_last_fifth() -> None:
    curve = [{"step": step, "val/pass@1": step / 100, "val/pass@1024": 0.5} for step in range(0, 101, 10)]
    assert search.score(curve, 100) == pytest.approx((0.95 + 0.5) / 2)


def test_a_trial_trains_with_its_options_and_is_scored_by_its_validations(tmp_path: Path) -> None:
    found = search.read(COMMITTED)
    trial = next(one for one in found.trials if one.method == "entropy-bonus")
    job = search.job(found, trial, tmp_path)
    sets = [word for flag, word in pairwise(job.arguments) if flag == "--set"]
    made = config.load(found.experiment, sets)
    assert (made.name, made.train.steps) == (trial.name, found.train["steps"])
    assert made.method(trial.method).record()["entropy_coef"] == trial.options["entropy_coef"]

    steps = found.train["steps"]
    rows = [
        {"step": 1, "reward": 0.1},
        *({"step": step, "val/pass@1": 0.2, "val/pass@1024": 0.6} for step in (0, steps)),
    ]
    assert job.metrics is not None
    job.metrics.parent.mkdir(parents=True)
    job.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scored = search.result(found, trial, tmp_path, None)
    assert scored["score"] == pytest.approx(0.4)
    assert [row["step"] for row in scored["curve"]] == [0, steps]
    failed = search.result(found, trial, tmp_path, "no memory")
    assert (failed["score"], failed["failure"], failed["options"]) == (None, "no memory", trial.options)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rl.search", str(tmp_path / "absent.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_search_made_in_parts_keeps_the_other_methods_and_their_manifests(tmp_path: Path) -> None:
    path = tmp_path / "search-e.json"
    assert search.others(path, {"a"}) == ([], [])
    trials = [{"method": name, "options": {}, "score": 0.1} for name in "abc"]
    older, newer = ({"config": {"methods": names}} for names in (["b"], ["a", "c"]))
    path.write_text(json.dumps({"trials": trials, "earlier": [older], "manifest": newer}))
    assert search.others(path, {"a"}) == (trials[1:], [older, newer])
    assert search.others(path, {"a", "c"}) == (trials[1:2], [older])
    assert search.others(path, {"a", "b", "c"}) == ([], [])


def test_a_method_without_candidates_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rl.search", str(COMMITTED), "--methods", "ds-gpro", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "no candidates of 'ds-gpro'; did you mean 'ds-grpo'?" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["maze-perfect", "maze-looped"])
def test_methods_that_the_comparison_leaves_out_would_be_grpo_there(name: str) -> None:
    """One update per batch: no ratio to clip. No prompt twice: no answer was given to it before."""
    experiment = config.load(ROOT / "rl" / "experiments" / "cpu" / f"{name}.yaml")
    train = experiment.train
    assert train.num_iterations == train.gradient_accumulation_steps == train.steps_per_generation == 1
    mazes = [problem.prompt for problem in maze.splits(experiment.task)["train"]]
    assert train.steps * train.prompts <= len(mazes) == len(set(mazes))
