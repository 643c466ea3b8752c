"""The endpoint is the mean over the last fifth; the number of seeds follows from spread alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import write_run
from scipy import stats

from rl.analysis import endpoint
from rl.analysis.comparisons import difference
from rl.analysis.results import ResultError, load
from rl.analysis.statistics import power_of_equality, tost


def write(out: Path, method: str, seed: int, levels: list[float]) -> None:
    """A run whose problems all have C = levels[i] at the i-th late evaluation; the table's rows in another order."""
    folder = write_run(out, method, seed, np.full(6, 0.5))
    rows = [(f"p{p}", step, level + p / 100) for step, level in enumerate(levels) for p in reversed(range(6))]
    pd.DataFrame(rows, columns=["problem", "step", "C"]).to_parquet(folder / "heldout-steps.parquet")


def test_the_mean_over_late_evaluations_problem_by_problem(tmp_path: Path) -> None:
    write(tmp_path, "grpo", 0, [0.2, 0.4])
    run = load("demo", tmp_path).of("grpo")[0]
    c = np.array([[0.2, 0.4]]).T + np.arange(6) / 100
    for k in (1, 3, 1024):
        np.testing.assert_allclose(endpoint.at_endpoint(k)(run), (1 - (1 - c) ** k).mean(axis=0), rtol=1e-9)


@pytest.mark.parametrize("c", [0.0, 1e-6, 0.01, 0.3, 1.0])
def test_area_is_the_mean_of_pass_at_k_over_orders_of_size(tmp_path: Path, c: float) -> None:
    ks = np.exp(np.linspace(0, np.log(1024), 20_001))
    mean = np.mean(1 - (1 - c) ** ks)
    assert endpoint.passk_area(np.array([c]), 1024) == pytest.approx([mean], abs=2e-4)
    write(tmp_path, "grpo", 0, [c])
    run = load("demo", tmp_path).of("grpo")[0] if c < 0.9 else None
    if run is not None:
        assert endpoint.area_at_endpoint(1024)(run)[0] == pytest.approx(mean, abs=2e-4)


def test_spread_is_of_paired_differences_and_shows_no_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rise = [0.01, 0.03, 0.02, 0.06]
    said = []
    for sign in (1, -1):
        out = tmp_path / str(sign)
        for seed, value in enumerate(rise):
            for method in ("grpo", "entropy-bonus", "entropy-penalty"):
                write(out, method, seed, [0.3 + seed / 100])
            write(out, "ds-grpo", seed, [0.3 + seed / 100 + sign * value])
        sd, seeds = endpoint.spread(load("demo", out), "ds-grpo", "grpo", 1)
        assert (sd, seeds) == (pytest.approx(np.std(rise, ddof=1)), 4)
        assert endpoint.main(["demo", "--out", str(out)]) == 0
        said.append([line for line in capsys.readouterr().out.splitlines() if "Pass@1:" in line])
    assert len(said[0]) == 3
    assert said[0] == said[1]
    mean = difference(load("demo", tmp_path / "1"), "ds-grpo", "grpo", endpoint.at_endpoint(1))["mean"]
    assert f"{mean:.4f}"[1:] not in " ".join(said[0])


def test_runs_without_evaluations_along_them_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("grpo", "ds-grpo"):
        for seed in range(2):
            write_run(tmp_path, method, seed, np.full(6, 0.5))
    with pytest.raises(ResultError, match=r"seed0.*: without evaluations along the run"):
        endpoint.spread(load("demo", tmp_path), "ds-grpo", "grpo", 1)
    assert endpoint.main(["absent", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("values", [[0.001, -0.002, 0.004, 0.0], [0.02, 0.021, 0.019], [0.5, -0.5]])
def test_equality_is_the_ninety_percent_interval_within_the_margin(values: list[float]) -> None:
    half = stats.t.ppf(0.95, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    inside = abs(np.mean(values)) + half < 0.01
    assert (tost(values, 0.01) < 0.05) == inside


def test_power_of_equality_against_simulation() -> None:
    rng = np.random.default_rng(0)
    for n, sd in ((8, 0.008), (12, 0.012), (4, 0.005)):
        draws = rng.normal(0, sd, (20_000, n))
        half = stats.t.ppf(0.95, n - 1) * draws.std(axis=1, ddof=1) / np.sqrt(n)
        found = float(np.mean(np.abs(draws.mean(axis=1)) + half < 0.01))
        assert power_of_equality(n, sd, 0.01) == pytest.approx(found, abs=0.015)
    with pytest.raises(ValueError, match="two seeds or more"):
        power_of_equality(1, 0.1, 0.01)


@pytest.mark.parametrize(("sd", "seeds"), [(1e-4, 8), (0.0105, None), (0.1, 16)])
def test_seeds_needed_keeps_its_bounds(sd: float, seeds: int | None) -> None:
    found = endpoint.seeds_needed(sd)
    if seeds is not None:
        assert found == seeds
    else:
        assert power_of_equality(found, sd, 0.01) >= 0.9 > power_of_equality(found - 1, sd, 0.01)
