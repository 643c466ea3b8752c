"""Claims are read strictly, and they say what the paper says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from claims_file import write

from rl.analysis.claims import Claim, read
from rl.experiments.yaml_loader import ConfigError

KNOWN = read()
BY_ID = {claim.id: claim for claim in KNOWN.claims}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"refrence": "base"}, "claims.one.refrence: no such setting; did you mean 'reference'?"),
        ({"kind": "diference"}, "claims.one.kind: 'diference' is not possible; did you mean 'difference'?"),
        ({"expect": {"pas@8": "higher"}}, "claims.one.expect: no quantity 'pas@8'; did you mean 'pass@8'?"),
        ({"expect": {"pass@8": "up"}}, "claims.one.expect.pass@8: 'up' is neither higher nor lower"),
        ({"confidence": "X"}, "claims.one.confidence: 'X' is not possible; there are: H, L, M"),
        ({"reference": ""}, "claims.one.reference: is missing"),
        ({"kind": "fewer-samples"}, "claims.one.times: is missing"),
        (
            {"family": "a", "kind": "above-all"},
            "claims: those of the family 'a' are differences of one experiment, alike measured",
        ),
    ],
)
def test_a_wrong_key_is_named_with_the_right_one(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(write(tmp_path / "claims.yaml", changed))
    assert str(caught.value) == message


def test_the_file_as_a_whole_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    with pytest.raises(ConfigError, match=r"claims\.one: is given twice"):
        read(write(path, {}, {}))
    with pytest.raises(ConfigError, match="clams: no such key; did you mean 'claims'"):
        read(write(path, {}, clams=[]))
    with pytest.raises(ConfigError, match="more than 5 have a headline"):
        read(write(path, *({"id": f"c{i}", "headline": "x"} for i in range(6))))


def test_each_heuristic_is_claimed_to_help_where_the_paper_says() -> None:
    """A penalty where there is one answer, a bonus where there are many; DS above both, in both places."""
    for name, helpful in (("maze-perfect", "entropy-penalty"), ("maze-looped", "entropy-bonus")):
        here = [one for one in KNOWN.claims if one.experiment == name and one.kind == "difference"]
        held = {(one.method, one.reference): one for one in here if one.method != "ds-grpo@reward"}
        assert set(held) == {
            ("ds-grpo", "grpo"),
            (helpful, "grpo"),
            ("ds-grpo", "entropy-bonus"),
            ("ds-grpo", "entropy-penalty"),
            ("ds-grpo@matched", "grpo"),
        }
        assert all(set(one.expect.values()) == {"higher"} for one in held.values())
        assert list(held[helpful, "grpo"].expect) == ["pass@1"]
    assert BY_ID["maze-looped-reward"].expect == {"pass@1024": "lower"}


def test_where_mistakes_are_likely_the_bonus_is_to_help_and_the_penalty_to_harm() -> None:
    assert BY_ID["maze-misled-bonus-helps"].expect == {"pass@1": "higher"}
    assert BY_ID["maze-misled-penalty-harms"].expect == {"pass@1": "lower"}


def test_a_claim_needs_what_its_kind_needs() -> None:
    with pytest.raises(ConfigError, match=r"claims\.x\.experiment: is missing"):
        Claim(id="x", text="x", source="x")
    Claim(id="x", text="x", source="x", kind="not-run")
