"""Runs that survive: processes killed by SIGKILL, disks that fill up, files that are cut short, two at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the children import it by name too

from child import RUN, Runs, write_config

from rl.experiments import runs as run_folders


def outcome(out: Path, run: Path = RUN) -> tuple[bytes, list[dict[str, object]]]:
    """The final weights and the metric rows, wall times left out."""
    rows = [json.loads(line) for line in (out / run / "metrics.jsonl").read_text().splitlines()]
    return (out / run / "model" / "model.safetensors").read_bytes(), [
        {key: value for key, value in row.items() if key != "wall_s"} for row in rows
    ]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(write_config(tmp_path_factory.mktemp("config")))


@pytest.fixture(scope="module")
def reference(start: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("reference") / "out"
    assert start(out)[0] == 0
    assert [row["step"] for row in outcome(out)[1]] == list(range(13))
    return out


@pytest.fixture
def out(reference: Path, tmp_path: Path) -> Path:
    """A fresh folder with the base model made already."""
    shutil.copytree(reference / "bases", tmp_path / "out" / "bases")
    return tmp_path / "out"


@pytest.mark.parametrize("event", ["mid-save", "mid-window", "after checkpoint", "mid-row", "before manifest"])
def test_killed_run_ends_as_one_that_was_not(start: Runs, reference: Path, out: Path, event: str) -> None:
    status, _ = start(out, event)
    assert status == -signal.SIGKILL
    assert not (out / RUN / "manifest.json").exists()
    status, errors = start(out)
    assert status == 0
    assert f"goes on from step {8 if event in ('after checkpoint', 'before manifest') else 4}" in errors
    assert outcome(out) == outcome(reference)
    assert not list(out.rglob("*.saving"))
    assert not list(out.rglob("training_args.bin"))


@pytest.mark.parametrize(
    ("method", "forgets"),
    [("outcome-historical", "answer counts not restored"), ("rlep", "replay pool not restored")],
)
def test_what_earlier_batches_gave_is_not_forgotten(start: Runs, method: str, forgets: str, tmp_path: Path) -> None:
    """Four problems that come again and again; forgetting what was answered (the negative control) is noticed."""
    historical = Runs(start.config, method)
    run = RUN.parent / historical.method
    few = ("--set", "task.problems=54")
    whole, killed, forgetful = (tmp_path / name for name in ("whole", "killed", "forgetful"))
    assert historical(whole, None, *few)[0] == 0
    for out, event in ((killed, None), (forgetful, forgets)):
        shutil.copytree(whole / "bases", out / "bases")
        assert historical(out, "mid-window", *few)[0] == -signal.SIGKILL
        assert historical(out, event, *few)[0] == 0
    assert outcome(killed, run) == outcome(whole, run)
    assert outcome(forgetful, run)[0] != outcome(whole, run)[0]


def test_groups_that_are_drawn_again_are_the_same_ones(start: Runs, reference: Path, tmp_path: Path) -> None:
    resampled = Runs(start.config, "dapo-sampling")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for out in (whole, killed):
        shutil.copytree(reference / "bases", out / "bases")
    assert resampled(whole)[0] == 0
    assert resampled(killed, "mid-window")[0] == -signal.SIGKILL
    assert resampled(killed)[0] == 0
    run = RUN.parent / resampled.method
    assert outcome(killed, run) == outcome(whole, run)


@pytest.mark.parametrize("event", ["random state not restored", "optimizer not restored"])
def test_comparison_notices_what_resuming_may_forget(start: Runs, reference: Path, out: Path, event: str) -> None:
    assert start(out, "mid-window")[0] == -signal.SIGKILL
    assert start(out, event)[0] == 0
    weights, rows = outcome(out)
    assert weights != outcome(reference)[0]
    assert rows != outcome(reference)[1]


@pytest.mark.parametrize("name", ["optimizer.pt", "model.safetensors", "rng_state.pth", "checkpoint.json"])
def test_truncated_checkpoint_is_named_and_the_one_before_used(
    start: Runs, reference: Path, out: Path, name: str
) -> None:
    assert start(out, "after checkpoint")[0] == -signal.SIGKILL
    damaged = out / RUN / "checkpoints" / "step-8" / name
    damaged.write_bytes(damaged.read_bytes()[:-100])
    status, errors = start(out)
    assert status == 0
    complaint = next(line for line in errors.splitlines() if "not used" in line)
    assert "step-8" in complaint
    assert name in complaint
    assert "goes on from step 4" in errors
    assert outcome(out) == outcome(reference)


def test_full_disk_is_one_line_and_loses_nothing(start: Runs, reference: Path, out: Path) -> None:
    status, errors = start(out, "full disk")
    assert status == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith("rl.train: step 8: the checkpoint could not be written")
    assert "that of step 4 is kept" in last
    assert "Traceback" not in errors
    assert not list(out.rglob("*.saving"))
    assert start(out)[0] == 0
    assert outcome(out) == outcome(reference)


def test_second_process_on_a_run_folder_refuses(start: Runs, out: Path) -> None:
    with run_folders.locked(out / RUN):
        status, errors = start(out)
    assert status == 1
    assert "is in use by process" in errors
    assert len(errors.strip().splitlines()) == 1


def test_finished_run_is_left_alone_and_moved_whole_for_another(start: Runs, reference: Path, out: Path) -> None:
    shutil.copytree(reference / RUN, out / RUN)
    before = {path: path.read_bytes() for path in (out / RUN).rglob("*") if path.is_file() and path.name != "lock"}
    assert start(out)[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    status, errors = start(out, None, "--set", "train.learning_rate=2e-3")
    assert status == 0
    [line] = [line for line in errors.splitlines() if "train.learning_rate" in line]
    place = Path(line.rpartition(" lies in ")[2])
    assert {
        out / RUN / path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    } == before
    assert outcome(out) != outcome(reference)
    assert start(out)[0] == 0
    assert outcome(out) == outcome(reference)


def test_command_killed_from_outside_at_any_moment(start: Runs, reference: Path, out: Path) -> None:
    command = [sys.executable, "-m", "rl.train", str(start.config), "--method", "ds-grpo", "--seed", "0"]
    rows = run_folders.Metrics(out / RUN / "metrics.jsonl")
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 3600
    while len(rows.rows()) < 7 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert start(out)[0] == 0
    assert outcome(out) == outcome(reference)
