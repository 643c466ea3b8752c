"""Exact and sampled evaluation agree; what samples say is held to slow loops; wrong requests are one line."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from repro.manifest import ROOT, missing_fields
from rl import evaluate as command
from rl import tasks
from rl.evaluation.grading import grade_samples, per_problem, unlisted_mass_bound, upper_bound
from rl.evaluation.run import evaluate
from rl.evaluation.sampled import Completion
from rl.experiments import runs
from rl.experiments.config import Experiment, load
from rl.models.from_scratch import base_model
from rl.tasks import countdown

TINY = [
    "name=tiny",
    "task={max_number: 6, max_target: 12, problems: 160, validation: 20, heldout: 30}",
    "base={layers: 1, width: 32, heads: 2, feedforward: 64, steps: 300, batch: 64, warmup: 5}",
    "evaluate={ks: [1, 8, 64], samples: 64}",
]
CPU = ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml"


@pytest.fixture(scope="module")
def config() -> Experiment:
    return load(CPU, TINY)


@pytest.fixture(scope="module")
def out(config: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    base_model(config, 0, folder)
    return folder


def test_exact_and_sampled_agree(config: Experiment, out: Path) -> None:
    """On a subset: by problem the sampled C lies between the exact one and that plus what was not enumerated."""
    task = tasks.get("countdown")
    problems = task.splits(config.task)["heldout"][:12]
    model, n = base_model(config, 0, out), 1024
    settings = dataclasses.replace(config.evaluate, samples=n)
    exact = evaluate(model, task, problems, settings, seed=0)
    sampled = evaluate(model, task, problems, dataclasses.replace(settings, mode="sampled"), seed=1)
    assert list(exact.problems["problem"]) == list(sampled.problems["problem"])
    # outside is bounded from the exact evaluation's own samples, which are not those of the sampled one
    assert exact.samples is not None
    assert sampled.samples is not None
    assert list(exact.samples["text"]) != list(sampled.samples["text"])
    c, spread = exact.problems["C"], np.sqrt(exact.problems["C"] * (1 - exact.problems["C"]) / n)
    assert (sampled.problems["C"] > c - 4 * spread).all()
    assert (sampled.problems["C"] < c + exact.problems["outside"] + 4 * spread).all()
    for k in settings.ks:
        error = math.sqrt(float(((k * (1 - c) ** (k - 1) * spread) ** 2).sum())) / len(problems)  # delta method
        least = exact.summary["pass_at_k"][str(k)]
        most = float((1 - (1 - (c + exact.problems["outside"]).clip(upper=1)) ** k).mean())
        assert least - 4 * error - 1e-3 < sampled.summary["pass_at_k"][str(k)] < most + 4 * error + 1e-3
    assert abs(sampled.summary["logp_correct"] - exact.summary["logp_correct"]) < 0.5

    hotter = dataclasses.replace(settings, mode="sampled", temperature=2.0)
    other = evaluate(model, task, problems, hotter, seed=1)
    assert (other.problems["C"] < c - 4 * spread).any()  # another distribution is noticed


def test_pass_at_k_and_distinct_from_samples_by_enumeration() -> None:
    texts = [("a", True), ("b", False), ("a", True), ("c", True), ("d", None)]
    rows = [
        {"problem": "p", "sample": i, "text": t, "canonical": t, "correct": right, "reason": "", "tokens": 2}
        | {"finished": True, "logp": -float(i), "verbatim": True}
        for i, (t, right) in enumerate(texts)
    ]
    samples = pd.DataFrame(rows).astype({"correct": "boolean"})
    ks = (1, 2, 3)
    row = per_problem(samples, ks, {"p": {"a", "c", "never", "seen"}}).iloc[0]
    fewer = per_problem(samples, ks, {"p": {"a", "never"}}).iloc[0]  # `c` is right, and in no list
    for k in ks:
        subsets = list(itertools.combinations(texts, k))
        hit = [any(right for _, right in subset) for subset in subsets]
        distinct = [len({text for text, right in subset if right}) for subset in subsets]
        assert row[f"passk_{k}"] == pytest.approx(np.mean(hit))
        assert row[f"distinct_{k}"] == pytest.approx(np.mean(distinct))
        assert row[f"coverage_{k}"] == pytest.approx(np.mean(distinct) / 4)
        listed = [any(right and text == "a" for text, right in subset) for subset in subsets]
        assert fewer[f"coverage_{k}"] == pytest.approx(np.mean(listed) / 2)
    assert (row["n"], row["c"], row["C"]) == (5, 3, 0.6)
    assert row["logp_correct"] == pytest.approx(-(0 + 2 + 3) / 3)
    assert row["logp_incorrect"] == -1.0  # the unscorable one is neither
    pairs = list(itertools.combinations(["a", "a", "c"], 2))
    assert row["gini_simpson"] == pytest.approx(np.mean([a != b for a, b in pairs]))
    with pytest.raises(ValueError, match="k=6"):
        per_problem(samples, (6,))


@pytest.mark.parametrize(("found", "n"), [(0, 32), (3, 40), (39, 40), (5, 5)])
def test_upper_bound_is_the_largest_probability_not_refuted(found: int, n: int) -> None:
    bound = upper_bound(found, n)
    if found == n:
        assert bound == 1.0
    else:
        assert binom.cdf(found, n, bound) == pytest.approx(0.05, abs=1e-9)


def test_what_the_enumeration_lacks_is_found() -> None:
    task = tasks.get("countdown")
    problem = countdown.problem((1, 2, 3), 6)
    texts = ("1 + 2 + 3", "( 1 + 2 ) + 3", "1 + 2", "3 * 2 * 1")
    drawn = [Completion(text, 6, True, -1.0, verbatim=True) for text in texts]
    drawn.append(Completion("3 + 2 + 1", 7, True, -1.0, verbatim=False))  # with a padding symbol inside
    samples = grade_samples(task, [problem], [drawn])
    assert list(samples["correct"]) == [True, True, False, True, True]
    forms = task.solutions(problem)
    listed = {problem.id: frozenset(text for strings in forms.values() for text in strings)}
    table = unlisted_mass_bound(samples, listed)
    assert list(table["found"]) == [2]  # idle brackets, and the padding
    assert table["outside"].iloc[0] == pytest.approx(upper_bound(2, 5))


def test_command_writes_all_files_and_skips_what_is_done(
    config: Experiment, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(CPU), "--method", "base", "--seed", "0", "--out", str(out)]
    arguments += [word for value in TINY for word in ("--set", value)]
    assert command.main(arguments) == 0
    assert "Pass@1" in capsys.readouterr().out
    folder = runs.folder_of(out, "tiny", 0, "base")
    summary = json.loads((folder / "eval-heldout.json").read_text())
    problems = pd.read_parquet(folder / "eval-heldout.parquet")
    samples = pd.read_parquet(folder / "eval-heldout-samples.parquet")
    assert missing_fields(summary["manifest"]) == []
    assert missing_fields(json.loads((folder / "manifest.json").read_text())) == []
    assert summary["manifest"]["config"]["method"] == {"name": "base"}
    assert summary["sampling"]["temperature"] == 1.0
    made = json.loads((base_model(config, 0, out) / "manifest.json").read_text())
    assert summary["parameters"] == made["parameters"]
    assert (len(problems), len(samples)) == (30, 30 * 64)
    assert summary["C"] == pytest.approx(problems["C"].mean())
    assert summary["pass_at_k"]["8"] == pytest.approx((1 - (1 - problems["C"]) ** 8).mean())
    assert {"gini_simpson", "entropy", "coverage_64", "logp_correct", "logp_incorrect", "outside"} <= set(problems)
    assert (problems["outside"] >= 0).all()
    assert (problems["outside"] + problems["C"] <= 1 + 1e-12).all()

    def files(where: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in where.glob("eval-heldout*")}

    before = files(folder)
    assert command.main(arguments) == 0
    assert "evaluated already" in capsys.readouterr().out
    assert files(folder) == before
    assert command.main([*arguments, "--set", "evaluate.samples=0"]) == 0
    assert pd.read_parquet(folder / "eval-heldout.parquet")["outside"].isna().all()
    assert not (folder / "eval-heldout-samples.parquet").exists()  # those of other settings
    [place] = runs.shelf_of(out, "tiny", 0, "base").iterdir()
    assert files(place) == before
    assert command.main(arguments) == 0
    assert "is here again" in capsys.readouterr().out
    assert files(folder) == before
    [other] = [path for path in place.parent.iterdir() if files(path)]
    assert json.loads((other / "eval-heldout.json").read_text())["manifest"]["config"]["evaluate"]["samples"] == 0


def test_any_checkpoint_can_be_evaluated(
    config: Experiment, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = base_model(config, 0, out)
    arguments = [str(model), "--config", str(CPU), "--split", "validation", "--out", str(tmp_path)]
    arguments += [word for value in TINY for word in ("--set", value)]
    assert command.main([*arguments, "--set", "evaluate.mode=sampled"]) == 0
    folder = tmp_path / "evaluations" / model.name
    assert json.loads((folder / "eval-validation.json").read_text())["mode"] == "sampled"
    assert len(pd.read_parquet(folder / "eval-validation.parquet")) == 20


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nowhere", "--task", "cuntdown"], 2, "no such task; did you mean 'countdown'?"),
        (["nowhere", "--task", "countdown"], 2, "nowhere: no model lies there"),
        (["--task", "countdown", "--method", "ds-grp"], 2, "did you mean 'ds-grpo'"),
        (["--task", "countdown", "--method", "grpo"], 1, "has no finished run"),
        (["x", "--config", "nothing.yaml"], 2, "nothing.yaml: no such file"),
        (["x", "--task", "countdown", "--set", "evaluate.mode=sampled"], 2, "evaluate.samples"),
    ],
)
def test_wrong_requests(
    arguments: list[str], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([*arguments, "--out", str(tmp_path)]) == status
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.strip().splitlines()) == 1
