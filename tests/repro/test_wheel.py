"""The wheel: built from the sources, installed into an empty environment, used where the sources are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

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
    for name in (*OWN, "tests", "examples"):
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


def test_it_holds_all_modules_and_settings_and_nothing_else(wheel: Path) -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for name in OWN
        for suffix in ("py", "yaml")
        for path in (ROOT / name).rglob(f"*.{suffix}")
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == wanted


def test_the_theory_is_verified_from_it(python: Path, tmp_path: Path) -> None:
    run(python, "-m", "theory.verify", "--instances", "20", "--jobs", "1", "--only", "T1", "T10", cwd=tmp_path)
    assert list((tmp_path / "build" / "theory").glob("verify*.json"))


def test_settings_are_read_and_code_is_known_from_it(python: Path, tmp_path: Path) -> None:
    script = """
import json
from pathlib import Path
import rl
from repro.manifest import ROOT
from repro.sources import closure
from rl.experiments.config import load
from rl.plan import experiments
from rl.experiments.identity import source_key
config = load(ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml", ["train.steps=3"])
found = [str(path.relative_to(ROOT)) for path in closure(["rl.train", "theory.verify", "figures.tab_main"])]
names = [one.name for scale in ("cpu", "gpu", "paper") for one in experiments(scale).values()]
print(json.dumps([rl.__file__, config.train.steps, names, found, source_key(config, "ds-grpo")]))
"""
    file, steps, names, found, key = json.loads(run(python, "-c", script, cwd=tmp_path).stdout)
    assert Path(file).is_relative_to(python.parents[1])
    assert steps == 3
    assert {"countdown", "countdown-gpu"} <= set(names)
    assert {Path(path).parts[0] for path in found} == set(OWN)
    assert len(key) == 64


def test_the_commands_start_from_it(python: Path, tmp_path: Path) -> None:
    assert "countdown" in run(python, "-m", "rl.plan", "--scale", "paper", cwd=tmp_path).stdout
    for module in ("rl.train", "rl.sweep", "rl.evaluate", "figures.tab_main", "theory.exhibits"):
        assert "usage" in run(python, "-m", module, "--help", cwd=tmp_path).stdout
