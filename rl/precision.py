"""`python -m rl.precision`: whether this processor multiplies matrices faster in bfloat16 or in float32, measured.

Measured once for each --out folder: what runs compute in is part of what they are, and must not follow the machine's
mood. `paper_repro.sh --scale llm` asks, and `repro.stages` hands the answer to the runs as a setting.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from repro.files import write_json
from repro.manifest import hardware

ROWS, INSIDE, COLUMNS = 1024, 576, 1536  # a feed-forward layer of SmolLM2-135M on a batch of tokens
REPEATS = 20
MARGIN = 1.2
"""How many times as fast bfloat16 must be: its weights are rounded, which has to pay."""


def gigaflops(dtype: str) -> float:
    """10⁹ floating-point operations a second of one thread; the fastest of `REPEATS` products."""
    import torch

    torch.set_num_threads(1)
    left, right = (torch.ones(size, INSIDE).to(getattr(torch, dtype)) for size in (ROWS, COLUMNS))
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        seconds.append(time.perf_counter() - started)
    return 2 * ROWS * INSIDE * COLUMNS / min(seconds) / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m rl.precision", description="bfloat16 or float32, by measurement.")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where the answer goes, and is looked for")
    path = parser.parse_args(arguments).out / "precision.json"
    if not path.is_file():
        found = {dtype: round(gigaflops(dtype), 1) for dtype in ("float32", "bfloat16")}
        dtype = "bfloat16" if found["bfloat16"] > MARGIN * found["float32"] else "float32"
        write_json(path, {"dtype": dtype, "gigaflops": found, "hardware": hardware()})
        print(f"weights in {dtype}: {found['float32']:.0f} GFLOP/s in float32, {found['bfloat16']:.0f} in bfloat16")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
