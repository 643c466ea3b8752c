"""Tables keep their numbers: what a cell shows to three digits, the CSV has whole."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from figures.cells import Cell, estimate, number, numeric
from repro.manifest import ROOT

FOUND = {"mean": 0.0126, "low": -1 / 3, "high": 0.5, "seeds": 3}
TABLES = sorted(path for path in (ROOT / "figures" / "out").glob("tab_*.csv") if path.stem != "tab_settings")


def test_text_for_people_and_numbers_for_programs() -> None:
    frame = pd.DataFrame(
        {
            "method": ["a", "b", "c"],
            "Δ": [estimate(FOUND, "+"), "", estimate({**FOUND, "low": float("nan"), "high": float("nan")})],
            "step": [number(245.67, ".0f"), "", Cell("not run")],
        }
    )
    assert [str(one) for one in frame["Δ"]] == ["+0.013 [-0.333, +0.500]", "", "0.013 (one seed)"]
    assert [str(one) for one in frame["step"]] == ["246", "", "not run"]
    found = numeric(frame)
    assert list(found.columns) == ["method", "Δ mean", "Δ low", "Δ high", "Δ n", "step"]
    assert found.iloc[0].to_list() == ["a", 0.0126, -1 / 3, 0.5, 3, 245.67]
    assert found.iloc[1, 1:].isna().all()
    assert found["Δ n"].to_list() == [3, pd.NA, 3]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_no_committed_table_has_an_interval_as_text(path: Path) -> None:
    table = pd.read_csv(path)
    numbers = [name for name in table.columns if re.search(r" (mean|low|high|n)$", name)]
    assert len(numbers) >= 4
    assert all(pd.api.types.is_numeric_dtype(table[name]) for name in numbers)
    texts = table.select_dtypes(exclude="number")
    assert not texts.map(lambda value: bool(re.search(r"\d \[|^[+-]?\d*\.\d+$", str(value)))).to_numpy().any()


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_markdown_shows_the_numbers_of_the_csv(path: Path) -> None:
    """Every interval of the Markdown is one of the CSV, to three digits, in the same order."""
    table = pd.read_csv(path)
    shown = re.findall(r"(\S+) \[(\S+), (\S+)\]", path.with_suffix(".md").read_text(encoding="utf-8"))
    names = [name.removesuffix(" mean") for name in table.columns if name.endswith(" mean")]
    rows = table.to_dict("records")
    kept = [[row[f"{name} {end}"] for end in ("mean", "low", "high")] for row in rows for name in names]
    whole = [one for one in kept if all(value == value for value in one)]
    assert len(shown) == len(whole)
    for texts, values in zip(shown, whole):
        assert [float(text) for text in texts] == pytest.approx(values, abs=5.1e-4)
