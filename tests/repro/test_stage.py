"""A stage runs when something it depends on has changed, and only then."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from repro.manifest import ROOT
from repro.sources import closure, digest
from repro.stage import Stage, run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project: `work` imports `helper`; `other` is imported by nobody. Each run of `work` adds a letter."""
    (tmp_path / "work.py").write_text(
        "import sys\nfrom pathlib import Path\nimport helper\n"
        "out = Path(sys.argv[1]); out.write_text(out.read_text() + helper.WORD if out.exists() else helper.WORD)\n"
    )
    (tmp_path / "helper.py").write_text("WORD = 'a'\n")
    (tmp_path / "other.py").write_text("X = 1\n")
    (tmp_path / "input.yaml").write_text("k: 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


DEMO = Stage("group/demo", "a letter", ("work", "out.txt"), reads=["*.yaml"], writes=["out.txt"])


def again(project: Path, stage: Stage = DEMO) -> bool:
    return run(stage, Path("build"), project)


def test_second_run_does_nothing(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert again(project)
    assert again(project)
    assert "up to date" in capfd.readouterr().out.splitlines()[-1]
    assert (project / "out.txt").read_text() == "a"


@pytest.mark.parametrize("changed", ["helper.py", "input.yaml"])
def test_a_change_of_source_or_input_makes_it_stale(project: Path, changed: str) -> None:
    again(project)
    (project / changed).write_text((project / changed).read_text() + "\n# more\n")
    assert again(project)
    assert (project / "out.txt").read_text() == "aa"


def test_a_further_input_or_argument_makes_it_stale(project: Path) -> None:
    again(project)
    (project / "second.yaml").write_text("k: 2\n")
    assert again(project)
    assert again(project, dataclasses.replace(DEMO, command=(*DEMO.command, "--more")))
    assert (project / "out.txt").read_text() == "aaa"


def test_a_change_elsewhere_does_not_unless_it_is_named(project: Path) -> None:
    again(project)
    (project / "other.py").write_text("X = 2\n")
    assert again(project)
    assert (project / "out.txt").read_text() == "a"
    named = dataclasses.replace(DEMO, modules=("other",))
    assert again(project, named)
    (project / "other.py").write_text("X = 3\n")
    assert again(project, named)
    assert (project / "out.txt").read_text() == "aaa"


def test_a_lost_output_is_made_again(project: Path) -> None:
    again(project)
    (project / "out.txt").unlink()
    assert again(project)
    assert (project / "out.txt").read_text() == "a"


def test_a_failed_stage_leaves_no_stamp(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    again(project)
    (project / "helper.py").write_text("raise SystemExit(3)\n")
    assert not again(project)
    assert "failed with status 3" in capfd.readouterr().err
    assert not (project / "build/stages/group-demo.json").exists()


def test_a_stage_that_does_not_write_what_it_says_has_failed(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not again(project, dataclasses.replace(DEMO, writes=["out.txt", "second.txt"]))
    assert "did not write second.txt" in capfd.readouterr().err


def test_missing_input_is_one_line(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "input.yaml").unlink()
    assert not again(project)
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "*.yaml" in said


def test_a_stage_that_cannot_be_run_is_passed_over(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert again(project, dataclasses.replace(DEMO, absent="nothing was run"))
    assert capfd.readouterr().out == "–  group/demo: nothing was run\n"
    assert not (project / "out.txt").exists()


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
    again(project)
    stamp = json.loads((project / "build/stages/group-demo.json").read_text())
    assert set(stamp) == {"digest", "seconds", "title"}
