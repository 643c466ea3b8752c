"""The promised range of TRL is the table of releases that were tried, and the table is what was recorded."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from repro import trl_versions
from repro.manifest import ROOT, missing_fields
from repro.trl_versions import PAGE, RECORD, SUITES, record, table, works


def test_the_range_is_what_passed() -> None:
    releases = json.loads(RECORD.read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (promised,) = map(Requirement, project["project"]["optional-dependencies"]["trl"])
    assert {name for name, one in releases.items() if works(one["outcomes"])} == {
        name for name in releases if name in promised.specifier
    }
    tried = sorted({int(name.split(".")[1]) for name in releases})
    assert tried == list(range(tried[0], tried[-1] + 1)), "every minor release between the ends"
    assert f"1.{tried[-1] + 1}.0" not in promised.specifier
    assert f"1.{tried[0] - 1}.0" not in promised.specifier


def test_the_page_has_the_recorded_table() -> None:
    releases = json.loads(RECORD.read_text(encoding="utf-8"))
    assert table(releases) in PAGE.read_text(encoding="utf-8")
    for name, one in releases.items():
        assert not missing_fields(one)
        assert one["config"] == {"suites": SUITES}
        assert one["versions"]["trl"] == name


def test_a_suite_without_a_test_does_not_pass() -> None:
    assert works({"contract": {"passed": 3, "failed": {}}})
    assert not works({"contract": {"passed": 0, "failed": {}}})
    assert not works({"contract": {"passed": 3, "failed": {"test_order": "AssertionError"}}})


def test_a_new_release_leaves_the_others_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- table -->\nold\n<!-- end of table -->\nbelow\n")
    monkeypatch.setattr(trl_versions, "PAGE", page)
    monkeypatch.setattr(trl_versions, "RECORD", tmp_path / "releases.json")
    good = {suite: {"passed": 2, "failed": {}} for suite in SUITES}
    bad = {**good, "contract": {"passed": 1, "failed": {"test_order": "AssertionError"}}}
    for release, outcomes in (("1.9.2", good), ("1.10.0", bad)):
        record(release, outcomes, 0.0)
    lines = page.read_text().splitlines()
    assert lines[0] == "above"
    assert lines[-1] == "below"
    assert [line for line in lines if line.startswith("| 1.")] == [
        "| 1.10.0 | 1 passed, 1 failed | 2 passed | 2 passed |",
        "| 1.9.2 | 2 passed | 2 passed | 2 passed |",
    ]
