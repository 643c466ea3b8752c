"""What is written says what the data say; what is committed is what the committed results say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from recorded import write_experiment, write_mathematics

from repro import summary
from repro.manifest import ROOT
from repro.record import with_verdicts
from rl import report
from rl.analysis.report import document, readme_table


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["rl.report", *arguments])
    return report.main()


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "results" / "claims.json").read_text(encoding="utf-8"))
    return found


def numbers(value: Any) -> Any:
    """The same record with each float to be compared approximately."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-6, abs=1e-12)
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    return [numbers(item) for item in value] if isinstance(value, list) else value


def test_the_committed_claims_follow_from_the_committed_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(monkeypatch, "--out", str(tmp_path)) == 0
    assert json.loads((tmp_path / "claims.json").read_text(encoding="utf-8")) == numbers(committed())


def test_the_committed_texts_are_those_of_the_committed_claims() -> None:
    assert (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8") == document(committed())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_verdicts(readme, readme_table(committed())) == readme


def test_the_readme_table_has_four_columns_and_at_most_five_rows() -> None:
    head, _, *rows = readme_table(committed()).splitlines()
    assert head.count(" | ") == 3
    assert 1 < len(rows) <= 5


def test_every_claim_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path)
    assert command(monkeypatch, "--out", str(tmp_path), "--experiment", "demo") == 0
    record = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    text = (tmp_path / "REPRODUCTION.md").read_text(encoding="utf-8")
    for claim in record["claims"]:
        assert f"| `{claim['id']}` | {claim['text']} |" in text
    assert "demo: ds-grpo against grpo, seeds: 3 of 5 |" in text
    listed = summary.verdicts(tmp_path)
    assert len(listed) == 1 + len(record["claims"])
    assert any(line.startswith("  reproduced, preliminary") for line in listed)


def test_one_seed_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_experiment(tmp_path, seeds=1)
    assert command(monkeypatch, "--out", str(tmp_path), "--experiment", "demo") == 0
    text = (tmp_path / "REPRODUCTION.md").read_text(encoding="utf-8")
    assert "] over problems" in text
    assert "| one seed |" in text
    assert "no interval for the ratio of samples" in text


def test_other_methods_are_named_by_side_or_counted() -> None:
    claim = next(one for one in committed()["claims"] if one["id"] == "countdown-baselines")
    sides = {
        status: sorted(one["reference"] for one in claim["estimates"] if one["status"] == status)
        for status in ("higher", "lower")
    }
    row = next(line for line in document(committed()).splitlines() if line.startswith("| `countdown-baselines` |"))
    assert f"above {', '.join(sides['higher'])}; below {', '.join(sides['lower'])};" in row
    counted = readme_table(committed())
    assert f"above {len(sides['higher'])} of 5; below {len(sides['lower'])} of 5;" in counted


def test_sampled_runs_in_place_of_exact_ones_are_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mathematics(tmp_path)
    assert command(monkeypatch, "--out", str(tmp_path), "--experiment", "sums") == 2
    said = capsys.readouterr().err
    assert said.startswith("rl.report: ")
    assert "eval-heldout.json: sampled, and Pass@1024 was not evaluated; there are k = 1, 4, 8" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "claims.json").exists()
