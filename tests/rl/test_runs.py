"""Run folders: locks, rows, checkpoints; nothing half written, nothing good lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rl import runs
from rl.runs import Metrics, RunError

RECORD = {"name": "demo", "train": {"steps": 4}, "evaluate": {"samples": 8}, "method": {"name": "grpo"}}


def test_lock_refuses_the_second_process_and_ends_with_the_first(tmp_path: Path) -> None:
    hold = "import sys, time; from rl import runs; from pathlib import Path\n"
    hold += "with runs.locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=f"is in use by process {process.pid}"), runs.locked(tmp_path):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with runs.locked(tmp_path):
        pass


def test_folder_of_another_run_is_refused_and_named(tmp_path: Path) -> None:
    assert not runs.begin(tmp_path, RECORD, 0, "hash", replace=False)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    assert not runs.begin(tmp_path, RECORD, 0, "hash", replace=False)  # the same, unfinished: gone on with
    assert (tmp_path / "metrics.jsonl").exists()
    other = {**RECORD, "train": {"steps": 5}}
    for record, seed, source, named in (
        (other, 0, "hash", "train.steps"),
        (RECORD, 1, "hash", "seed"),
        (RECORD, 0, "x", "source"),
    ):
        with pytest.raises(RunError, match=rf"other: {named}\); --replace"):
            runs.begin(tmp_path, record, seed, source, replace=False)
    assert (tmp_path / "metrics.jsonl").exists()
    assert not runs.begin(tmp_path, other, 0, "hash", replace=True)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_finished_means_the_same_run_with_a_manifest(tmp_path: Path) -> None:
    runs.begin(tmp_path, RECORD, 0, "hash", replace=False)
    assert not runs.is_done(tmp_path, RECORD, 0, "hash")
    (tmp_path / "manifest.json").write_text("{}")
    assert runs.is_done(tmp_path, RECORD, 0, "hash")
    assert runs.begin(tmp_path, RECORD, 0, "hash", replace=True)
    assert runs.is_done(tmp_path, {**RECORD, "evaluate": {"samples": 9}}, 0, "hash")  # decides no training run
    assert not runs.is_done(tmp_path, RECORD, 1, "hash")
    assert not runs.is_done(tmp_path, RECORD, 0, "other")
    assert not runs.is_done(tmp_path / "nowhere", RECORD, 0, "hash")


def test_identity_follows_settings_seed_and_source() -> None:
    first = runs.identity(RECORD, 0, ["rl.runs"])
    assert first == runs.identity(dict(reversed(RECORD.items())), 0, ["rl.runs"])
    others = [runs.identity({}, 0, ["rl.runs"]), runs.identity(RECORD, 1, ["rl.runs"])]
    others += [runs.identity(RECORD, 0, ["rl.config"])]
    assert len({first, *others}) == 4


def test_rows_are_cut_and_torn_ones_ignored(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    assert metrics.rows() == []
    for step in range(5):
        metrics.append({"step": step, "loss": 0.1 + step})
    with open(metrics.path, "a") as handle:
        handle.write('{"step": 5, "lo')
    assert [row["step"] for row in metrics.rows()] == [0, 1, 2, 3, 4]
    assert metrics.tail() == {"step": 4, "loss": 4.1}
    before = metrics.path.read_text().splitlines()
    assert [row["step"] for row in metrics.cut(2)] == [0, 1, 2]
    assert metrics.path.read_text().splitlines() == before[:3]
    with pytest.raises(ValueError, match="JSON compliant"):
        metrics.append({"step": 3, "loss": float("nan")})
    assert len(metrics.rows()) == 3


def make_checkpoint(folder: Path, step: int) -> Path:
    target = folder / f"step-{step}"
    with runs.staged_folder(target) as staging:
        (staging / "weights").write_bytes(bytes(range(100)))
        runs.seal(staging, step, {"micro_steps": 2 * step})
    return target


def test_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert runs.newest(tmp_path / "none", 9) == (None, [])
    for step in (2, 4, 10):
        make_checkpoint(tmp_path, step)
    found, complaints = runs.newest(tmp_path, 10)
    assert found is not None
    assert (found.step, found.state, complaints) == (10, {"micro_steps": 20}, [])

    (tmp_path / "step-10" / "weights").write_bytes(bytes(range(99)))
    found, complaints = runs.newest(tmp_path, 10)
    assert found is not None
    assert found.step == 4
    [line] = complaints
    assert "step-10: not used, weights is damaged" in line

    (tmp_path / "step-4" / "checkpoint.json").unlink()
    found, complaints = runs.newest(tmp_path, 10)
    assert found is not None
    assert found.step == 2
    assert "checkpoint.json is missing" in complaints[1]

    found, complaints = runs.newest(tmp_path, 1)  # rows are lost: resuming there would leave a gap
    assert found is None
    assert "metrics.jsonl ends at step 1" in complaints[-1]


def test_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    target = make_checkpoint(tmp_path, 2)

    def save() -> None:
        with runs.staged_folder(target) as staging:
            (staging / "weights").write_bytes(b"half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        save()
    assert (target / "weights").read_bytes() == bytes(range(100))
    assert [path.name for path in tmp_path.iterdir()] == ["step-2"]


def test_pruning_keeps_the_newest_and_clears_leftovers(tmp_path: Path) -> None:
    for step in (2, 4, 10):
        make_checkpoint(tmp_path, step)
    (tmp_path / ".step-12.saving").mkdir()
    runs.prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-4"]


def test_weights_and_json(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no safetensors"):
        runs.weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"a")
    first = runs.weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"b")
    assert runs.weights(tmp_path) != first
    assert runs.read_json(tmp_path / "x.json") == {}
    (tmp_path / "x.json").write_text(json.dumps([1]))
    assert runs.read_json(tmp_path / "x.json") == {}
