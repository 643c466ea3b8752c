"""No test may depend on how fast the machine is: limits are there to end what hangs, and are an hour at least."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import settings

from repro.manifest import ROOT

LEAST = 3600  # seconds


def short_limits(source: str) -> list[tuple[int, float]]:
    """(line, seconds) of every `timeout=` below `LEAST` that is a number in the source."""
    return [
        (node.value.lineno, node.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword)
        and node.arg == "timeout"
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, int | float)
        and node.value.value < LEAST
    ]


def test_a_short_limit_is_seen() -> None:
    assert short_limits("run(x,\n    timeout=300)\nrun(timeout=3600)\nrun(timeout=None)\nrun(timeout=limit)") == [
        (2, 300)
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_limits_only_end_what_hangs(path: Path) -> None:
    assert short_limits(path.read_text(encoding="utf-8")) == []


def test_drawn_examples_are_not_timed() -> None:
    assert settings().deadline is None
