"""`python -m rl.evaluate MODEL --task countdown`: what a model knows of a task's held-out problems.

Exact where the answers can be enumerated: teacher forcing gives every solution its probability, hence C, Pass@k for
every k, coverage and the diversity of pi_K; what the enumeration lacks is bounded by sampling. Elsewhere by sampling,
with unbiased Pass@k. With `--method` and `--seed` in place of MODEL, that run of the experiment is evaluated.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from repro.manifest import ROOT
from repro.names import nearest

SPLITS = ("heldout", "validation", "train")


def _config_path(options: argparse.Namespace) -> Path:
    if options.config is not None:
        return Path(options.config)
    from rl import tasks
    from rl.experiments.yaml_loader import ConfigError

    if options.task not in tasks.TASKS:
        raise ConfigError(f"--task {options.task}: no such task{nearest(str(options.task), tasks.TASKS)}")
    return ROOT / "rl" / "experiments" / "cpu" / f"{options.task}.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 for a wrong request, 1 for a failure, each with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m rl.evaluate", description="Evaluate a model.")
    parser.add_argument("model", type=Path, nargs="?", help="a checkpoint, or a run's folder")
    parser.add_argument("--method", help="in place of MODEL: the run of this method, or `base`")
    parser.add_argument("--seed", type=int, default=0, help="of the run, and of the sampling")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--config", type=Path, help="the experiment's YAML")
    which.add_argument("--task", help="a task's name: with the settings of its experiment at the cpu scale")
    parser.add_argument("--split", default="heldout", choices=SPLITS)
    parser.add_argument("--out", type=Path, default=Path("build"), help="where runs lie and results go")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="put over the YAML")
    options = parser.parse_args(arguments)
    if (options.model is None) == (options.method is None):
        parser.error("give either MODEL or --method")

    # after the arguments: `--help` answers without torch
    import transformers

    from rl.evaluation.run import run
    from rl.experiments.config import ConfigError, load
    from rl.experiments.runs import RunError
    from rl.training.threads import one_thread

    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    one_thread()
    try:
        print(run(load(_config_path(options), options.set), options))
    except (ConfigError, RunError) as error:
        print(f"rl.evaluate: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except (ValueError, OSError) as error:
        print(f"rl.evaluate: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
