"""Run folders: locks, rows, checkpoints; nothing half written, nothing good lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repro.files import whole_folder
from rl.experiments import runs
from rl.experiments.runs import Metrics, RunError

RECORD = {"name": "demo", "train": {"steps": 4}, "evaluate": {"samples": 8}, "method": {"name": "grpo"}}


def test_lock_refuses_the_second_process_and_ends_with_the_first(tmp_path: Path) -> None:
    hold = "import sys, time; from rl.experiments import runs; from pathlib import Path\n"
    hold += "with runs.locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=f"is in use by process {process.pid}"), runs.locked(tmp_path):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with runs.locked(tmp_path):
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "runs" / "grpo"
    found.mkdir(parents=True)
    (found / "lock").touch()
    return found


def begin(folder: Path, record: Any = RECORD, seed: int = 0, source: str = "hash") -> tuple[bool, list[str]]:
    return runs.prepare(folder, record, seed, source, folder.parents[1] / "earlier")


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def finish(folder: Path, record: Any = RECORD, source: str = "hash") -> dict[str, str]:
    """Make a finished run; its files."""
    assert begin(folder, record, source=source)[0] is False
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_text(source + str(record))
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "manifest.json").write_text("{}")
    return files(folder)


OTHER = {**RECORD, "train": {"steps": 5}}


@pytest.mark.parametrize(
    ("record", "seed", "source", "named"),
    [(OTHER, 0, "hash", "train.steps"), (RECORD, 1, "hash", "seed"), (RECORD, 0, "x", "source")],
)
def test_a_finished_run_is_moved_whole_for_another_and_comes_back(
    folder: Path, record: Any, seed: int, source: str, named: str
) -> None:
    first = finish(folder)
    done, [line] = begin(folder, record, seed, source)
    assert not done
    assert f"(other: {named})" in line
    place = Path(line.rpartition(" lies in ")[2])
    assert files(place) == first
    assert list(files(folder)) == ["config.yaml"]
    assert (folder / "lock").exists()  # held by the process that moves

    (folder / "metrics.jsonl").write_text("half of the other\n")
    second = files(folder)
    done, lines = begin(folder)
    assert (done, len(lines)) == (True, 2)
    assert files(folder) == first
    assert begin(folder, record, seed, source)[0] is False
    assert files(folder) == second  # and so does the other, where it was left


def test_the_same_run_unfinished_is_gone_on_with(folder: Path) -> None:
    assert begin(folder) == (False, [])
    (folder / "metrics.jsonl").write_text("{}\n")
    assert begin(folder) == (False, [])
    assert (folder / "metrics.jsonl").exists()


@pytest.mark.parametrize("moves", range(1, 9))
def test_killed_while_moving_nothing_is_lost_and_nothing_half_seems_finished(
    folder: Path, moves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, rename, left = finish(folder), Path.rename, [moves]

    def dies(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dies)
    with contextlib.suppress(KeyboardInterrupt):  # away, four entries, and back
        begin(folder, OTHER)
        begin(folder)
    if runs.is_done(folder, RECORD, 0, "hash"):
        assert files(folder) == first
    monkeypatch.setattr(Path, "rename", rename)
    assert begin(folder)[0] is True
    assert files(folder) == first


@pytest.mark.parametrize("left", ["metrics.jsonl", "manifest.json"])
def test_files_of_no_known_run_are_left_alone(folder: Path, left: str) -> None:
    (folder / left).write_text("whose?")
    with pytest.raises(RunError, match=f"holds {left}, and no config.yaml says"):
        begin(folder)
    (folder / "config.yaml").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        begin(folder)
    assert (folder / left).read_text() == "whose?"


def test_moving_replaces_nothing(folder: Path) -> None:
    (folder / "a").write_text("1")
    (folder / "to").mkdir()
    (folder / "to" / "a").write_text("2")
    with pytest.raises(RunError, match="is there already"):
        runs.move([folder / "a"], folder / "to")
    assert files(folder) == {"a": "1", "to/a": "2"}


def test_finished_means_the_same_run_with_a_manifest(folder: Path) -> None:
    begin(folder)
    assert not runs.is_done(folder, RECORD, 0, "hash")
    (folder / "manifest.json").write_text("{}")
    assert runs.is_done(folder, RECORD, 0, "hash")
    assert begin(folder) == (True, [])
    assert runs.is_done(folder, {**RECORD, "evaluate": {"samples": 9}}, 0, "hash")  # decides no training run
    assert not runs.is_done(folder, RECORD, 1, "hash")
    assert not runs.is_done(folder, RECORD, 0, "other")
    assert not runs.is_done(folder / "nowhere", RECORD, 0, "hash")


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
    assert [row["step"] for row in metrics.truncate(2)] == [0, 1, 2]
    assert metrics.path.read_text().splitlines() == before[:3]
    with pytest.raises(ValueError, match="JSON compliant"):
        metrics.append({"step": 3, "loss": float("nan")})
    assert len(metrics.rows()) == 3


def make_checkpoint(folder: Path, step: int) -> Path:
    target = folder / f"step-{step}"
    with whole_folder(target, runs.staging_of(target)) as staging:
        (staging / "weights").write_bytes(bytes(range(100)))
        runs.write_index(staging, step, {"micro_steps": 2 * step})
    return target


def test_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert runs.latest_valid(tmp_path / "none", 9) == (None, [])
    for step in (2, 4, 10):
        make_checkpoint(tmp_path, step)
    found, complaints = runs.latest_valid(tmp_path, 10)
    assert found is not None
    assert (found.step, found.state, complaints) == (10, {"micro_steps": 20}, [])

    (tmp_path / "step-10" / "weights").write_bytes(bytes(range(99)))
    found, complaints = runs.latest_valid(tmp_path, 10)
    assert found is not None
    assert found.step == 4
    [line] = complaints
    assert "step-10: not used, weights is damaged" in line

    (tmp_path / "step-4" / "checkpoint.json").unlink()
    found, complaints = runs.latest_valid(tmp_path, 10)
    assert found is not None
    assert found.step == 2
    assert "checkpoint.json is missing" in complaints[1]

    found, complaints = runs.latest_valid(tmp_path, 1)  # rows are lost: resuming there would leave a gap
    assert found is None
    assert "metrics.jsonl ends at step 1" in complaints[-1]


def test_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    target = make_checkpoint(tmp_path, 2)

    def save() -> None:
        with whole_folder(target, runs.staging_of(target)) as staging:
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
