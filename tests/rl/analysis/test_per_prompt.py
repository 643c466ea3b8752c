"""Prompt by prompt: shares add up, the profile falls, and a rescue of rare prompts shows in their bin alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from recorded import write_run

from rl.analysis import per_prompt
from rl.analysis.comparisons import correctness
from rl.analysis.endpoint import at_endpoint
from rl.analysis.results import Results, load

EDGES = (0.0, 0.1, 0.5, 1.0)
BASE = np.array([0.0, 0.05, 0.1, 0.4, 0.6, 1.0])


def recorded(out: Path) -> Results:
    """DS-GRPO makes the two rare prompts as likely as .2, GRPO loses them; both solve the others."""
    for seed in range(3):
        write_run(out, "base", seed, BASE)
        write_run(out, "grpo", seed, np.where(BASE < 0.1, 0.0, 0.9))
        write_run(out, "ds-grpo", seed, np.where(BASE < 0.1, 0.2, 0.9))
    return load("demo", out)


def test_bins_are_half_open_and_the_last_one_is_closed() -> None:
    assert per_prompt.bins(BASE, EDGES).tolist() == [0, 0, 1, 1, 2, 2]


def test_histograms_count_every_prompt_once(tmp_path: Path) -> None:
    found = per_prompt.histogram(recorded(tmp_path), ("base", "grpo", "ds-grpo"), EDGES, correctness)
    shares = {method: part["mean"].to_list() for method, part in found.groupby("method")}
    assert shares["base"] == pytest.approx([1 / 3] * 3)
    assert shares["grpo"] == pytest.approx([1 / 3, 0, 2 / 3])
    assert shares["ds-grpo"] == pytest.approx([0, 1 / 3, 2 / 3])
    assert found[["from", "to"]].iloc[:3].to_numpy().tolist() == [[0, 0.1], [0.1, 0.5], [0.5, 1]]


def test_the_profile_is_the_share_solved_at_least_so_often(tmp_path: Path) -> None:
    found = per_prompt.profile(recorded(tmp_path), ("base", "ds-grpo"), (0.05, 0.2, 0.9, 1.0), correctness)
    shares = {method: part["mean"].to_list() for method, part in found.groupby("method")}
    assert shares["base"] == pytest.approx([5 / 6, 3 / 6, 1 / 6, 1 / 6])
    assert shares["ds-grpo"] == pytest.approx([1, 1, 2 / 3, 0])


def test_what_moved_is_seen_by_the_bases_success(tmp_path: Path) -> None:
    found = per_prompt.by_base(recorded(tmp_path), ("grpo", "ds-grpo"), (*EDGES, 2.0), correctness)
    means = {method: part["mean"].to_list() for method, part in found.groupby("method")}
    assert means["grpo"] == pytest.approx([0, 0.9, 0.9, 0.9])
    assert means["ds-grpo"] == pytest.approx([0.2, 0.9, 0.9, 0.9])
    assert found["prompts"].to_list() == [2, 2, 1, 1] * 2
    assert set(found["seeds"]) == {3}
    no_prompt = per_prompt.by_base(recorded(tmp_path / "b"), ("grpo",), (0.0, 0.01, 0.04, 1.0), correctness)
    assert no_prompt["from"].to_list() == [0.0, 0.04]  # no prompt lies in the bin between


def test_success_is_the_mean_over_late_evaluations_and_of_the_base_its_own(tmp_path: Path) -> None:
    write_run(tmp_path, "base", 0, BASE)
    folder = write_run(tmp_path, "grpo", 0, np.full(6, 0.9))
    rows = [(f"p{p}", step, c) for step, c in ((1, 0.2), (2, 0.4)) for p in range(6)]
    pd.DataFrame(rows, columns=["problem", "step", "C"]).to_parquet(folder / "heldout-steps.parquet")
    results = load("demo", tmp_path)
    assert at_endpoint(1)(results.of("base")[0]) == pytest.approx(BASE)
    found = per_prompt.profile(results, ("grpo",), (0.25, 0.35))
    assert found["mean"].to_list() == [1, 0]
    assert found["low"].isna().all()  # one seed has no interval
