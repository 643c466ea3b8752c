"""What was not run says so, what cannot be judged is refused, further experiments have their own lines."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from recorded import write_experiment, write_mathematics, write_run

from repro import summary
from rl import report
from rl.analysis.results import ResultError, load
from rl.report import (
    CLAIMS,
    FURTHER,
    Claim,
    Further,
    both,
    column,
    contest_finding,
    finding,
    further_findings,
    pass_at,
)

PRELIMINARY = " (preliminary: fewer than 5 seeds)"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> tuple[Claim, ...]:
    """The claims on mathematics at a k that the small recorded runs have."""
    first, second = FURTHER["linear"].claims
    quantities = both({"ΔPass@1": pass_at(1), "ΔPass@8": pass_at(8)}), both({"Δroutes": column("distinct_8")})
    claims = tuple(
        Claim(one.claim, one.source, one.method, one.reference, wanted)
        for one, wanted in zip((first, second), quantities)
    )
    monkeypatch.setattr(report, "FURTHER", {"linear": Further("cpu", claims)})
    return claims


@pytest.mark.parametrize(("seeds", "after"), [(3, PRELIMINARY), (5, "")])
def test_mathematics_is_judged_from_its_own_runs(
    tmp_path: Path, small: tuple[Claim, ...], seeds: int, after: str
) -> None:
    write_mathematics(tmp_path, seeds, experiment="linear")
    found = further_findings(tmp_path)
    assert [one.claim for one in found] == [one.claim for one in small]
    assert [one.verdict for one in found] == [f"reproduced{after}"] * 2
    results = load("linear", tmp_path)
    rise = [results.of("ds-grpo")[s].problems["C"].mean() - results.of("grpo")[s].problems["C"].mean() for s in (0, 1)]
    assert rise == pytest.approx([0.125, 0.125])
    assert found[0].outcome.startswith("ΔPass@1 +0.125 [+0.125, +0.125]; ΔPass@8 +")
    assert found[0].run == f"linear: ds-grpo against grpo, seeds: {seeds}"


def test_what_was_not_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [one] = FURTHER["countdown-gpu"].claims
    monkeypatch.setattr(report, "FURTHER", {"maze-17": Further("gpu", (one,))})
    [found] = further_findings(tmp_path)
    assert (found.claim, found.verdict) == (one.claim, "not run")
    assert "rl/experiments/gpu/maze-17.yaml --methods grpo,ds-grpo" in found.command
    write_experiment(tmp_path, seeds=1)
    by_method = {claim.method: finding(claim, load("demo", tmp_path), "").verdict for claim in CLAIMS}
    assert by_method["ds-grpo-positive"] == "not run"
    assert by_method["grpo"].endswith(PRELIMINARY)


def test_each_heuristic_is_claimed_to_help_where_the_paper_says() -> None:
    """A penalty where there is one answer, a bonus where there are many; DS above both, in both places."""
    for name, helpful in (("maze-perfect", "entropy-penalty"), ("maze-looped", "entropy-bonus")):
        held = {(one.method, one.reference): one for one in FURTHER[name].claims if one.method != "ds-grpo@reward"}
        assert set(held) == {
            ("ds-grpo", "grpo"),
            (helpful, "grpo"),
            ("ds-grpo", "entropy-bonus"),
            ("ds-grpo", "entropy-penalty"),
            ("ds-grpo@matched", "grpo"),
        }
        for one in held.values():
            assert {sign for _, sign in one.wanted.values()} == {1}
        assert list(held[helpful, "grpo"].wanted) == ["ΔPass@1"]
    [harm] = [one for one in FURTHER["maze-looped"].claims if one.method == "ds-grpo@reward"]
    assert [(name, sign) for name, (_, sign) in harm.wanted.items()] == [("ΔPass@1024", -1)]


def test_where_mistakes_are_likely_the_bonus_is_to_help_and_the_penalty_to_harm(tmp_path: Path) -> None:
    claims = FURTHER["maze-misled"].claims
    signs = {one.method: [sign for _, sign in one.wanted.values()] for one in claims}
    assert signs == {"entropy-bonus": [1], "entropy-penalty": [-1], "ds-grpo": [1, 1]}
    assert all(one.reference == "grpo" for one in claims)
    assert all(list(one.wanted) == ["ΔPass@1"] for one in claims if one.method != "ds-grpo")


def test_ds_grpo_is_held_against_every_method_of_the_contest(tmp_path: Path) -> None:
    """Above one, below another, not told from a third; methods with two seeds, and DS's own forms, are left out."""
    assert contest_finding("demo", None, "run it").verdict == "not run"
    wiggle = np.linspace(-0.001, 0.001, 5)
    means = {"ds-grpo": 0.3, "maxrl": 0.4, "ucpo": 0.2, "ds-grpo-positive": 0.9, "darling": 0.3}
    for seed in range(5):
        for method, mean in means.items():
            moved = wiggle[seed] if method == "darling" else 0
            write_run(tmp_path, method, seed, np.full(40, mean + moved))
    for seed in range(2):
        write_run(tmp_path, "f-grpo", seed, np.full(40, 0.1))
    found = contest_finding("demo", load("demo", tmp_path), "run it")
    assert found.run == "demo: ds-grpo against 3 methods, seeds: 5 or more"
    assert found.outcome.startswith("Pass@1: above ucpo; below maxrl; not told from darling. Pass@1024: ")
    assert found.verdict == "contradicted"
    only = tmp_path / "only"
    for seed in range(3):
        write_run(only, "ds-grpo", seed, np.full(40, 0.3))
        write_run(only, "maxrl", seed, np.full(40, 0.301))
    assert contest_finding("demo", load("demo", only), "").verdict == "contradicted" + PRELIMINARY


def test_a_k_that_was_not_evaluated_is_refused_not_called_not_run(tmp_path: Path) -> None:
    write_mathematics(tmp_path, experiment="linear")
    with pytest.raises(ResultError, match="Pass@64 was not evaluated"):
        further_findings(tmp_path)


def test_a_damaged_further_experiment_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, np.full(3, 0.5), experiment="linear")
    (folder / "eval-heldout.parquet").unlink()
    with pytest.raises(ResultError, match="missing"):
        further_findings(tmp_path)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["reproduction", *arguments])
    return report.main()


def test_the_document_holds_every_claim(
    tmp_path: Path, small: tuple[Claim, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_experiment(tmp_path)
    write_mathematics(tmp_path, experiment="linear")
    assert command(monkeypatch, "--out", str(tmp_path), "--experiment", "demo") == 0
    text = (tmp_path / "REPRODUCTION.md").read_text(encoding="utf-8")
    for one in (*CLAIMS, *small):
        assert f"| {one.claim} | {one.source} |" in text
    assert "linear: ds-grpo against grpo, seeds: 3" in text
    table = (tmp_path / "REPRODUCTION-table.md").read_text(encoding="utf-8")
    assert all(f"| {one.claim} | {one.source} |" in table for one in (*CLAIMS, *small))
    seen, _, folded = table.partition("<details>")
    assert "AIME24" in seen  # what was not run is not hidden
    assert small[0].claim not in seen
    assert folded.startswith("\n<summary>2 claims on the other tasks")
    assert len(summary.verdicts(tmp_path)) == 1 + sum(line.endswith("** |") for line in table.splitlines())


def test_sampled_runs_in_place_of_exact_ones_are_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mathematics(tmp_path)
    assert command(monkeypatch, "--out", str(tmp_path), "--experiment", "sums") == 2
    said = capsys.readouterr().err
    assert said.startswith("rl.report: ")
    assert "eval-heldout.json: sampled, and Pass@1024 was not evaluated; there are k = 1, 4, 8" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "REPRODUCTION.md").exists()
