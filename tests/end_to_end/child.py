"""A training run in a process of its own that ends itself, by SIGKILL or otherwise, at a chosen point.

The processes are forked from a server that has imported the trainer once; each is as real as one from a shell.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

TINY = """
extends: {experiments}/cpu/countdown.yaml
name: tiny
task: {{max_number: 6, max_target: 12, problems: 160, validation: 20, heldout: 30}}
base: {{layers: 1, width: 32, heads: 2, feedforward: 64, steps: 300, batch: 64, learning_rate: 1e-2, warmup: 5}}
train: {{steps: 12, prompts: 4, num_generations: 4, num_iterations: 2, save_every: 4, validate_every: 4,
        heldout_every: 4, learning_rate: 1e-3}}
evaluate: {{ks: [1, 8, 64], samples: 64}}
methods: {{ds-grpo: {{gamma_p: 0.3, gamma_n: 0.02}}}}
"""


def write_config(folder: Path) -> Path:
    """The YAML of an experiment that runs in a second."""
    experiments = Path(__file__).resolve().parents[2] / "rl" / "experiments"
    path = folder / "tiny.yaml"
    path.write_text(TINY.format(experiments=experiments))
    return path


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _full_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))  # the kernel refuses what is longer


def _hooked(owner: Any, name: str, when: Any, action: Any, after: bool = False) -> None:
    """Do `action` before (or after) the call of `owner.name` for which `when(*arguments)` holds."""
    original = getattr(owner, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        meant = when(*args, **kwargs)
        if meant and not after:
            action()
        result = original(*args, **kwargs)
        if meant and after:
            action()
        return result

    setattr(owner, name, replacement)


def run(arguments: list[str], event: str | None, errors: str) -> None:
    """`rl.train` with `arguments`; `event` names what happens on the way; standard error goes to the file `errors`."""
    from differential_smoothing.training.answer_counts import AnswerCounts
    from differential_smoothing.training.replay import ReplayPool
    from rl import train
    from rl.experiments import runs
    from rl.training import run as training
    from rl.training.resume import ResumableTrainer

    sys.stderr = open(errors, "w", buffering=1)  # noqa: SIM115 (until the process ends)
    step8 = lambda self, *_: self.state.global_step == 8  # noqa: E731
    if event == "mid-save":  # weights and optimizer are written, the random state is not
        _hooked(ResumableTrainer, "_save_rng_state", step8, _die)
    elif event == "mid-window":  # the batch of steps 7 and 8 has served once
        _hooked(ResumableTrainer, "training_step", lambda self, *_: self._step == 7, _die)
    elif event == "after checkpoint":  # it has its name; older ones are not yet deleted
        _hooked(runs, "prune", lambda *_, **__: (Path(arguments[-1]) / RUN / "checkpoints" / "step-8").exists(), _die)
    elif event == "mid-row":
        _hooked(runs.Metrics, "append", lambda self, row: row["step"] == 6, lambda: _torn(arguments[-1]))
    elif event == "before manifest":
        _hooked(training, "write_json", lambda path, _: path.name == "manifest.json", _die)
    elif event == "full disk":
        _hooked(ResumableTrainer, "_save_checkpoint", step8, _full_disk)
    elif event == "random state not restored":
        ResumableTrainer._load_rng_state = lambda self, checkpoint: None
    elif event == "optimizer not restored":
        ResumableTrainer._load_optimizer_and_scheduler = lambda self, checkpoint: None
    elif event == "answer counts not restored":
        AnswerCounts.load = lambda self, folder: None  # type: ignore[method-assign]
    elif event == "replay pool not restored":
        ReplayPool.load = lambda self, folder: None  # type: ignore[method-assign]
    elif event is not None:
        raise ValueError(event)
    code = train.main(arguments)
    sys.stderr.flush()
    os._exit(code)


RUN = Path("runs") / "tiny" / "seed0" / "ds-grpo"


def _torn(out: str) -> None:
    with open(Path(out) / RUN / "metrics.jsonl", "a") as handle:
        handle.write('{"step": 6, "lo')
    _die()


class Runs:
    """Starts runs of the tiny experiment; all share one base model."""

    def __init__(self, config: Path, method: str = "ds-grpo") -> None:
        self.config = config
        self.method = method
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["rl.train", "rl.training.run"])

    def __call__(self, out: Path, event: str | None = None, *more: str) -> tuple[int, str]:
        """Exit status (negative: killed by that signal) and standard error."""
        errors = out.parent / f"{out.name}.err"
        arguments = [str(self.config), "--method", self.method, "--seed", "0", *more, "--out", str(out)]
        process = self._context.Process(target=run, args=(arguments, event, str(errors)))
        process.start()
        process.join(timeout=3600)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{event}: the run did not end")
        assert process.exitcode is not None
        return process.exitcode, errors.read_text()
