"""What is committed is what the committed results say: every exhibit made again from `results/`."""

from __future__ import annotations

import itertools
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from repro.manifest import ROOT
from rl.analysis import tables

EXHIBITS = sorted(path.stem for kind in ("fig", "tab") for path in (ROOT / "figures").glob(f"{kind}_*.py"))


READS = """
set -euo pipefail
ROOT=$PWD
source repro/setup.sh
OUT=$1 SCALE=cpu NAME=countdown
stage() { printf '%s\\n' "$@"; }
wanted() { true; }
exhibit "$2"
"""


@pytest.mark.parametrize("name", EXHIBITS)
def test_an_exhibit_has_the_numbers_of_the_results_and_is_made_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What `paper_repro.sh` watches for it holds every table that it reads."""
    read: set[Path] = set()
    inner = tables.read
    monkeypatch.setattr(tables, "read", lambda folder: (read.add(folder), inner(folder))[1])
    monkeypatch.setattr(sys, "argv", [name, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as done:
        runpy.run_path(str(ROOT / "figures" / f"{name}.py"), run_name="__main__")
    assert done.value.code == 0
    made, committed = tmp_path / "figures", ROOT / "figures" / "out"
    numbers = (pd.read_csv(folder / f"{name}.csv") for folder in (made, committed))
    pd.testing.assert_frame_equal(*numbers, rtol=1e-6)
    if name.startswith("tab_"):  # its caption says where the runs lay
        texts = [(folder / f"{name}.md").read_text(encoding="utf-8") for folder in (made, committed)]
        assert texts[0].partition("\n")[2] == texts[1].partition("\n")[2]

    stage = subprocess.run(
        ["bash", "-c", READS, "reads", str(tmp_path), name], cwd=ROOT, capture_output=True, text=True, check=True
    )
    pairs = itertools.pairwise(stage.stdout.splitlines())
    watched = {
        path for flag, glob in pairs if flag == "--reads" and not Path(glob).is_absolute() for path in ROOT.glob(glob)
    }
    assert {path for folder in read for path in folder.iterdir()} <= watched
