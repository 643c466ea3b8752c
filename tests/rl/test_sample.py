"""Answers of a model with their shares, graded where the question is one of the task's."""

from __future__ import annotations

import json
from pathlib import Path

import chat
import pytest

from rl import sample
from rl.evaluation import sampled
from rl.evaluation.sampled import Completion

TASK = {"name": "countdown-sentence", "numbers": 3, "max_number": 8, "max_target": 40}
TASK |= {"problems": 800, "validation": 10, "heldout": 20, "seed": 0}
BASE = {"model": "x", "revision": "main", "dtype": "float32", "chat_template": True, "lora": None}
TURN = "<|im_start|>user\nMake 35 from 3, 7, 8.<|im_end|>\n<|im_start|>assistant\n"


def drawn(monkeypatch: pytest.MonkeyPatch, *texts: str) -> list[str]:
    """Let the model answer so; the prompts that it is given."""
    prompts: list[str] = []

    def complete(model: Path, given: list[str], how: sampled.Sampling) -> list[list[Completion]]:
        prompts.extend(given)
        return [[Completion(text, 1, True, -1.0, True) for text in texts]]

    monkeypatch.setattr(sampled, "complete", complete)
    return prompts


def test_a_model_that_exists_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = chat.model(tmp_path / "model")
    assert sample.main([str(model), "Make 35 from 3, 7, 8.", "--samples", "5", "--max-tokens", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(float(line.partition("%")[0]) for line in lines if "%" in line) == pytest.approx(100)


def test_the_manifest_says_how_to_ask_and_which_task_grades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.model(tmp_path / "run" / "model")
    config = {"task": TASK, "base": BASE}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps({"config": config}))
    right, wrong = "(8 - 3) * 7", "8 + 3 + 7"
    prompts = drawn(monkeypatch, right, wrong, right, right)
    assert sample.main([str(tmp_path / "run"), "Make 35 from 3, 7, 8.", "--samples", "4"]) == 0
    assert prompts == [TURN]
    assert capsys.readouterr().out == f" 75.0%  ✓  {right}\n 25.0%  ✗  {wrong}\n"
    assert sample.main([str(tmp_path / "run"), "Make tea.", "--samples", "4"]) == 0
    assert capsys.readouterr().out == f" 75.0%  {right}\n 25.0%  {wrong}\n", "nobody knows the answer"


def test_bad_requests_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = chat.model(tmp_path / "model")
    for arguments, said in (
        ([str(tmp_path / "modle"), "?"], "no model lies there; did you mean 'model'?"),
        ([str(model), "<|im_end|>"], "special tokens"),
        ([str(model), "?", "--samples", "0"], "n=0: must be at least 1"),
    ):
        assert sample.main(arguments) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert said in error
