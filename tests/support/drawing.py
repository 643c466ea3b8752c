"""Figures and tables made by their own command, in this process: most take less time than to import matplotlib."""

from __future__ import annotations

import runpy
import sys

import pytest

from repro.manifest import ROOT


def make(name: str, *arguments: object) -> int:
    """`python -m figures.NAME ARGUMENTS`; its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(ROOT / "figures" / f"{name}.py"), run_name="__main__")
    assert isinstance(done.value.code, int)
    return done.value.code
