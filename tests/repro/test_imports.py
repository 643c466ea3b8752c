"""The layers of the house: who may import whom (`.importlinter`), and that a forbidden import is noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from repro.manifest import ROOT

PACKAGES = ("benchmarks", "differential_smoothing", "figures", "repro", "rl", "theory")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(folder)}, text=True, capture_output=True
    )


def test_every_layer_imports_only_what_it_may() -> None:
    found = lint(ROOT)
    assert found.returncode == 0, found.stdout + found.stderr


def test_an_import_against_the_rules_is_found(tmp_path: Path) -> None:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.png", "*.pdf"))
    shutil.copy(ROOT / ".importlinter", tmp_path)
    with (tmp_path / "theory" / "policies.py").open("a", encoding="utf-8") as file:
        file.write("\nimport torch\n")
    found = lint(tmp_path)
    assert found.returncode == 1
    assert "theory.policies -> torch" in found.stdout
