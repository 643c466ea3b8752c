"""The step benchmark runs small, on the same work for all, and records what it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import step as benchmark
from repro.manifest import missing_fields
from rl.training.timing import Watch


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["bench_step", *arguments])
    return benchmark.main()


def test_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        benchmark, "VARIANTS", {k: benchmark.VARIANTS[k] for k in (benchmark.PLAIN, "ds-grpo-centered")}
    )
    size = {"prompts": 2, "group": 4, "layers": 1, "width": 32, "completion-tokens": 4, "turns": 2, "out": tmp_path}
    assert run(monkeypatch, "--cpu", *(f"--{name}={value}" for name, value in size.items())) == 0
    record = json.loads((tmp_path / "bench" / "step.json").read_text())
    assert missing_fields(record["manifest"]) == []
    assert record["manifest"]["config"]["turns"] == 2
    assert set(record["settings"]) == set(benchmark.SETTINGS)
    printed = capsys.readouterr().out
    for setting, found in record["settings"].items():
        assert found[benchmark.PLAIN]["ratio"] == 1.0
        row = found["ds-grpo-centered"]
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        parts = row["milliseconds"]
        assert {"generation", "forward passes", "backward", "optimizer", "the method's term"} <= set(parts)
        assert "the method's term" not in found[benchmark.PLAIN]["milliseconds"]
        assert f"\n{setting}\n" in printed


def test_parts_add_up() -> None:
    watch = Watch()
    watch.start("outer")
    watch.start("inner")
    inner = watch.stop()
    outer = watch.stop()
    assert watch.seconds["inner"] == inner
    assert watch.seconds["outer"] == pytest.approx(outer - inner)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--updates", "3"], "updates=3"),
        (["--group", "1"], "group=1"),
        (["--width", "33"], "width=33"),
        (["--prompts", "0"], "prompts=0"),
        (["--prompts", "1", "--group", "3"], "prompts=1"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
