"""Finished local results are published run by run; what is committed is never lost, what is incomplete never enters."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from recorded import write_run, write_sampled

from repro import record, summary
from repro.manifest import ROOT, manifest
from rl.analysis import results, tables
from rl.analysis.results import ResultError, Run

EXACT = ["C", "coverage_128", "entropy", "gini_simpson", "logp_correct", "logp_incorrect", "problem", "solutions"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project that is recorded into; committed results are read from it."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.setattr(results, "ROOT", root)
    return root


def published(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def runs(scale: str = "cpu", experiment: str = "demo") -> dict[tuple[str, int], Run]:
    return {(run.method, run.seed): run for run in results.committed(experiment, scale)}


def add_trajectory(folder: Path, level: float = 0.5) -> None:
    rows = [(f"p{problem}", step, level) for step in (16, 18, 20) for problem in range(9)]
    table = pd.DataFrame(rows, columns=["problem", "step", "C"])
    table.astype({"problem": "category", "step": "int32", "C": "float32"}).to_parquet(folder / "heldout-steps.parquet")


def test_a_run_comes_back_as_it_was(tmp_path: Path, root: Path) -> None:
    rng = np.random.default_rng(0)
    for method in ("base", "grpo", "ds-grpo"):
        folder = write_run(tmp_path, method, 3, rng.random(9), gap=np.where(np.arange(9) < 2, np.nan, 1.0))
        (folder / "eval-heldout-samples.parquet").write_text("large")
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_text("weights")
    add_trajectory(folder)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (folder / "metrics.jsonl").write_text(
        "".join(
            json.dumps({**row, "ds_share": 0.1, "tokens": 2**24 + 1 if row["step"] else None}) + "\n" for row in rows
        )
    )
    assert record.record(tmp_path, root) == (3, 0)
    assert set(published(root)) == {
        f"results/cpu/demo/{name}" for name in (tables.MANIFESTS, *(f"{table}.parquet" for table in tables.TABLES))
    }
    local = results.load("demo", tmp_path)
    again = results.load("demo", None)
    assert (local.origin, again.origin) == ("local run", "results")
    for one, other in zip(local.runs, again.runs, strict=True):
        assert (one.method, one.seed, one.config, one.manifest) == (
            other.method,
            other.seed,
            other.config,
            other.manifest,
        )
        assert one.summary == other.summary
        assert sorted(other.problems) == sorted([*EXACT, "strings"])
        for name in ("problems", "metrics", "trajectory"):
            ours, theirs = getattr(one, name), getattr(other, name)
            if name == "trajectory":
                ours = ours.astype({"problem": str}) if len(ours) else ours
            rounded = {column: "float32" for column in ours.select_dtypes("float64") if column != "tokens"}
            ours = ours.astype(rounded).astype(dict.fromkeys(rounded, "float64"))
            pd.testing.assert_frame_equal(ours, theirs, check_like=True, check_dtype=False, check_exact=True)
            assert not len(theirs.select_dtypes("float32").columns), "sums are made in double precision"
    assert [len(run.trajectory) for run in again.runs] == [0, 27, 0]
    assert ["ds_share" in run.metrics for run in again.runs] == [False, True, False]


def test_what_follows_from_the_rest_is_left_out(tmp_path: Path, root: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, np.full(4, 0.3))
    table = pd.read_parquet(folder / "eval-heldout.parquet").assign(passk_8=0.9, coverage_64=0.2)
    table.to_parquet(folder / "eval-heldout.parquet")
    write_sampled(tmp_path, "grpo", 0, np.arange(16), experiment="sums")
    record.record(tmp_path, root)
    assert sorted(runs()["grpo", 0].problems) == sorted([*EXACT, "strings"])
    sampled = runs(experiment="sums")["grpo", 0].problems  # there Pass@k does not follow from c/n
    assert {"n", "c", "passk_8", "distinct_8", "benchmark"} <= set(sampled)


def test_recorded_twice_gives_the_same_bytes(tmp_path: Path, root: Path) -> None:
    for seed in (0, 10, 2):
        for method in ("base", "grpo", "ds-grpo"):
            write_run(tmp_path, method, seed, np.random.default_rng(seed).random(9))
    record.record(tmp_path, root)
    before = published(root)
    record.record(tmp_path, root)
    assert published(root) == before
    assert [seed for _, seed in runs()] == [0, 0, 0, 2, 2, 2, 10, 10, 10]


def test_runs_are_added_one_by_one_in_any_order(tmp_path: Path, root: Path) -> None:
    """Each from a folder of its own, as sweeps end on other days and machines: the same bytes as all at once."""
    made = [(method, seed) for seed in (11, 10) for method in ("grpo", "base", "ds-grpo")]
    for number, (method, seed) in enumerate(made):
        for out in (tmp_path / str(number), tmp_path / "all"):
            folder = write_run(out, method, seed, np.random.default_rng(seed).random(9))
            add_trajectory(folder, seed / 100)
            for name in ("manifest.json", "eval-heldout.json"):  # no clock decides the bytes
                text = json.loads((folder / name).read_text())
                text.get("manifest", text)["wall_time_s"] = 1.0
                (folder / name).write_text(json.dumps(text))
        assert record.record(tmp_path / str(number), root) == (1, 0)
        assert set(runs()) == set(made[: number + 1])
    one_by_one = published(root)
    record.record(tmp_path / "all", tmp_path / "other")
    assert published(tmp_path / "other") == one_by_one


def test_another_seed_leaves_the_bytes_of_the_first_where_they_were(tmp_path: Path, root: Path) -> None:
    for seed in (0, 1):
        out = tmp_path / str(seed)
        for method in ("base", "grpo"):
            write_run(out, method, seed, np.random.default_rng(seed).random(400))
        record.record(out, root)
        if not seed:
            first = (root / "results/cpu/demo/evaluations.parquet").read_bytes()
    second = (root / "results/cpu/demo/evaluations.parquet").read_bytes()
    footer = int.from_bytes(first[-8:-4], "little") + 8
    assert second.startswith(first[:-footer])


def test_a_run_made_again_replaces_its_rows_alone(tmp_path: Path, root: Path) -> None:
    for out, level in ((tmp_path / "one", 0.25), (tmp_path / "two", 0.5)):
        for method in ("base", "grpo") if level == 0.25 else ("grpo",):
            write_run(out, method, 0, np.full(5, level))
        record.record(out, root)
    assert {key: run.problems["C"].tolist() for key, run in runs().items()} == {
        ("base", 0): [0.25] * 5,
        ("grpo", 0): [0.5] * 5,
    }


class Killed(BaseException):
    pass


@pytest.mark.parametrize("renamed", range(4))
def test_killed_between_leaves_what_was_there_whole(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    """After any number of files took their place; the next call makes it complete."""
    for out, seed in ((tmp_path / "one", 0), (tmp_path / "two", 1)):
        for method in ("base", "grpo"):
            folder = write_run(out, method, seed, np.random.default_rng(seed).random(30))
        add_trajectory(folder)
    record.record(tmp_path / "one", root)
    before = runs()
    inner, places = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if len(places) == renamed:
            raise Killed
        places.append(target.name)
        return inner(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process does not clean up
        with pytest.raises(Killed):
            record.record(tmp_path / "two", root)
    assert tables.MANIFESTS not in places
    assert set(runs()) == set(before)
    for key, run in runs().items():
        for name in ("problems", "metrics", "trajectory"):
            pd.testing.assert_frame_equal(getattr(run, name), getattr(before[key], name))
    record.record(tmp_path / "two", root)
    assert set(runs()) == {*before, ("base", 1), ("grpo", 1)}


def test_a_run_in_training_is_passed_over_and_one_without_evaluation_is_kept(tmp_path: Path, root: Path) -> None:
    """Trials of a search are never evaluated on held-out problems; those of all searches share their tables."""
    training = write_run(tmp_path, "grpo", 0, np.full(5, 0.3))
    (training / "manifest.json").unlink()
    for number in range(2):
        trial = write_run(tmp_path, "grpo", 100, np.full(5, 0.3), experiment=f"demo-search-{number}")
        (trial / "eval-heldout.json").unlink()
    assert record.record(tmp_path, root) == (2, 0)
    found = tables.read(root / "results" / "cpu" / "search")
    assert list(found) == [("demo-search-0", 100, "grpo"), ("demo-search-1", 100, "grpo")]
    assert {len(one.tables["metrics"]) for one in found.values()} == {21}
    assert results.committed("demo-search-0", "cpu") == []


def test_an_evaluation_is_not_lost_to_a_run_without_one(tmp_path: Path, root: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, np.full(5, 0.3))
    record.record(tmp_path, root)
    before = published(root)
    (folder / "eval-heldout.json").unlink()
    with pytest.raises(ResultError, match="demo/0/grpo: not evaluated, and the committed run is"):
        record.record(tmp_path, root)
    assert published(root) == before


def test_the_scale_decides_the_place(tmp_path: Path, root: Path) -> None:
    write_sampled(tmp_path, "grpo", 0, np.arange(16), experiment="math", scale="paper")
    record.record(tmp_path, root)
    assert set(runs("paper", "math")) == {("grpo", 0)}


def write(out: Path, name: str, content: Any) -> None:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """What a pipeline leaves beside runs: a verification, a table with its manifest, a figure, benchmarks."""
    out = tmp_path / "other"
    made = manifest({"instances": 1000}, 0, time.time())
    theorem = {"id": "T1", "title": "Selection bias", "tag": "paper", "holds": True, "outcomes": [1, 2]}
    theorem["controls"] = [{"noticed": True}, {"noticed": False}]
    write(out, "theory/verify.json", {"manifest": made, "theorems": [theorem]})
    write(out, "theory/fig_flows.csv", "a\n1\n")
    write(out, "theory/fig_flows.json", made)
    write(out, "figures/fig_flows.csv", "a\n1\n")
    write(out, "figures/fig_flows.png", "png")
    write(out, "bench/step.json", {"manifest": {**made, "hardware": {**made["hardware"], "gpu": ["one"]}}})
    write(out, "bench/countdown.json", {"manifest": {**made, "hardware": {"cpu": "x"}}})
    write(out, "runs/search-demo.json", {"manifest": made})
    write(out, "claims.json", [{"id": "one"}])
    write(out, "REPRODUCTION.md", "claims")
    return out


def test_other_results_are_copied(other: Path, root: Path) -> None:
    assert record.record(other, root) == (0, 10)
    assert set(published(root)) == {
        "REPRODUCTION.md",
        "figures/out/fig_flows.csv",
        "figures/out/fig_flows.png",
        "results/claims.json",
        "results/cpu/bench/countdown.json",
        "results/cpu/search-demo.json",
        "results/gpu/bench/step.json",
        "results/theory/fig_flows.csv",
        "results/theory/fig_flows.json",
        "results/theory/verify.json",
    }


def test_one_incomplete_result_and_nothing_is_published(tmp_path: Path, other: Path, root: Path) -> None:
    """Each is named: a verification, a run, a run whose evaluation is incomplete."""
    write(other, "theory/verify.json", {})
    for method, name in (("base", "manifest.json"), ("grpo", "eval-heldout.json")):
        path = write_run(other, method, 0, np.full(5, 0.3)) / name
        content = json.loads(path.read_text())
        del content.get("manifest", content)["commit"]
        path.write_text(json.dumps(content))
    with pytest.raises(ResultError) as caught:
        record.record(other, root)
    said = str(caught.value).splitlines()
    assert len(said) == 3
    for line, word in zip(said, ("base/manifest.json", "grpo/eval-heldout.json", "verify.json: its manifest lacks")):
        assert line.startswith("not recorded: ")
        assert word in line
    assert published(root) == {}


def test_nothing_to_record_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "repro.record", "--out", str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert done.stderr == f"not recorded: {tmp_path}: nothing has been computed there yet\n"


def test_verdicts_go_between_their_marks() -> None:
    readme = "a\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nb\n"
    once = record.with_verdicts(readme, "| new |\n")
    assert once == "a\n<!-- verdicts -->\n| new |\n<!-- /verdicts -->\nb\n"
    assert record.with_verdicts(once, "| new |\n") == once
    with pytest.raises(ValueError, match="marks"):
        record.with_verdicts("nothing", "x")


def test_summary_counts_facts_and_unnoticed_variants(other: Path) -> None:
    lines = summary.theorems(other)
    assert "1,000 random instances" in lines[0]
    assert "T1" in lines[1]
    assert "2 facts, 1 of 2 broken variants noticed" in lines[1]
    assert any("figures" in line for line in summary.places(other))
