"""What the figures and tables of the baseline comparison share: several tasks, from one answer a problem to many."""

from __future__ import annotations

from collections.abc import Mapping

from rl.analysis.results import Results

EXPERIMENTS = {"maze-perfect": "cpu", "maze-looped": "cpu", "maze-misled": "cpu", "countdown": "cpu"}
"""By name, with their scale."""
LABELS = {
    "maze-perfect": "maze, one path",
    "maze-looped": "maze, many paths",
    "maze-misled": "maze, biased base",
    "countdown": "Countdown",
}
Compared = Mapping[str, Results]
