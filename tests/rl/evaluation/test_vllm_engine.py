"""Asked for vLLM where it is not, or does not work, a command says so in one line before it does anything."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from repro.manifest import ROOT
from rl import evaluate, train
from rl.evaluation.vllm_engine import need_vllm

pytestmark = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
CPU, GPU = (str(ROOT / "rl" / "experiments" / scale / "countdown.yaml") for scale in ("cpu", "gpu"))
MISSING = ": vLLM is not installed here; `bash paper_repro.sh vllm` sets it up\n"


@pytest.mark.parametrize("config", [CPU, GPU])
def test_training_says_that_vllm_is_missing(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: config == GPU)
    out = tmp_path / "out"
    asked = ["--set", "train.use_vllm=true", "--set", "train.trl={vllm_mode: colocate}"]
    assert train.main([config, "--method", "ds-grpo", "--seed", "0", "--out", str(out), *asked]) == 1
    assert capsys.readouterr().err == "rl.train: train.use_vllm" + MISSING
    assert not out.exists()


def test_evaluation_says_that_vllm_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked = ["--config", CPU, "--method", "base", "--out", str(out), "--set", "evaluate.engine=vllm"]
    assert evaluate.main(asked) == 1
    assert capsys.readouterr().err == "rl.evaluate: evaluate.engine" + MISSING
    assert not out.exists()


def test_a_vllm_that_does_not_import_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vllm.py").write_text("raise ImportError('libcudart.so: cannot open shared object file\\nmore')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"^engine: vLLM is installed but cannot be imported \(libcudart") as caught:
        need_vllm("engine")
    assert len(str(caught.value).splitlines()) == 1
    assert "vllm" not in sys.modules
