"""`python -m rl.pretrain CONFIG --seed S [--out build]`: make or find a base model, and print its folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rl.pretrain", description="Make (or find) a base model.")
    parser.add_argument("config", type=Path, help="the experiment's YAML")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="put over the YAML")
    options = parser.parse_args(arguments)

    # after the arguments: `--help` answers without torch
    import torch
    import transformers

    from rl.experiments import config
    from rl.models.from_scratch import base_model

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # the sum's order, hence the weights, depend on it
    try:
        print(base_model(config.load(options.config, options.set), options.seed, options.out))
    except (ValueError, OSError) as error:
        print(f"rl.pretrain: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
