"""vLLM, really run: the engine samples what transformers says, trains through TRL, evaluates; no stand-ins.

Sizes suit a CPU; heads are 32 wide, the least that vLLM takes there.
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from transformers import AutoModelForCausalLM, AutoTokenizer

from differential_smoothing.passk import pass_at_k
from repro.manifest import ROOT
from rl import tasks
from rl.evaluation.exact import evaluate_exact, string_log_probs
from rl.evaluation.grading import grade_samples, per_problem
from rl.evaluation.sampled import Completion, Sampling, complete
from rl.experiments.config import Experiment, load
from rl.experiments.runs import Metrics, folder_of
from rl.models.from_scratch import base_model

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        find_spec("vllm") is None,
        reason="vLLM is not installed here; `bash paper_repro.sh vllm` makes its environment and runs this",
    ),
]

EXPERIMENT = """
extends: {experiments}/cpu/countdown.yaml
name: vllm
task: {{numbers: 2, max_number: 5, max_target: 10, problems: 36, validation: 5, heldout: 15}}
base: {{layers: 1, width: 64, heads: 2, feedforward: 64, steps: 250, batch: 64, warmup: 5}}
train: {{steps: 4, prompts: 4, num_generations: 8, save_every: 4, validate_every: 4, learning_rate: 3e-3,
        max_completion_length: 5, use_vllm: true, trl: {{vllm_mode: colocate}}}}
evaluate: {{mode: sampled, ks: [1, 8], samples: 64, temperature: 0.7, max_tokens: 5, engine: transformers}}
methods: {{ds-grpo: {{gamma_p: 0.3, gamma_n: 0.02}}}}
"""
TEMPERATURE = 0.7
SAMPLES = 256
Note = Callable[[str, float], None]  # pytest's record_property: what was measured, for the manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vllm")
    (path / "vllm.yaml").write_text(EXPERIMENT.format(experiments=ROOT / "rl" / "experiments"))
    return path


@pytest.fixture(scope="module")
def experiment(folder: Path) -> Experiment:
    return load(folder / "vllm.yaml")


@pytest.fixture(scope="module")
def base(folder: Path, experiment: Experiment) -> Path:
    return base_model(experiment, 0, folder)


@pytest.fixture(scope="module")
def problems(experiment: Experiment) -> list[Any]:
    return list(tasks.get("countdown").splits(experiment.task)["heldout"])


@pytest.fixture(scope="module")
def drawn(base: Path, problems: list[Any]) -> dict[str, list[list[Completion]]]:
    """Completions of the same prompts by the same model, from either engine; the first prompt again at the end."""
    return {
        engine: complete(
            base,
            [one.prompt for one in [*problems, problems[0]]],
            Sampling(n=SAMPLES, temperature=TEMPERATURE, top_p=1, top_k=0, max_tokens=5, seed=3, engine=engine),
        )
        for engine in ("vllm", "transformers")
    }


def loaded(path: Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(path)


def exact_pass_at_k(path: Path, problems: list[Any], k: int, temperature: float) -> np.ndarray:
    """Pass@1 (k = 1) and the like by teacher forcing through transformers, one number for each problem."""
    solutions = tasks.get("countdown").solutions
    table = evaluate_exact(*loaded(path), problems, (k,), solutions, temperature)
    return table[f"passk_{k}"].to_numpy(dtype=float)


def deviation(found: float, p: np.ndarray, n: int, k: int) -> float:
    """How many standard deviations of the unbiased estimator `found` (mean over problems) is off, p being Pass@1."""
    value = np.array([pass_at_k(n, c, k) for c in range(n + 1)])
    weight = binom.pmf(np.arange(n + 1), n, p[:, None])
    mean = weight @ value
    variance = weight @ value**2 - mean**2
    return float(abs(found - mean.mean()) / (np.sqrt(variance.sum()) / len(p)))


def test_log_probs_are_those_of_transformers(
    base: Path, problems: list[Any], drawn: dict[str, list[list[Completion]]], record_property: Note
) -> None:
    pairs = [(one.prompt, got) for one, row in zip(problems, drawn["vllm"]) for got in row if got.verbatim]
    assert len(pairs) > 100
    theirs = np.array([got.logp for _, got in pairs])
    prompts, texts = [prompt for prompt, _ in pairs], [got.text for _, got in pairs]
    ours = string_log_probs(*loaded(base), prompts, texts, TEMPERATURE).numpy()
    record_property("completions", len(pairs))
    record_property("largest_gap", float(np.abs(theirs - ours).max()))
    assert np.abs(theirs - ours).max() < 1e-4  # float32 on both sides; in bfloat16 it would be a hundred times this
    warmer = string_log_probs(*loaded(base), prompts, texts, 1.0).numpy()
    assert np.abs(theirs - warmer).max() > 1e-2


@pytest.mark.parametrize("k", [1, 8])
def test_pass_at_k_of_both_engines(
    base: Path, problems: list[Any], drawn: dict[str, list[list[Completion]]], k: int, record_property: Note
) -> None:
    p = exact_pass_at_k(base, problems, 1, TEMPERATURE)
    other = exact_pass_at_k(base, problems, 1, 4.0)
    record_property("exact", float((1 - (1 - p) ** k).mean()))
    for engine, completions in drawn.items():
        table = per_problem(grade_samples(tasks.get("countdown"), problems, completions), (k,))
        found = float(table[f"passk_{k}"].mean())
        record_property(engine, found)
        assert deviation(found, p, SAMPLES, k) < 4.5
        assert deviation(found, other, SAMPLES, k) > 4.5  # the model at another temperature is told apart


def test_prompts_are_drawn_independently(drawn: dict[str, list[list[Completion]]]) -> None:
    for rows in drawn.values():
        assert [one.text for one in rows[0]] != [one.text for one in rows[-1]]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600
    )


def beside(folder: Path, name: str) -> Path:
    """A folder for runs of its own, with the base models of `folder`."""
    (folder / name).mkdir()
    (folder / name / "bases").symlink_to(folder / "bases")
    return folder / name


@pytest.mark.parametrize("method", ["grpo", "ds-grpo"])
def test_training_and_evaluation(
    method: str, folder: Path, experiment: Experiment, base: Path, problems: list[Any], record_property: Note
) -> None:
    """A few steps of `rl.train` with rollouts by vLLM; after each, the engine has the new weights."""
    config = str(folder / "vllm.yaml")
    done = command("-m", "rl.train", config, "--method", method, "--seed", "0", "--out", str(folder))
    assert done.returncode == 0, done.stderr[-3000:]
    run = folder_of(folder, experiment.name, 0, method)
    rows = [row for row in Metrics(run / "metrics.jsonl").rows() if row["step"]]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    record_property("largest_engine_gap", max(row["engine_gap"] for row in rows))
    for row in rows:
        for key in ("loss", "reward", "grad_norm", "entropy", "completion_length", "engine_gap"):
            assert math.isfinite(row[key]), key
        assert row["engine_gap"] < 1e-4
        assert ("ds_share" in row) == (method == "ds-grpo")
    if method == "ds-grpo":
        assert max(row["ds_share"] for row in rows) > 0

    # Had the engine kept the weights of the start, the gap would have been of this size.
    prompts = [one.prompt for one in problems]
    texts = [next(iter(tasks.get("countdown").solutions(one).values()))[0] for one in problems]
    before, after = (string_log_probs(*loaded(path), prompts, texts) for path in (base, run / "model"))
    assert (before - after).abs().mean() > 0.02

    if method == "ds-grpo":
        arguments = ["--method", method, "--config", config, "--out", str(folder), "--set", "evaluate.engine=vllm"]
        done = command("-m", "rl.evaluate", *arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        summary = json.loads((run / "eval-heldout.json").read_text())
        assert summary["sampling"]["engine"] == "vllm"
        p = exact_pass_at_k(run / "model", problems, 1, TEMPERATURE)
        for k in (1, 8):
            assert deviation(summary["pass_at_k"][str(k)], p, 64, k) < 4.5


# `rl.train` whose engine is never told of new weights
UNTOLD = """
import sys
from trl.generation.vllm_generation import VLLMGeneration
VLLMGeneration.sync_weights = lambda self: None
from rl.train import main
sys.exit(main())
"""


def test_an_engine_that_keeps_old_weights_is_noticed(
    folder: Path, experiment: Experiment, base: Path, record_property: Note
) -> None:
    """The control of the test above: `engine_gap` is small only because the engine has the weights of each step."""
    out = beside(folder, "untold")
    done = command("-c", UNTOLD, str(folder / "vllm.yaml"), "--method", "ds-grpo", "--seed", "0", "--out", str(out))
    assert done.returncode == 0, done.stderr[-3000:]
    metrics = Metrics(folder_of(out, experiment.name, 0, "ds-grpo") / "metrics.jsonl")
    gaps = [row["engine_gap"] for row in metrics.rows() if row["step"]]
    record_property("smallest_engine_gap_after_a_step", min(gaps[1:]))
    assert gaps[0] < 1e-4  # no step has been made yet
    assert min(gaps[1:]) > 1e-2


def documented(start: str) -> list[str]:
    """The command in docs/vllm.md that begins with `start`, as a list of words."""
    text = (ROOT / "docs" / "vllm.md").read_text().replace("\\\n", " ")
    [line] = [line for line in re.findall(r"^    (.*)$", text, re.M) if line.startswith(start)]
    return shlex.split(line)


def test_documented_server_command_is_vllms() -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    words = documented("VLLM_SERVER_DEV_MODE=1 vllm serve")
    parser = make_arg_parser(FlexibleArgumentParser())
    args = parser.parse_args(words[3:])
    validate_parsed_serve_args(args)
    assert args.logprobs_mode == "processed_logprobs"
    assert args.max_logprobs == -1
    assert "nccl" in str(args.weight_transfer_config)
    with pytest.raises(SystemExit):
        parser.parse_args([*words[3:], "--logprobs-mod", "x"])


def test_training_without_its_server_ends_in_a_line(folder: Path, base: Path) -> None:
    words = documented("accelerate launch")
    settings = [word for word in words if word.startswith(("train.use_vllm", "train.trl"))]
    assert len(settings) == 2
    silent = settings[1].replace("SERVER:8000", "127.0.0.1:9").replace("}", ", vllm_server_timeout: 1}")
    chosen = [word for one in (settings[0], silent) for word in ("--set", one)]
    out = beside(folder, "server")
    arguments = [str(folder / "vllm.yaml"), "--method", "ds-grpo", "--seed", "0", "--out", str(out)]
    done = command("-m", "rl.train", *arguments, *chosen)
    assert done.returncode == 1
    assert "rl.train: The vLLM server can't be reached at http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
