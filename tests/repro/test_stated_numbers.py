"""Numbers that stand in the documents by hand: each is that of a committed record."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pandas as pd
import pytest

from repro.manifest import ROOT, missing_fields


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8").replace("−", "-")


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "results" / name).read_text(encoding="utf-8"))
    assert not missing_fields(found["manifest"])
    return found


def test_the_protocol_says_what_the_search_found() -> None:
    scores = defaultdict(list)
    for trial in record("cpu/search-countdown-saturated.json")["trials"]:
        scores[trial["method"], *trial["options"].values()].append(trial["score"])
    said = re.findall(r"\(([\d.]+), ([\d.]+)\)(?: scores)? (\.\d{4})", text("docs/protocols/countdown-saturated.md"))
    assert {(float(a), float(b)): float(score) for a, b, score in said} == {
        (a, b): pytest.approx(sum(found) / len(found), abs=5e-5)
        for (method, a, *rest), found in scores.items()
        if method == "ds-grpo"
        for b in rest
    }


def test_the_saturated_experiment_uses_what_the_search_chose() -> None:
    from rl.experiments.config import load

    config = load(ROOT / "rl" / "experiments" / "cpu" / "countdown-saturated.yaml")
    for method, options in record("cpu/search-countdown-saturated.json")["chosen"].items():
        assert {key: config.method(method).record()[key] for key in options} == options


def test_the_page_on_gamma_states_the_recorded_shares() -> None:
    """Shares of the term, and what they are as multiples of the base advantage."""
    table = pd.read_csv(ROOT / "figures" / "out" / "tab_gamma.csv")
    share = table["the term's share of the advantage"]
    page = text("docs/choosing_gamma.md")
    low, high, least, most = re.search(
        r"shares of ([\d.]+) to ([\d.]+), that is terms of ([\d.]+) to ([\d.]+)", page
    ).groups()  # type: ignore[union-attr]
    assert [float(low), float(high)] == pytest.approx([share.min(), share.max()], abs=5e-3)
    assert float(least) == pytest.approx(share.min() / (1 - share.min()), abs=6e-3)
    assert float(most) == pytest.approx(share.max() / (1 - share.max()), abs=6e-2)
    countdown = share[(table["task"] == "countdown") & (table["method"] == "ds-grpo")].item()
    mazes = share[table["task"].isin(["maze-perfect", "maze-looped", "maze-misled"])]
    found = re.search(r"On Countdown \(([\d.]+)\).* on mazes \(([\d.]+) to ([\d.]+)\)", page.replace("\n", " "))
    assert found is not None
    assert [float(one) for one in found.groups()] == pytest.approx([countdown, mazes.min(), mazes.max()], abs=5e-3)


def test_the_page_on_mutants_states_the_recorded_run() -> None:
    found = record("theory/mutants.json")
    alive = [one for one in found["fates"] if one["noticed_by"] is None]
    assert found["alive"] == len(alive) == 0
    assert found["mutants"] == len(found["fates"]) + len(found["equivalents"]) >= 100
    said = re.search(r"(\d+) mutants, (\d+) killed, (\d+) alive, (\d+) equivalent", text("docs/mutants.md"))
    assert said is not None
    assert [int(one) for one in said.groups()] == [found[key] for key in ("mutants", "killed", "alive", "equivalent")]


def test_every_certificate_of_the_record_is_as_it_should_be() -> None:
    found = record("theory/certified.json")
    assert found["certificates"]
    assert all(one["proved"] != one["control"] for one in found["certificates"])
    assert any(one["control"] for one in found["certificates"])


def test_the_first_screen_says_what_the_claims_say() -> None:
    """About a third of what GRPO loses at Pass@1024 comes back; at Pass@1 nothing is significant."""
    claims = {one["id"]: one for one in json.loads((ROOT / "results" / "claims.json").read_text())["claims"]}

    def found(claim: str, quantity: str) -> dict[str, Any]:
        [one] = [one for one in claims[claim]["estimates"] if one["quantity"] == quantity]
        return dict(one)

    assert "about a third of the Pass@1024 that GRPO loses" in (ROOT / "README.md").read_text(encoding="utf-8")
    share = found("countdown-ds-grpo", "pass@1024")["mean"] / -found("countdown-collapse", "pass@1024")["mean"]
    assert abs(share - 1 / 3) < 0.05
    assert found("countdown-ds-grpo", "pass@1")["status"] not in ("higher", "lower")
