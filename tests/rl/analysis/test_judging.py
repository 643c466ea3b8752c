"""A claim is judged from its own runs; what was not run says so; what cannot be judged is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claims_file import QUANTITIES, write
from recorded import write_experiment, write_mathematics, write_run

from rl.analysis import protocol
from rl.analysis.claims import read
from rl.analysis.judging import judge, judge_all, rounded
from rl.analysis.results import ResultError, load

KNOWN = read()
BY_ID = {claim.id: claim for claim in KNOWN.claims}


def test_the_planned_seeds_are_those_that_are_recorded() -> None:
    """Of a protocol that is half run, no others."""
    for claim in KNOWN.claims:
        if claim.kind in ("difference", "fewer-samples") and not claim.family:
            assert claim.experiment is not None
            recorded = load(claim.experiment, None, claim.scale)
            there = [set(recorded.of(name)) for name in (claim.method, claim.reference) if name]
            assert set.intersection(*there) == set(claim.seeds), claim.id
    saturated = protocol.record(None, {})
    planned = {seed for claim in KNOWN.claims if claim.family for seed in claim.seeds}
    assert saturated is None or {seed for seeds in saturated["seeds"].values() for seed in seeds} <= planned


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_claim_is_judged_from_its_own_runs(tmp_path: Path, seeds: int) -> None:
    write_mathematics(tmp_path, seeds, experiment="linear")
    results = load("linear", tmp_path)
    known = read(write(tmp_path / "claims.yaml", {}))
    found = judge(known.claims[0], known.quantities, results, tmp_path).record()
    assert (found["verdict"], found["preliminary"], found["run_seeds"]) == ("reproduced", seeds < 5, seeds)
    first, second = found["estimates"]
    rise = [results.of("ds-grpo")[s].problems["C"].mean() - results.of("grpo")[s].problems["C"].mean() for s in (0, 1)]
    assert rise == pytest.approx([0.125, 0.125])
    assert [first[end] for end in ("mean", "low", "high")] == pytest.approx([0.125] * 3)
    assert (second["label"], second["expected"], second["status"]) == ("Pass@8", "higher", "higher")


def test_what_was_not_run_says_so_with_its_command(tmp_path: Path) -> None:
    found = judge(BY_ID["gpu-ds-grpo"], KNOWN.quantities, None, tmp_path)
    assert found.verdict == "not run"
    assert found.command == "python -m rl.sweep rl/experiments/gpu/countdown.yaml --methods grpo,ds-grpo --seeds 0,1,2"
    write_experiment(tmp_path, seeds=1)
    results = load("demo", tmp_path)
    verdicts = {
        name: judge(BY_ID[name], KNOWN.quantities, results, tmp_path).record()
        for name in ("countdown-correct-only", "countdown-collapse")
    }
    assert verdicts["countdown-correct-only"]["verdict"] == "not run"
    assert verdicts["countdown-collapse"]["preliminary"]
    assert {one["over"] for one in verdicts["countdown-collapse"]["estimates"]} == {"problems"}


def baselines(out: Path) -> dict[str, Any]:
    claim = BY_ID["countdown-baselines"]
    return judge(claim, KNOWN.quantities, load("demo", out), out).record()


def test_ds_grpo_is_compared_with_every_other_method(tmp_path: Path) -> None:
    """Above one, below another, no significant difference from a third; those with two seeds, and DS's own forms, are
    left out."""
    wiggle = np.linspace(-0.001, 0.001, 5)
    means = {"ds-grpo": 0.3, "maxrl": 0.4, "ucpo": 0.2, "ds-grpo-positive": 0.9, "darling": 0.3}
    for seed in range(5):
        for method, mean in means.items():
            moved = wiggle[seed] if method == "darling" else 0
            write_run(tmp_path, method, seed, np.full(40, mean + moved))
    for seed in range(2):
        write_run(tmp_path, "f-grpo", seed, np.full(40, 0.1))
    found = baselines(tmp_path)
    statuses = {one["reference"]: one["status"] for one in found["estimates"] if one["quantity"] == "pass@1"}
    assert statuses == {"maxrl": "lower", "ucpo": "higher", "darling": "equal"}
    assert (found["verdict"], found["run_seeds"], found["preliminary"]) == ("contradicted", 5, False)
    only = tmp_path / "only"
    for seed in range(3):
        write_run(only, "ds-grpo", seed, np.full(40, 0.3))
        write_run(only, "maxrl", seed, np.full(40, 0.301))
    assert baselines(only)["verdict"] == "contradicted"
    assert baselines(only)["preliminary"]


def test_fewer_samples_is_the_geometric_mean_over_seeds(tmp_path: Path) -> None:
    """With one problem, C = 1 − (1 − c)^n needs n times fewer samples than c."""
    for seed, times in enumerate((2, 8)):
        write_run(tmp_path, "grpo", seed, np.array([0.001]))
        write_run(tmp_path, "ds-grpo", seed, np.array([1 - 0.999**times]))
    [one] = judge(BY_ID["countdown-samples"], KNOWN.quantities, load("demo", tmp_path), tmp_path).estimates
    assert one.mean == pytest.approx(4)


def further(path: Path) -> Path:
    """A file whose only claim is about another experiment than the main one."""
    return write(
        path / "claims.yaml",
        {"expect": {"pass@1": "higher", "pass@64": "higher"}},
        quantities=[*QUANTITIES, {"name": "pass@64", "label": "Pass@64"}],
    )


def test_a_k_that_was_not_evaluated_is_refused_not_called_not_run(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    write_mathematics(tmp_path, experiment="linear")
    with pytest.raises(ResultError, match="Pass@64 was not evaluated"):
        judge_all(tmp_path, "demo", path=further(tmp_path))


def test_a_damaged_experiment_is_refused(tmp_path: Path) -> None:
    write_experiment(tmp_path)
    folder = write_run(tmp_path, "grpo", 0, np.full(3, 0.5), experiment="linear")
    (folder / "eval-heldout.parquet").unlink()
    with pytest.raises(ResultError, match="missing"):
        judge_all(tmp_path, "demo", path=further(tmp_path))


def test_numbers_are_rounded_to_eight_digits_and_infinity_is_none() -> None:
    value = {"a": [1 / 3, float("inf"), float("nan")], "b": 7}
    assert rounded(value) == {"a": [0.33333333, None, None], "b": 7}
