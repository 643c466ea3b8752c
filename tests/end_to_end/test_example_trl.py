"""The example for other people's scripts runs as it stands, on a tiny model and data set made here."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from tiny import save_tiny_model
from transformers import AutoModelForCausalLM

SCRIPT = Path(__file__).parents[2] / "examples" / "own_trl_script.py"


def test_example_trains_and_saves(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "model")
    rows = [{"prompt": f"{a}+{b}=", "answer": str(a + b)} for a in range(3) for b in range(3)]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(tmp_path / "cache"),
    }
    places = [str(tmp_path / name) for name in ("model", "data.jsonl", "out")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *places], env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("ds_share", "pass@4", "distinct_correct", "frac_reward_zero_std"):
        assert name in done.stdout
    before, after = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("model", "out"))
    pairs = zip(before.parameters(), after.parameters())
    assert any(not torch.equal(old, new) for old, new in pairs)


def test_only_three_lines_differ_from_plain_trl() -> None:
    """Undo the marked lines as their comments say: what is left is a TRL script."""
    lines = SCRIPT.read_text().splitlines()
    ours = ("from differential_smoothing", "args = DSGRPOConfig", "trainer = DSGRPOTrainer")
    marked = [line for line in lines if line.lstrip().startswith(ours)]
    plain = [line.split("was `")[1].rstrip("`") if line in marked else line for line in lines]
    compile("\n".join(plain), "plain", "exec")
    changed = [line for line in difflib.ndiff(plain, lines) if line.startswith("+ ")]
    assert len(marked) == len(changed) == 3
    assert not any("differential_smoothing" in line for line in plain if "import" in line)
