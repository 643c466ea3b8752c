"""A stage runs when something it depends on has changed, and only then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.manifest import ROOT
from repro.sources import closure, digest


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project beside the real one: `work` imports `helper`; `other` is imported by nobody."""
    (tmp_path / "work.py").write_text(
        "import sys\nfrom pathlib import Path\nimport helper\n"
        "out = Path(sys.argv[1]); out.write_text(out.read_text() + helper.WORD if out.exists() else helper.WORD)\n"
    )
    (tmp_path / "helper.py").write_text("WORD = 'a'\n")
    (tmp_path / "other.py").write_text("X = 1\n")
    (tmp_path / "input.yaml").write_text("k: 1\n")
    (tmp_path / "repro").symlink_to(ROOT / "repro")
    return tmp_path


def run(project: Path, *more: str) -> subprocess.CompletedProcess[str]:
    # repro is imported through the link, so that its ROOT has to be told apart from the project under test
    command = [
        "-m",
        "repro.stage",
        "demo",
        "--reads",
        "input.yaml",
        "--writes",
        "out.txt",
        *more,
        "--",
        "work",
        "out.txt",
    ]
    script = (
        "import sys, runpy, pathlib, repro.manifest as m; m.ROOT = pathlib.Path.cwd();"
        "import repro.sources as s; s.closure.__defaults__ = (m.ROOT,); s.digest.__defaults__ = ((), m.ROOT);"
        f"sys.argv = ['repro.stage'] + {command[2:]!r}; runpy.run_module('repro.stage', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(project)},
    )


def test_second_run_does_nothing(project: Path) -> None:
    assert run(project).returncode == 0
    again = run(project)
    assert again.returncode == 0
    assert "up to date" in again.stdout
    assert (project / "out.txt").read_text() == "a"


@pytest.mark.parametrize("changed", ["helper.py", "input.yaml"])
def test_a_change_of_source_or_input_makes_it_stale(project: Path, changed: str) -> None:
    run(project)
    (project / changed).write_text((project / changed).read_text() + "\n# more\n")
    assert run(project).returncode == 0
    assert (project / "out.txt").read_text() == "aa"


def test_a_change_elsewhere_does_not(project: Path) -> None:
    run(project)
    (project / "other.py").write_text("X = 2\n")
    assert "up to date" in run(project).stdout


def test_a_lost_output_is_made_again(project: Path) -> None:
    run(project)
    (project / "out.txt").unlink()
    assert run(project).returncode == 0
    assert (project / "out.txt").read_text() == "a"


def test_a_failed_stage_leaves_no_stamp(project: Path) -> None:
    run(project)
    (project / "helper.py").write_text("raise SystemExit(3)\n")
    failed = run(project)
    assert failed.returncode == 3
    assert "failed with status 3" in failed.stderr
    assert not (project / "build/stages/demo.json").exists()


def test_missing_input_is_one_line(project: Path) -> None:
    (project / "input.yaml").unlink()
    refused = run(project)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "input.yaml" in refused.stderr


def test_closure_follows_imports_of_the_real_project() -> None:
    names = {str(path.relative_to(ROOT)) for path in closure(["repro.stage"])}
    assert {
        "repro/stage.py",
        "repro/files.py",
        "repro/manifest.py",
        "repro/sources.py",
        "repro/__init__.py",
    } == names


def test_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = digest([tmp_path / "a"], root=tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert digest([tmp_path / "b"], root=tmp_path) != first
    (tmp_path / "b").write_text("2")
    second = digest([tmp_path / "b"], root=tmp_path)
    (tmp_path / "b").write_text("1")
    assert digest([tmp_path / "b"], root=tmp_path) != second


def test_stamp_is_json(project: Path) -> None:
    run(project)
    stamp = json.loads((project / "build/stages/demo.json").read_text())
    assert set(stamp) == {"digest", "seconds", "title"}
