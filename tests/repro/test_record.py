"""Only results with a complete manifest are promoted; a run is summed up from what lies there."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from recorded import write_sampled

from repro import record, summary
from repro.manifest import ROOT, manifest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run: a verification, a table with its manifest, a figure, one trained model."""
    out = tmp_path / "out"
    made = manifest({"instances": 1000, "scale": "cpu"}, 0, time.time())
    theorem = {
        "id": "T1",
        "title": "Selection bias",
        "tag": "paper",
        "holds": True,
        "outcomes": [1, 2],
        "controls": [{"noticed": True}, {"noticed": False}],
    }
    files = {
        "theory/verify.json": json.dumps({"manifest": made, "theorems": [theorem]}),
        "theory/fig_flows.csv": "a\n1\n",
        "theory/fig_flows.json": json.dumps(made),
        "figures/fig_flows.csv": "a\n1\n",
        "figures/fig_flows.png": "png",
        "claims.json": "{}",
        "runs/demo/seed0/grpo/manifest.json": json.dumps(made),
        "runs/demo/seed0/grpo/eval-heldout.json": json.dumps({"manifest": made}),
        "runs/demo/seed0/grpo/eval-heldout-samples.parquet": "large",
        "runs/demo/seed0/grpo/model/model.safetensors": "weights",
        "bench/step.json": json.dumps({"manifest": {**made, "hardware": {**made["hardware"], "gpu": ["one"]}}}),
        "bench/countdown.json": json.dumps({"manifest": {**made, "hardware": {"cpu": "x"}}}),
    }
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    return out


def test_what_is_promoted_and_what_stays_behind(run: Path, tmp_path: Path) -> None:
    targets = {str(target.relative_to(tmp_path / "root")) for _, target in record.copies(run, tmp_path / "root")}
    assert targets == {
        "results/theory/verify.json",
        "results/theory/fig_flows.csv",
        "results/theory/fig_flows.json",
        "results/claims.json",
        "figures/fig_flows.csv",
        "figures/fig_flows.png",
        "results/cpu/demo/seed0/grpo/manifest.json",
        "results/cpu/demo/seed0/grpo/eval-heldout.json",
        "results/gpu/bench/step.json",
        "results/cpu/bench/countdown.json",
    }


def test_a_sampled_evaluation_is_promoted_without_its_samples(tmp_path: Path) -> None:
    folder = write_sampled(tmp_path, "grpo", 0, np.arange(17), experiment="linear")
    (folder / "eval-heldout-samples.parquet").write_text("large")
    pairs = record.copies(tmp_path, tmp_path / "root")
    place = tmp_path / "root" / "results" / "cpu" / "linear" / "seed0" / "grpo"
    assert {target for _, target in pairs} == {
        place / name for name in ("manifest.json", "eval-heldout.json", "eval-heldout.parquet")
    }
    assert [reason for source, _ in pairs if (reason := record.refused(source))] == []


def test_a_result_without_manifest_is_refused_and_nothing_is_copied(run: Path) -> None:
    assert record.refused(run / "claims.json") is None  # follows from results, each with its manifest
    (run / "theory/verify.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "repro.record", "--out", str(run)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "verify.json: its manifest lacks config, seed" in done.stderr
    assert not (ROOT / "results" / "cpu" / "demo").exists()


def test_nothing_to_record_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "repro.record", "--out", str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert "nothing has been computed there yet" in done.stderr


def test_verdicts_go_between_their_marks() -> None:
    readme = "a\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nb\n"
    once = record.with_verdicts(readme, "| new |\n")
    assert once == "a\n<!-- verdicts -->\n| new |\n<!-- /verdicts -->\nb\n"
    assert record.with_verdicts(once, "| new |\n") == once
    with pytest.raises(ValueError, match="marks"):
        record.with_verdicts("nothing", "x")


def test_summary_counts_facts_and_unnoticed_variants(run: Path) -> None:
    lines = summary.theorems(run)
    assert "1,000 random instances" in lines[0]
    assert "T1" in lines[1]
    assert "2 facts, 1 of 2 broken variants noticed" in lines[1]
    assert any("runs" in line for line in summary.places(run))
