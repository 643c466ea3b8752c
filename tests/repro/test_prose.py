"""Numbers in prose are those of the records: an interval that is written by hand is one of a claim or of a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from repro.manifest import ROOT
from repro.record import with_verdicts

NUMBER = r"[+-]?\d*\.\d+"
INTERVAL = re.compile(rf"(?<![\w.])({NUMBER})\s+\[({NUMBER}),\s+({NUMBER})\]")
PROSE = ("README.md", "docs/findings.md", "docs/protocols/countdown-600-steps.md", "docs/protocols/maze.md")


def intervals(text: str) -> list[tuple[str, str, str]]:
    """Every `mean [low, high]` in `text`."""
    return INTERVAL.findall(text.replace("−", "-"))


def found_in(value: Any) -> Iterator[tuple[float, float, float]]:
    """Every mean or difference with its interval in a record."""
    if isinstance(value, dict):
        mean = value.get("mean", value.get("difference"))
        for low, high in (("low", "high"), ("problems_low", "problems_high")):
            if None not in (mean, value.get(low), value.get(high)):
                yield mean, value[low], value[high]
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from found_in(inner)


def tabulated() -> set[tuple[float, ...]]:
    """Every interval of the committed claims and tables, as a difference reads from either side."""
    found = set(found_in(json.loads((ROOT / "results" / "claims.json").read_text(encoding="utf-8"))))
    for path in sorted((ROOT / "figures" / "out").glob("tab_*.csv")):
        table = pd.read_csv(path)
        names = [name.removesuffix(" mean") for name in table.columns if name.endswith(" mean")]
        for name in names:
            columns = table[[f"{name} {end}" for end in ("mean", "low", "high")]].dropna()
            found |= set(columns.itertuples(index=False, name=None))
    return found | {(-mean, -high, -low) for mean, low, high in found}


def missing(text: str, known: set[tuple[float, ...]]) -> list[str]:
    """The intervals of `text` that no table has, to the digits that it gives."""
    absent = []
    for one in intervals(text):
        unit = [10.0 ** -len(number.partition(".")[2]) for number in one]
        said = [float(number) for number in one]
        near = (all(abs(a - b) <= 0.5 * u + 1e-6 for a, b, u in zip(said, row, unit)) for row in known)
        if not any(near):
            absent.append(f"{one[0]} [{one[1]}, {one[2]}]")
    return absent


@pytest.mark.parametrize("name", PROSE)
def test_an_interval_in_prose_stands_in_a_table(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    if name == "README.md":
        text = with_verdicts(text, "")  # what the program writes: tests/rl/test_report.py
    found = intervals(text)
    assert len(found) > 3 or name == "README.md"  # beside its table it need not give any
    assert missing(text, tabulated()) == []


def test_a_wrong_digit_or_end_is_noticed() -> None:
    known = {(0.026, 0.020, 0.033), (0.802, 0.741, 0.862)}
    assert missing("+.026 [.020, .033] and +.80 [.74, .86]", known) == []
    assert missing("+.026 [.020, .034]", known) == [".026 [.020, .034]".replace(".026", "+.026", 1)]
    assert len(missing("-.026 [-.020, .033], +.81 [.74, .86]", known)) == 2
