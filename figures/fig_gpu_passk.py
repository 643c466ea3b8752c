"""Pass@k on Countdown with four numbers up to 99 and 17 million parameters, trained on one GPU."""

from __future__ import annotations

import sys

from figures.fig_countdown_passk import draw, frame
from figures.rl_exhibit import figure

if __name__ == "__main__":
    sys.exit(figure("fig_gpu_passk", frame, draw, experiment="countdown-gpu", scale="gpu"))
