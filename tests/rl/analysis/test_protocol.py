"""The protocol's analysis works with any of its runs, and says how many there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import write_run
from saturated import EFFECTS, PROBLEMS, write, write_saturated
from scipy import stats

from rl.analysis import protocol
from rl.analysis.claims import read
from rl.analysis.judging import judge_all, judge_family
from rl.analysis.report import document
from rl.analysis.results import NotRun, load


@pytest.fixture
def out(tmp_path: Path) -> Path:
    write_saturated(tmp_path)
    return tmp_path


def judged(out: Path, family: str) -> dict[str, dict[str, Any]]:
    known = read()
    members = [claim for claim in known.claims if claim.family == family]
    found = judge_family(members, known.quantities, load(protocol.EXPERIMENT, out))
    return {one.claim.id: one.record() for one in found}


def test_the_primary_comparisons_are_tested_together(out: Path) -> None:
    found = judged(out, "saturated primary")
    assert {name: one["verdict"] for name, one in found.items()} == {
        "saturated-ds-grpo": "reproduced",
        "saturated-entropy-bonus": "reproduced",
        "saturated-entropy-penalty": "reproduced",
    }
    results = load(protocol.EXPERIMENT, out)

    def p(reference: str) -> float:
        means = [[results.of(one)[s].problems["C"].mean() for s in range(10, 14)] for one in ("ds-grpo", reference)]
        return float(stats.ttest_rel(*means).pvalue)

    raw = {name: p(name) for name in ("grpo", "entropy-bonus", "entropy-penalty")}
    first = {one["estimates"][0]["reference"]: one["estimates"][0] for one in found.values()}
    assert {name: one["tests"]["p"] for name, one in first.items()} == pytest.approx(raw, rel=1e-4)
    assert min(one["tests"]["p_holm"] for one in first.values()) == pytest.approx(3 * min(raw.values()), rel=1e-4)
    one = found["saturated-ds-grpo"]
    assert (one["run_seeds"], len(one["seeds"]), one["preliminary"]) == (4, 8, True)
    mean, tests = one["estimates"][0]["mean"], one["estimates"][0]["tests"]
    assert tests["bootstrap_low"] < mean < tests["bootstrap_high"]
    assert tests["pooled_low"] < mean < tests["pooled_high"]
    assert tests["pooled_methods"] == 4
    assert tests["p_equal"] > 0.9


def test_what_is_not_there_is_not_run_and_does_not_count_in_holm(tmp_path: Path) -> None:
    for seed in (10, 11, 12):
        for method in ("grpo", "ds-grpo"):
            write(tmp_path, method, seed, EFFECTS[method])
    found = judged(tmp_path, "saturated primary")
    assert found["saturated-entropy-bonus"]["verdict"] == "not run"
    tests = found["saturated-ds-grpo"]["estimates"][0]["tests"]
    assert tests["p_holm"] == tests["p"]


def test_two_equal_methods_are_equal_by_tost(tmp_path: Path) -> None:
    for seed in range(10, 18):
        for method in ("grpo", "ds-grpo"):
            write(tmp_path, method, seed, 0.0)
    one = judged(tmp_path, "saturated primary")["saturated-ds-grpo"]
    assert [estimate["status"] for estimate in one["estimates"]] == ["equal", "equal"]
    assert (one["verdict"], one["preliminary"]) == ("equal", False)


def test_a_pair_is_held_against_its_halves_at_equal_pass_at_1(out: Path) -> None:
    found = judged(out, "saturated maxrl pair")
    over = found["saturated-maxrl-pair-over-maxrl"]["estimates"][0]
    assert over["mean"] > 0.05  # .05 at the same step, and it is there earlier
    assert over["seeds"] == 2
    assert over["tests"]["step"] < over["tests"]["reference_step"] == pytest.approx(20)
    assert judged(out, "saturated f-grpo pair")["saturated-f-grpo-pair-over-f-grpo"]["verdict"] == "not run"


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    for method in ("grpo", "ds-grpo"):
        write(tmp_path, method, 10, EFFECTS[method])
    one = judged(tmp_path, "saturated primary")["saturated-ds-grpo"]
    assert (one["verdict"], one["preliminary"]) == ("undecided", True)
    assert np.isnan(one["estimates"][0]["low"])
    assert one["estimates"][0]["mean"] == pytest.approx(0.03, abs=0.01)


def test_nothing_is_compared_before_the_first_look(out: Path, tmp_path: Path) -> None:
    assert protocol.load_all(out).of("ds-grpo").keys() == {10, 11, 12, 13}
    (tmp_path / "runs" / protocol.EXPERIMENT / "seed13" / "entropy-bonus" / "eval-heldout.json").unlink()
    with pytest.raises(NotRun, match="3 seeds are whole; the protocol's first look is after 4"):
        protocol.load_all(out)
    assert protocol.record(out, {}) is None


def test_controls_stand_beside_the_methods_and_grpo_is_its_own_placebo(out: Path) -> None:
    found = protocol.record(out, {"pass@1": 0.01})
    assert found is not None
    assert found["seeds"]["grpo@lr3"] == [10, 11]
    rows = {(row["method"], row["quantity"]): row for row in found["differences"]}
    assert rows["grpo@lr3", "pass@1"]["mean"] == pytest.approx(0.02, abs=0.01)
    assert rows["entropy-bonus", "pass@1"]["p_equal"] < 0.05
    stops = {(row["method"], row["reference"], row["k"]): row for row in found["equal_pass1"]}
    placebo = stops["grpo", "grpo", 128]
    assert placebo["mean"] == pytest.approx(0, abs=1e-9)  # it rises to its end
    assert stops["ds-grpo", "grpo", 128]["reached"] == 0
    assert {row["kind"] for row in found["equal_pass1"]} == {"end", "equal"}
    [shares] = {round(sum(row["mean"] for row in found["histogram"] if row["method"] == one), 9) for one in EFFECTS} - {
        0
    }
    assert shares == 1


def test_the_best_checkpoint_is_chosen_on_validation_and_read_on_held_out_problems(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "grpo", 0, PROBLEMS)
    rows = [
        {"step": s, "val/pass@1": v, "heldout/pass@8": h} for s, v, h in ((0, 0.1, 0.9), (1, 0.3, 0.5), (2, 0.2, 0.8))
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert protocol.best_checkpoint(load("demo", tmp_path), "grpo", 8) == {0: 0.5}


def test_without_any_run_there_is_no_section(tmp_path: Path) -> None:
    with pytest.raises(NotRun):
        load("absent", tmp_path)
    if protocol.record(tmp_path, {}) is None:  # until the first of its runs is committed
        assert "trained to saturation:" not in document(judge_all(tmp_path))


def test_the_section_says_how_many_seeds_there_are(out: Path) -> None:
    text = document(judge_all(out))
    assert "## Countdown trained to saturation: 4 of 8 seeds" in text
    assert "countdown-saturated: ds-grpo against grpo, seeds: 4 of 8 |" in text
    assert "| grpo (placebo) | grpo, stopped at its Pass@1 | +0.000 " in text
    assert "| grpo@lr3 | 2 |" in text
