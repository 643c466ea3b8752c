"""`rl.train` as it stands, but for a process that ends itself at a chosen step; started by `accelerate launch`.

python launched.py RANK STEP ARGUMENTS…: the process of that rank kills itself before that step. RANK -1: none does.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    from rl import train
    from rl.training.resume import ResumableTrainer

    rank, step = int(sys.argv[1]), int(sys.argv[2])
    original = ResumableTrainer.training_step

    def training_step(self: ResumableTrainer, *args: object, **kwargs: object) -> object:
        if int(os.environ["RANK"]) == rank and self.state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *args, **kwargs)

    ResumableTrainer.training_step = training_step  # type: ignore[method-assign, assignment]
    return train.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
