"""The wheel: built from the sources, installed into an empty environment, used where the sources are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tiny import save_tiny_model

from repro.manifest import ROOT
from repro.sources import OWN

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where neither the project's folder nor a PYTHONPATH helps; it must succeed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**environment, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves a build folder beside the sources."""
    copy = tmp_path_factory.mktemp("sources") / "project"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in (*OWN, "tests", "examples"):  # whatever lies beside it is not packed
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "-w",
        out,
        copy,
        cwd=out,
    )
    [made] = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the wheel, and this one's other packages by their path."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    found = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", found]
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return found


def test_it_holds_the_library_and_nothing_else(wheel: Path) -> None:
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "differential_smoothing").rglob("*.py")}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_it_asks_for_ranges_and_pins_nothing(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    asked = [Requirement(line) for line in message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])]
    assert {one.name for one in asked if one.marker is None} == {"numpy", "torch"}
    assert {one.name for one in asked if one.marker is not None} == {"trl", "verl"}
    assert not [one for one in asked for part in one.specifier if part.operator in ("==", "===")]


def test_nothing_else_of_the_project_comes_with_it(python: Path, tmp_path: Path) -> None:
    script = """
import importlib.util
import differential_smoothing.methods, differential_smoothing.verl
print(differential_smoothing.__file__)
print([name for name in ("theory", "rl", "figures", "repro", "benchmarks", "tests") if importlib.util.find_spec(name)])
"""
    file, others = run(python, "-c", script, cwd=tmp_path).stdout.splitlines()
    assert Path(file).is_relative_to(python.parents[1])
    assert others == "[]"


SCRIPT = """
import json, sys
from datasets import Dataset
from differential_smoothing.trl import DSGRPOConfig, DSGRPOTrainer
short = {"num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 4, "max_steps": 10}
here = {"use_cpu": True, "bf16": False, "report_to": "none", "logging_steps": 1}
args = DSGRPOConfig("out", gamma_p=float(sys.argv[1]), **short, **here)
rows = Dataset.from_dict({"prompt": ["1+1=", "2+0="] * 8})
trainer = DSGRPOTrainer("model", lambda completions, **_: [float("2" in text) for text in completions], args, rows)
trainer.train()
print("log", json.dumps([trainer.state.log_history, sum(float(one.sum()) for one in trainer.model.parameters())]))
"""


def test_ten_lines_of_a_users_own_train_ten_steps(python: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model")
    ends = []
    for gamma in ("0.1", "0"):
        lines = run(python, "-c", SCRIPT, gamma, cwd=tmp_path).stdout.splitlines()
        (line,) = [line.removeprefix("log ") for line in lines if line.startswith("log ")]
        history, end = json.loads(line)
        ends.append(end)
        rows = [row for row in history if "loss" in row]
        assert len(rows) == 10
        assert all(0 <= row["pass@1"] <= row["pass@2"] <= row["pass@4"] <= 1 for row in rows)
        terms = [row["ds_term"] for row in rows if row["pass@1"] > 0 and "ds_term" in row]
        assert terms == [] if gamma == "0" else (len(terms) > 3 and min(terms) > 0)
    assert ends[0] != ends[1], "the same seed with and without the term"
