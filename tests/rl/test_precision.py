"""bfloat16 or float32: measured once for a folder, and only a clear gain counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rl import precision


@pytest.mark.parametrize(("gain", "dtype"), [(0.3, "float32"), (1.1, "float32"), (6.0, "bfloat16")])
def test_a_clear_gain_counts_and_is_measured_once(
    gain: float, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "gigaflops", lambda dtype: 100.0 * (gain if dtype == "bfloat16" else 1.0))
    assert precision.main(["--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "precision.json").read_text())
    assert found["dtype"] == dtype
    assert f"weights in {dtype}" in capsys.readouterr().out

    monkeypatch.setattr(precision, "gigaflops", None)
    assert precision.main(["--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "precision.json").read_text()) == found


def test_it_measures_this_processor() -> None:
    assert precision.gigaflops("float32") > 0.1
