"""`python -m rl.train CONFIG --method ds-grpo --seed 0`: one run, from its base model to its final weights.

Started again after whatever end, it resumes from its last checkpoint and ends as it would have without.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

TRACKERS = ("tensorboard", "trackio", "wandb")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 for a wrong request, 1 for a run that failed, each with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m rl.train", description="Train one method with one seed.")
    parser.add_argument("config", type=Path, help="the experiment's YAML")
    parser.add_argument("--method", required=True, help="a name from differential_smoothing.methods: grpo, ds-grpo, …")
    parser.add_argument("--seed", type=int, required=True, help="of the base model and of the run")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where runs go")
    parser.add_argument("--report-to", choices=TRACKERS, help="send the logs there too; decides nothing in the run")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="put over the YAML")
    options = parser.parse_args(arguments)

    # after the arguments: `--help` answers without torch
    import transformers

    from rl.experiments.config import ConfigError, load
    from rl.experiments.runs import RunError
    from rl.training import distributed
    from rl.training.run import train
    from rl.training.threads import one_thread

    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    one_thread()
    try:
        if options.seed < 0:
            raise ConfigError(f"--seed {options.seed}: must not be negative")
        config = load(options.config, options.set)
        if options.report_to and importlib.util.find_spec(options.report_to) is None:
            remedy = f"python -m pip install {options.report_to}"
            raise ConfigError(f"--report-to {options.report_to}: is not installed; `{remedy}` brings it")
        line = train(config, options.method, options.seed, options.out, options.report_to or "none")
        distributed.part()
        if int(os.environ.get("RANK", "0")) == 0:
            print(line)
    except (ConfigError, RunError) as error:
        print(f"rl.train: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1
    except RuntimeError as error:
        if distributed.processes() == 1:
            raise
        reason = str(error).splitlines()[0]
        print(
            f"rl.train: another process of this run has ended ({reason}); start it again, it goes on", file=sys.stderr
        )
        return 1
    except (ValueError, OSError) as error:
        print(f"rl.train: {str(error).splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
