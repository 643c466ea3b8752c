"""What is committed is what the committed results say: every exhibit made again from `results/`, every verdict too."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from repro.manifest import ROOT
from repro.record import with_verdicts
from rl import reproduction

EXHIBITS = sorted(path.stem for kind in ("fig", "tab") for path in (ROOT / "figures").glob(f"{kind}_*.py"))


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_exhibit_has_the_numbers_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "figures" / f"{name}.py"), run_name="__main__")
    assert done.value.code == 0
    made, committed = tmp_path / "figures", ROOT / "figures"
    numbers = (pd.read_csv(folder / f"{name}.csv") for folder in (made, committed))
    pd.testing.assert_frame_equal(*numbers, rtol=1e-6)
    if name.startswith("tab_"):  # its caption says where the runs lay
        texts = [(folder / f"{name}.md").read_text(encoding="utf-8") for folder in (made, committed)]
        assert texts[0].partition("\n")[2] == texts[1].partition("\n")[2]


def test_the_verdicts_are_those_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In REPRODUCTION.md and between the marks of the README."""
    monkeypatch.setattr(sys, "argv", ["rl.reproduction", "--out", str(tmp_path), "--experiment", "countdown"])
    assert reproduction.main() == 0
    assert (tmp_path / "REPRODUCTION.md").read_text(encoding="utf-8") == (ROOT / "REPRODUCTION.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_verdicts(readme, (tmp_path / "REPRODUCTION-table.md").read_text(encoding="utf-8")) == readme
