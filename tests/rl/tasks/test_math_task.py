"""The task of competition mathematics, from local files only."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rl import tasks
from rl.experiments.yaml_loader import ConfigError, build
from rl.tasks import math
from rl.tasks._rows import Data, DataError, left_out


def config(tmp_path: Path, **more: Any) -> math.MathConfig:
    rows = {
        "dapo": [{"prompt": f"What is {n}+1?", "solution": str(n + 1)} for n in range(12)],
        "deepscaler": [{"problem": "Half of one?", "answer": r"\frac12"}],
        "aime25": [{"problem": "What is  3+1?", "answer": "4", "id": "0"}, {"problem": "?\x00", "answer": "4"}],
        "minerva": [{"question": "Speed of light?", "answer": "3e8"}],
    }
    files = {}
    for name, found in rows.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        files[name] = str(path)
    settings = {"train": ["dapo", "deepscaler"], "benchmarks": ["aime25", "minerva"], "seed": 0, "files": files}
    return build(math.MathConfig, {**settings, **more}, "task")


def test_splits_hold_benchmarks_apart(tmp_path: Path) -> None:
    found = math.splits(config(tmp_path, validation=3))
    assert {name: len(problems) for name, problems in found.items()} == {"train": 9, "validation": 3, "heldout": 2}
    assert [one.benchmark for one in found["heldout"]] == ["aime25", "minerva"]
    ids = [one.id for problems in found.values() for one in problems]
    assert len(set(ids)) == 14
    assert "dapo/3" not in ids  # that question is one of a benchmark's
    assert math.splits(config(tmp_path, validation=3)) == found
    assert math.splits(config(tmp_path, validation=3, seed=1))["validation"] != found["validation"]


def test_rows_that_are_left_out_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = config(tmp_path)
    math.splits(made)
    math.splits(made)
    assert capsys.readouterr().err == "aime25: 1 of 2 rows left out: 1 control characters\n"
    assert left_out()["aime25"] == {"control characters": 1}  # what manifests take up


def test_its_data_sets_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert [one.repository for one in math.data(made)] == [
        "open-r1/DAPO-Math-17k-Processed",
        "agentica-org/DeepScaleR-Preview-Dataset",
        "math-ai/aime25",
        "math-ai/minervamath",
    ]
    assert [one.problem() for one in math.data(made)] == [None] * 4
    bare = dataclasses.replace(made, files={"dapo": "nowhere.jsonl"}, revisions={"aime25": "0" * 40, "minerva": "main"})
    assert [one.problem() for one in math.data(bare)] == [
        "no file nowhere.jsonl",
        "task.revisions.deepscaler names no commit",
        None,
        "task.revisions.minerva: 'main' is no commit",
    ]
    assert math.data(bare)[2] == Data("math-ai/aime25", None, "0" * 40, "task.revisions.aime25")


def test_answers_are_graded(tmp_path: Path) -> None:
    light = math.splits(config(tmp_path))["heldout"][1]
    assert light.prompt.startswith("Speed of light?\nPlease reason")
    assert math.verify(light, r"So $\boxed{3 \times 10^8}$.") == math.GradeResult(True, "3e8", "correct")
    assert math.verify(light, r"So $\boxed{3}$.") == math.GradeResult(False, None, "wrong")
    assert math.verify(light, "So 3e8.") == math.GradeResult(False, None, "no answer")


def test_the_task_by_name_and_what_is_wrong_with_a_request(tmp_path: Path) -> None:
    assert tasks.get("math") is math.TASK
    good = config(tmp_path)
    for change, said in (
        ({"train": ("dapoo",)}, "did you mean 'dapo'"),
        ({"benchmarks": ("dapo",)}, "benchmarks='dapo': is trained on"),
        ({"validation": -1}, "validation=-1"),
        ({"name": "maths"}, "name='maths'"),
    ):
        with pytest.raises(ValueError, match=said):
            dataclasses.replace(good, **change)
    with pytest.raises(DataError, match="validation=99: only 12"):
        math.splits(dataclasses.replace(good, validation=99))
    with pytest.raises(DataError, match="aime25: name the commit of math-ai/aime25"):
        math.splits(dataclasses.replace(good, files={}))
    with pytest.raises(ConfigError, match="did you mean 'benchmarks'"):
        config(tmp_path, benchmark=["aime25"])
