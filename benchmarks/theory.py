"""`python -m benchmarks.theory`: instances per second of T4's stationarity check, vectorized and as a loop.

Both draw the same instances, compute DS's closed form and its first-order residual, and must agree.
"""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

from theory.checks.instances import Instances, random_instances
from theory.checks.t4 import problem, stationarity
from theory.policies import Array

AGREE = 1e-12  # both residuals are rounding errors, relative to the terms of the sum


def vectorized(found: Instances) -> Array:
    """The relative residual of each instance, (b,), a batch at a time: what `theory.verify` runs."""
    log_p, reward, gamma = problem("DS", found)
    return stationarity(log_p, found.log_p0, reward, found.beta, gamma)


def loop(found: Instances) -> Array:
    """The same, one instance and one trajectory at a time, with `math` alone."""
    residuals = []
    rows = zip(*(v.tolist() for v in (found.log_p0, found.correct, found.beta, found.gamma_p, found.gamma_n)))
    for log_p0, correct, beta, gamma_p, gamma_n in rows:
        reward = [1 - gamma_p * x if right else gamma_n * x for x, right in zip(log_p0, correct)]
        logits = [
            (1 - gamma_p / beta) * x + 1 / beta if right else (1 + gamma_n / beta) * x
            for x, right in zip(log_p0, correct)
        ]
        top = max(logits)
        total = top + math.log(sum(math.exp(x - top) for x in logits))
        log_p = [x - total for x in logits]
        slopes = [r - beta * (x - x0) for r, x, x0 in zip(reward, log_p, log_p0)]
        scale = max(map(abs, reward)) + beta * (max(map(abs, log_p)) + max(map(abs, log_p0)))
        residuals.append((max(slopes) - min(slopes)) / scale)
    return np.array(residuals)


def rate(instances: int, seed: int) -> tuple[float, float]:
    """Instances per second of both; RuntimeError if either finds a residual that is not zero to rounding."""
    seconds = {vectorized: 0.0, loop: 0.0}
    for found in random_instances(np.random.default_rng(seed), instances):
        for function in seconds:
            started = time.perf_counter()
            worst = float(function(found).max())
            seconds[function] += time.perf_counter() - started
            if not worst <= AGREE:
                raise RuntimeError(f"{function.__name__}: residual {worst:.1e} above {AGREE}")
    return instances / seconds[vectorized], instances / seconds[loop]


def main(arguments: list[str] | None = None) -> int:
    """Print both rates side by side and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory", description="Speed of a check, two ways.")
    parser.add_argument("--instances", type=int, default=100_000, help="random instances (default 100000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.instances < 1 or options.seed < 0:
        parser.exit(2, f"{parser.prog}: --instances must be at least 1 and --seed at least 0\n")
    fast, slow = rate(options.instances, options.seed)
    print(f"T4, stationarity of DS's closed form on {options.instances:,} instances, one core")
    print(f"  vectorized (NumPy)  {fast:>12,.0f} instances/s")
    print(f"  plain Python loop   {slow:>12,.0f} instances/s")
    print(f"  ratio               {fast / slow:>12.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
