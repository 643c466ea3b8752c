"""What is committed is what the committed results say: every figure and table made again from `results/`."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from drawing import make

from repro import stages
from repro.manifest import ROOT
from repro.stages import Pipeline
from rl.analysis import tables

STAGES = stages.figures(Pipeline())
NAMES = [one.name for one in STAGES if not one.absent]
COMMITTED = ROOT / "figures" / "out"


def test_results_stay_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "results").rglob("*") if path.is_file()]
    assert len(sizes) <= 60
    assert sum(sizes) <= 15e6


def test_only_what_waits_for_its_first_look_is_not_made() -> None:
    assert all(one.name.startswith("fig_saturated_") for one in STAGES if one.absent)


def test_nothing_else_is_committed_beside_the_figures() -> None:
    assert {path.stem for path in COMMITTED.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_numbers_of_the_results_and_is_made_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its stage watches every table that it reads."""
    [stage] = [one for one in stages.figures(Pipeline(out=tmp_path)) if one.name == name]
    read: set[Path] = set()
    inner = tables.read
    monkeypatch.setattr(tables, "read", lambda folder: (read.add(folder), inner(folder))[1])
    assert make(stage.command[0].removeprefix("figures."), *stage.command[1:]) == 0
    numbers = (pd.read_csv(folder / f"{name}.csv") for folder in (tmp_path / "figures", COMMITTED))
    pd.testing.assert_frame_equal(*numbers, rtol=1e-6)
    for suffix in (".md", ".tex"):
        if name.startswith("tab_"):
            made, committed = (folder / f"{name}{suffix}" for folder in (tmp_path / "figures", COMMITTED))
            assert made.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")

    watched = {Path(path) for path in stage.reads}
    there = {folder / one for folder in read if folder.is_dir() for one in os.listdir(folder)}
    assert there <= watched
    assert len(watched) >= 1
