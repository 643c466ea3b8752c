"""The headline table at the scale of one GPU: Countdown with four numbers up to 99, 17 million parameters."""

from __future__ import annotations

import sys

from figures.rl_exhibit import table
from figures.tab_main import frame

if __name__ == "__main__":
    sys.exit(
        table(
            "tab_gpu",
            frame,
            "One GPU; held-out problems, 95% intervals over seeds.",
            experiment="countdown-gpu",
            scale="gpu",
        )
    )
