"""What lies on another method's path gains nothing; the placebo shows what the way of stopping alone gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import write_run

from rl.analysis.early_stopping import (
    against_early_stopping,
    at_equal_pass1,
    early_stopped,
    end_against_stopped,
    path,
)
from rl.analysis.results import NotRun, ResultError, load

TRACE = pd.DataFrame({"step": [0, 10, 20, 30], "val/pass@1": [0.2, 0.4, 0.3, 0.5], "q": [0.9, 0.8, 0.7, 0.6]})


@pytest.mark.parametrize(
    ("pass1", "step", "value"),
    [
        (0.1, 0, 0.9),  # reached from the start
        (0.2, 0, 0.9),
        (0.25, 2.5, 0.875),  # between two validations
        (0.4, 10, 0.8),  # the first time, not the second
        (0.45, 27.5, 0.625),
        (0.6, 30, 0.6),  # never: the last
    ],
)
def test_stopped_where_pass_at_1_is_first_reached(pass1: float, step: float, value: float) -> None:
    assert early_stopped(TRACE, pass1, "q") == pytest.approx((step, value))


def test_no_validation_is_no_stop() -> None:
    with pytest.raises(ResultError, match="no validations"):
        early_stopped(TRACE[:0], 0.3, "q")


def write_trace(out: Path, method: str, seed: int, rows: list[tuple[int, float, float]]) -> None:
    folder = write_run(out, method, seed, np.full(4, 0.5))
    lines = [f'{{"step": {step}, "val/pass@1": {p}, "val/pass@128": {q}}}\n' for step, p, q in rows]
    (folder / "metrics.jsonl").write_text("".join(['{"step": 1, "reward": 0.5}\n', *lines]))


def test_a_method_that_is_grpo_stopped_earlier_gains_nothing(tmp_path: Path) -> None:
    """What lies on GRPO's own path comes out as zero, far above GRPO's end as it may lie."""
    for seed in range(3):
        shift = 0.01 * seed
        write_trace(tmp_path, "grpo", seed, [(0, 0.2, 0.9 + shift), (10, 0.4, 0.7 + shift)])
        write_trace(tmp_path, "slow", seed, [(0, 0.2, 0.9 + shift), (10, 0.3, 0.8 + shift)])
        write_trace(tmp_path, "better", seed, [(0, 0.2, 0.9 + shift), (10, 0.3, 0.85 + shift)])
    write_trace(tmp_path, "alone", 7, [(0, 0.2, 0.9)])
    results = load("demo", tmp_path)
    slow, better = (against_early_stopping(results, method, 128) for method in ("slow", "better"))
    assert (slow["mean"], slow["step"], slow["seeds"]) == pytest.approx((0, 5, 3), abs=1e-12)
    assert (better["low"], better["high"]) == pytest.approx((0.05, 0.05))
    with pytest.raises(NotRun, match="no seed in common"):
        against_early_stopping(results, "alone", 128)
    with pytest.raises(ResultError, match="val/pass@1024; run it again"):
        against_early_stopping(results, "slow", 1024)


def write_path(out: Path, method: str, seed: int, rows: list[tuple[int, float, float]]) -> None:
    folder = write_run(out, method, seed, np.full(4, 0.5))
    lines = [{"step": step, "heldout/pass@1": p, "heldout/pass@8": q} for step, p, q in rows]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in [{"step": 1, "reward": 1}, *lines])
    )


def along(steps: np.ndarray, speed: float, gain: float, noise: np.ndarray) -> list[tuple[int, float, float]]:
    """Pass@1 rises from .2 to .4 and stays; Pass@8 is .9 − Pass@1 + gain; noise on Pass@1 alone."""
    level = np.minimum(0.2 + 0.2 * speed * steps / steps[-1], 0.4)
    return [(int(s), float(p + e), float(0.9 - p + gain)) for s, p, e in zip(steps, level, noise)]


def test_the_path_is_isotonic_and_ends_with_the_mean_of_the_last_fifth(tmp_path: Path) -> None:
    write_path(tmp_path, "grpo", 0, [(0, 0.2, 0.9), (4, 0.4, 0.8), (8, 0.3, 0.7), (9, 0.5, 0.6), (10, 0.6, 0.2)])
    found = path(load("demo", tmp_path).of("grpo")[0], 8)
    assert found.pass1 == pytest.approx([0.2, 0.35, 0.35, 0.5, 0.6])
    assert found.endpoint == pytest.approx((0.55, 0.4))  # steps 9 and 10
    assert found.stopped(0.275) == pytest.approx((2, 0.85))
    assert found.stopped(0.1) == (0, 0.9)
    assert found.stopped(0.9) == (10, 0.2)
    with pytest.raises(ResultError, match="no heldout/pass@128"):
        path(load("demo", tmp_path).of("grpo")[0], 128)


def test_a_slower_method_on_the_same_path_gains_nothing_and_a_better_one_its_gain(tmp_path: Path) -> None:
    steps, silent = np.arange(0, 101, 5), np.zeros(21)
    for seed in range(4):
        write_path(tmp_path, "grpo", seed, along(steps, 1.0, seed / 100, silent))
        write_path(tmp_path, "slow", seed, along(steps, 0.6, seed / 100, silent))
        write_path(tmp_path, "better", seed, along(steps, 0.6, 0.05 + seed / 100, silent))
    write_path(tmp_path, "alone", 9, along(steps, 1.0, 0, silent))
    results = load("demo", tmp_path)
    slow, better = (at_equal_pass1(results, one, "grpo", 8) for one in ("slow", "better"))
    assert (slow["mean"], slow["seeds"]) == pytest.approx((0, 4), abs=1e-12)
    assert (slow["step"], slow["reference_step"]) == pytest.approx((100, 60))
    assert (better["low"], better["high"]) == pytest.approx((0.05, 0.05))
    flipped = at_equal_pass1(results, "grpo", "better", 8)
    assert flipped["mean"] == pytest.approx(-0.05)
    with pytest.raises(NotRun, match="no seed in common"):
        at_equal_pass1(results, "alone", "grpo", 8)


def test_the_placebo_shows_the_gain_of_stopping_at_the_start_of_a_plateau(tmp_path: Path) -> None:
    """Pass@8 goes on falling after Pass@1 is level: a method then loses to itself stopped earlier."""
    steps = np.arange(0, 101, 5)
    for seed in range(3):
        rows = [(int(s), min(0.2 + s / 250, 0.4), 0.9 - s / 200 + seed / 100) for s in steps]
        write_path(tmp_path, "grpo", seed, rows)
    results = load("demo", tmp_path)
    placebo = end_against_stopped(results, "grpo", "grpo", 8)
    end = np.mean([0.9 - s / 200 for s in steps if s > 80])
    assert placebo["mean"] == pytest.approx(end - (0.9 - 50 / 200))
    assert placebo["reached"] == 3
    assert at_equal_pass1(results, "grpo", "grpo", 8)["mean"] == 0


def test_a_rising_run_has_no_placebo_effect(tmp_path: Path) -> None:
    """Its endpoint is a mean over the last fifth: so is the Pass@1 at which it is stopped."""
    for seed in range(3):
        rows = [(int(s), 0.2 + s / 1000, 0.9 - s / 200 + seed / 100) for s in range(0, 101, 5)]
        write_path(tmp_path, "grpo", seed, rows)
    found = end_against_stopped(load("demo", tmp_path), "grpo", "grpo", 8)
    assert found["mean"] == pytest.approx(0, abs=1e-12)
    assert found["reference_step"] == pytest.approx(92.5)


def test_a_reference_that_never_has_so_much_is_counted(tmp_path: Path) -> None:
    steps, silent = np.arange(0, 101, 5), np.zeros(21)
    write_path(tmp_path, "grpo", 0, along(steps, 0.5, 0, silent))
    write_path(tmp_path, "fast", 0, along(steps, 1.0, 0, silent))
    results = load("demo", tmp_path)
    assert end_against_stopped(results, "fast", "grpo", 8)["reached"] == 0
    assert end_against_stopped(results, "grpo", "fast", 8)["reached"] == 1


def test_noise_of_pass_at_1_does_not_move_the_stop_far(tmp_path: Path) -> None:
    """Raw curves stop at the first lucky evaluation; isotonic ones do not."""
    steps = np.arange(0, 101, 5)
    rng = np.random.default_rng(0)
    for seed in range(8):
        write_path(tmp_path, "grpo", seed, along(steps, 0.9, 0, rng.normal(0, 0.02, 21)))
        write_path(tmp_path, "slow", seed, along(steps, 0.6, 0, rng.normal(0, 0.02, 21)))
    found = at_equal_pass1(load("demo", tmp_path), "slow", "grpo", 8)
    assert found["low"] < 0 < found["high"]
    assert found["high"] - found["low"] < 0.04
