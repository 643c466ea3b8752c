"""Analysis is light: it reads tables and computes; nothing of it waits for torch."""

from __future__ import annotations

import subprocess
import sys

from repro.manifest import ROOT

IMPORT = """
import importlib, pkgutil, sys
import rl.analysis, rl.report
for one in pkgutil.iter_modules(rl.analysis.__path__):
    importlib.import_module(f"rl.analysis.{one.name}")
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_analysis_imports_no_torch_and_no_matplotlib() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"rl", "pandas", "scipy"} <= loaded
    assert loaded.isdisjoint({"torch", "transformers", "trl", "accelerate", "matplotlib", "figures"})
