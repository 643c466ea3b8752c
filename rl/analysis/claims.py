"""The claims, read strictly from `claims.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from repro.names import nearest
from rl.analysis.comparisons import Quantity, column, pass_at
from rl.analysis.endpoint import area_at_endpoint, at_endpoint
from rl.analysis.verdicts import Status
from rl.experiments.yaml_loader import ConfigError, build, parse

PATH = Path(__file__).with_name("claims.yaml")
HEADLINES = 5  # rows that the README has room for


@dataclass(frozen=True)
class Measured:
    """A quantity that claims are about. margin: differences within ± this count as equal; none: nothing does."""

    name: str
    label: str
    margin: float | None = None

    def of(self, at: str = "last step") -> Quantity:
        """The values of a run, one a problem: `pass@K`, `area@K` (of the last fifth alone), else a column's."""
        parts = re.fullmatch(r"(pass|area)@(\d+)", self.name)
        if parts is None:
            return column(self.name)
        k = int(parts[2])
        if parts[1] == "area":
            return area_at_endpoint(k)
        return at_endpoint(k) if at == "last fifth" else pass_at(k)


@dataclass(frozen=True)
class Claim:
    """One claim, as it stands in `claims.yaml`."""

    id: str
    text: str
    source: str
    """Where the claim is from: the abstract, a summary of the paper, a theorem, or this reproduction."""
    confidence: Literal["H", "M", "L"] | None = None
    """How surely it is the paper's: H a primary source, M a second-hand summary, L inferred; none: it is not."""
    note: str = ""
    """What else the source cell says, such as: stated before its runs."""
    headline: str = ""
    """The claim in the README's words, if it stands there."""
    kind: Literal["difference", "above-all", "fewer-samples", "theory", "not-run"] = "difference"
    """difference: method − reference. above-all: method − every other method. fewer-samples: the ratio of samples that
    the reference and the method need for the reference's Pass@k. theory: the theorems hold. not-run: on record only."""
    primary: bool = False
    """Whether its quantities are primary endpoints, named before the runs: their p-values are not corrected."""
    family: str = ""
    """Claims of one family are tested together: p-values Holm-adjusted over its claims for each quantity, equality by
    TOST. Without a family the 95% interval decides."""
    at: Literal["last step", "last fifth", "equal pass@1"] = "last step"
    """Where it is measured: last fifth, the mean over evaluations of the last fifth of the steps; equal pass@1, where
    each method first has the lower of the two final Pass@1 (`rl.analysis.early_stopping`)."""
    experiment: str = ""
    scale: Literal["cpu", "llm", "gpu", "paper"] = "cpu"
    method: str = ""
    reference: str = ""
    expect: dict[str, str] = field(default_factory=dict)
    """The direction of each quantity's difference: higher or lower."""
    times: float = 0.0
    """How many times fewer samples are claimed."""
    seeds: tuple[int, ...] = ()
    """The seeds that are planned."""
    command: str = ""
    """What makes the runs; none: a sweep of the two methods."""

    def __post_init__(self) -> None:
        for name, direction in self.expect.items():
            if direction not in (Status.HIGHER, Status.LOWER):
                raise ConfigError(f"claims.{self.id}.expect.{name}: {direction!r} is neither higher nor lower")
        needed = {"difference": ("reference",), "above-all": (), "fewer-samples": ("reference", "times")}.get(self.kind)
        if needed is not None:
            for name in ("experiment", "method", "expect", "seeds", *needed):
                if not getattr(self, name):
                    raise ConfigError(f"claims.{self.id}.{name}: is missing")


@dataclass(frozen=True)
class Claims:
    """The file: quantities by name, the quantities in which all methods are compared, and the claims in order."""

    quantities: dict[str, Measured]
    compared: tuple[str, ...]
    claims: tuple[Claim, ...]


def read(path: Path = PATH) -> Claims:
    """Read and check the file; raises ConfigError, in one line with the nearest right word."""
    values = parse(path.read_text(encoding="utf-8"))
    wanted = ("quantities", "compared", "claims")
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path.name}: wanted the keys {', '.join(wanted)}")
    for key in values:
        if key not in wanted:
            raise ConfigError(f"{key}: no such key{nearest(str(key), wanted)}")
    for key in wanted:
        if key not in values:
            raise ConfigError(f"{key}: is missing")
    named = {one.name: one for one in _each(Measured, values["quantities"], "quantities", "name")}
    claims = _each(Claim, values["claims"], "claims", "id")
    used = [("compared", name) for name in values["compared"]]
    used += [(f"claims.{claim.id}.expect", name) for claim in claims for name in claim.expect]
    for place, name in used:
        if name not in named:
            raise ConfigError(f"{place}: no quantity {name!r}{nearest(str(name), named)}")
    for family in {claim.family for claim in claims if claim.family}:
        members = {(claim.experiment, claim.scale, claim.at, claim.kind) for claim in claims if claim.family == family}
        if len(members) > 1 or "difference" not in next(iter(members)):
            raise ConfigError(
                f"claims: those of the family {family!r} are differences of one experiment, alike measured"
            )
    if sum(bool(claim.headline) for claim in claims) > HEADLINES:
        raise ConfigError(f"claims: more than {HEADLINES} have a headline")
    return Claims(named, tuple(values["compared"]), claims)


def _each(cls: type[Any], values: Any, place: str, key: str) -> tuple[Any, ...]:
    """Each item of a list as `cls`, named by its `key` in errors; no two have the same."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConfigError(f"{place}: wanted a list")
    made: dict[str, Any] = {}
    for number, item in enumerate(values, 1):
        name = str(item.get(key, number)) if isinstance(item, Mapping) else str(number)
        if name in made:
            raise ConfigError(f"{place}.{name}: is given twice")
        made[name] = build(cls, item, f"{place}.{name}")
    return tuple(made.values())
