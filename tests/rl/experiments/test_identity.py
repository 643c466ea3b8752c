"""What makes two runs the same: the code in use, and nothing else of the project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential_smoothing import methods
from repro.manifest import ROOT
from repro.sources import code_of
from rl.experiments.config import load
from rl.experiments.identity import code_key, eval_key, source_key
from rl.tasks import TASKS

Change = Callable[[str], str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("benchmarks", "differential_smoothing", "rl", "repro"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.yaml"))
    return tmp_path


def key(project: Path, task: str = "countdown", method: str | None = "ds-grpo") -> str:
    return code_key(["rl.train"], task, methods.get(method) if method else None, project)


def head(text: str) -> Change:
    """Puts lines before all others."""
    return lambda source: text + source


def tail(text: str) -> Change:
    return lambda source: source + text


def instead(old: str, new: str) -> Change:
    def change(source: str) -> str:
        assert source.count(old) >= 1
        return source.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("rl/tasks/linear.py", head('"""Another docstring."""\n')),
        ("rl/tasks/linear.py", tail("\nCHANGED = 1\n")),  # code, of a task that is not used
        ("rl/tasks/math_grading.py", tail("\nCHANGED = 1\n")),  # nor what it alone imports
        ("rl/tasks/_math_worker.py", tail("\nCHANGED = 1\n")),
        ("differential_smoothing/advantages/passk.py", tail("\nCHANGED = 1\n")),
        ("rl/tasks/countdown.py", tail("\n# a comment\n")),
        ("rl/tasks/countdown.py", instead('    """', '    """Otherwise said: ')),
        ("differential_smoothing/trl.py", head("\n\n# moved down\n")),
        (
            "rl/tasks/__init__.py",
            instead('    "linear": linear.TASK,\n', '    "linear": linear.TASK, "new": linear.TASK,\n'),
        ),
        ("differential_smoothing/methods/registry.py", instead('"differential smoothing added', '"smoothing, added')),
        ("rl/evaluate.py", tail("\nCHANGED = 1\n")),
    ],
)
def test_what_does_not_decide_leaves_the_identity_alone(project: Path, file: str, change: Change) -> None:
    before = key(project)
    path = project / file
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    assert key(project) == before


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("rl/tasks/countdown.py", tail("\nCHANGED = 1\n")),
        ("rl/tasks/_countdown_parser.py", tail("\nCHANGED = 1\n")),  # what the task imports
        ("differential_smoothing/smoothing.py", instead("-config.gamma_p * logp", "-config.gamma_p * 2 * logp")),
        ("differential_smoothing/trl.py", tail("\nCHANGED = 1\n")),
        ("differential_smoothing/methods/registry.py", tail("\nCHANGED = 1\n")),  # beside its table
        ("rl/tasks/countdown.py", instead("from __future__", "import re\nfrom __future__")),
    ],
)
def test_the_code_in_use_decides(project: Path, file: str, change: Change) -> None:
    before = key(project)
    path = project / file
    path.write_text(change(path.read_text()))
    assert key(project) != before


def test_each_task_and_method_is_used_where_it_is_named(project: Path) -> None:
    def all_keys() -> dict[tuple[str, str], str]:
        return {(task, method): key(project, task, method) for task in TASKS for method in ("ds-grpo", "pkpo")}

    before = all_keys()
    assert len(set(before.values())) == len(before)
    for file, tasks, used in (
        ("rl/tasks/_math_worker.py", {"math", "linear"}, {"ds-grpo", "pkpo"}),  # started by its path
        ("rl/tasks/maze.py", {"maze"}, {"ds-grpo", "pkpo"}),
        ("differential_smoothing/advantages/passk.py", set(TASKS), {"pkpo"}),
    ):
        text = (project / file).read_text()
        (project / file).write_text(text + "\nCHANGED = 1\n")
        after = all_keys()
        changed = {pair for pair in before if after[pair] != before[pair]}
        assert changed == {(task, method) for task in tasks for method in used}, file
        (project / file).write_text(text)


def test_keys_of_runs_and_evaluations() -> None:
    config = load(ROOT / "rl" / "experiments" / "cpu" / "countdown.yaml")
    assert source_key(config, "grpo") != source_key(config, "ds-grpo")
    record = config.record("ds-grpo")
    first = eval_key(record, 0, "weights")
    assert first == eval_key(dict(reversed(record.items())), 0, "weights")
    others = [eval_key({**record, "evaluate": {}}, 0, "weights"), eval_key(record, 1, "weights")]
    assert len({first, *others, eval_key(record, 0, "other")}) == 4


@given(st.text("ab \n#\"'\\", max_size=30))
def test_comments_and_lone_strings_never_count(text: str) -> None:
    plain = "def f(x):\n    return x\nclass C:\n    y: int = 1\n"
    said = f"{text!r}\n# {text!r}\ndef f(x):\n    {text!r}\n    return x\nclass C:\n\n    y: int = 1\n    {text!r}\n"
    assert code_of(said) == code_of(plain)
    assert (code_of(f"A = {text!r}\n") == code_of("A = 'ab'\n")) == (text == "ab")
