"""Every command answers `--help` without the libraries that it needs to work: nobody waits for help."""

import subprocess
import sys

import pytest

COMMANDS = ("evaluate", "plan", "precision", "pretrain", "report", "sample", "search", "sweep", "train")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_no_deep_learning_library(name: str) -> None:
    code = (
        f"import sys, rl.{name} as command\nsys.argv = ['x', '--help']\ntry: command.main()\nexcept SystemExit: pass\n"
    )
    code += "print([one for one in ('torch', 'transformers', 'trl', 'datasets') if one in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"python -m rl.{name}" in found.stdout
    assert found.stdout.splitlines()[-1] == "[]"
