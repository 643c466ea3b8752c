"""Claims as data: read from `claims.yaml`, estimated from recorded runs, judged, written to `claims.json`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from repro.manifest import ROOT
from rl.analysis import verdicts
from rl.analysis.comparisons import (
    Quantity,
    column,
    common,
    comparison,
    contestants,
    correctness,
    difference,
    over_seeds,
    pass_at,
    samples_to_reach,
)
from rl.analysis.results import NotRun, Results, load, sweep_command
from rl.analysis.verdicts import Status, Verdict
from rl.experiments.yaml_loader import ConfigError, build, nearest, parse

PATH = Path(__file__).with_name("claims.yaml")
MAIN = "countdown"  # the experiment that another one can stand in for, such as its quick version
HEADLINES = 5  # rows that the README has room for


@dataclass(frozen=True)
class Measured:
    """A quantity that claims are about. margin: differences within ± this count as equal; none: nothing does."""

    name: str
    label: str
    margin: float | None = None

    @property
    def of(self) -> Quantity:
        """The values of a run, one a problem: `pass@K`, else the column of that name."""
        k = re.fullmatch(r"pass@(\d+)", self.name)
        return pass_at(int(k[1])) if k else column(self.name)


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
    experiment: str | None = None
    scale: Literal["cpu", "gpu", "paper"] = "cpu"
    method: str | None = None
    reference: str | None = None
    expect: dict[str, str] = field(default_factory=dict)
    """The direction of each quantity's difference: higher or lower."""
    times: float | None = None
    """How many times fewer samples are claimed."""
    seeds: tuple[int, ...] = ()
    """The seeds that are planned."""
    command: str | None = None
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
class Estimate:
    """One difference of a claim, or the ratio of samples (`reference` is then what needs more of them)."""

    quantity: str
    label: str
    reference: str
    expected: str
    mean: float | None
    low: float | None
    high: float | None
    seeds: int
    over: str
    """Over what the interval is: seeds, or problems where there is a single seed."""
    status: str


@dataclass(frozen=True)
class ClaimResult:
    """A claim with what was measured. seeds: how many each estimate has at least."""

    claim: Claim
    verdict: Verdict
    command: str
    estimates: tuple[Estimate, ...] = ()
    theory: dict[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The result as it stands in `claims.json`."""
        seeds = min((one.seeds for one in self.estimates), default=0)
        return asdict(self.claim) | {
            "command": self.command,
            "estimates": [asdict(one) for one in self.estimates],
            "theory": self.theory or None,
            "run_seeds": seeds,
            "preliminary": 0 < seeds < verdicts.SEEDS_FOR_A_VERDICT,
            "verdict": self.verdict,
        }


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


def judge(claim: Claim, quantities: Mapping[str, Measured], results: Results | None, out: Path) -> ClaimResult:
    """Estimate and judge one claim. results: the runs of its experiment, none if there are none.

    out: where a verification of the theorems is looked for first. Raises ResultError where runs cannot answer it.
    """
    command = claim.command or _sweep(claim)
    not_run = ClaimResult(claim, Verdict.NOT_RUN, command)
    if claim.kind == "theory":
        verified = _verified(out)
        return replace(not_run, verdict=_theory_verdict(verified), theory=verified) if verified else not_run
    if claim.kind == "not-run" or results is None:
        return not_run
    try:
        found = (
            _ratio(claim, quantities, results) if claim.kind == "fewer-samples" else _all(claim, quantities, results)
        )
    except NotRun:
        return not_run
    if not found:
        return not_run
    if claim.kind == "fewer-samples":
        assert claim.times is not None
        low, high = (math.nan if end is None else end for end in (found[0].low, found[0].high))
        verdict = verdicts.of_ratio(low, high, claim.times)
    else:
        statuses, expected = ([Status(getattr(one, name)) for one in found] for name in ("status", "expected"))
        verdict = verdicts.of_differences(statuses, expected, universal=claim.kind == "above-all")
    return replace(not_run, verdict=verdict, estimates=tuple(found))


def _sweep(claim: Claim) -> str:
    assert claim.experiment is not None
    methods, seeds = f"{claim.reference},{claim.method}", ",".join(map(str, claim.seeds))
    return (sweep_command(claim.experiment, claim.scale, methods, seeds) or "").strip("`")


def _all(claim: Claim, quantities: Mapping[str, Measured], results: Results) -> list[Estimate]:
    """One estimate for each quantity and each reference."""
    assert claim.method is not None
    if claim.kind == "above-all":
        references = [
            name
            for name in contestants(results, claim.method)
            if name not in ("base", "grpo") and not name.startswith(claim.method)
        ]
    else:
        assert claim.reference is not None
        references = [claim.reference]
    return [
        _difference(quantities[name], direction, results, claim.method, reference)
        for name, direction in claim.expect.items()
        for reference in references
    ]


def _difference(quantity: Measured, expected: str, results: Results, method: str, reference: str) -> Estimate:
    found = difference(results, method, reference, quantity.of)
    status = verdicts.status(found["low"], found["high"], quantity.margin)
    return Estimate(quantity.name, quantity.label, reference, expected, status=status, **_finite(found))


def _ratio(claim: Claim, quantities: Mapping[str, Measured], results: Results) -> list[Estimate]:
    """How many times fewer samples the method needs for the reference's Pass@k: geometric mean over seeds."""
    assert claim.method is not None
    assert claim.reference is not None
    [(name, expected)] = claim.expect.items()
    k = int(name.removeprefix("pass@"))
    seeds, logs = common(results, claim.method, claim.reference), []
    for seed in seeds:
        target = float(np.mean(pass_at(k)(results.of(claim.reference)[seed])))
        logs.append(np.log(k / samples_to_reach(correctness(results.of(claim.method)[seed]), target)))
    found = {end: float(np.exp(value)) for end, value in over_seeds(logs).items()}
    status = verdicts.status(found["low"] - 1, found["high"] - 1)
    label = quantities[name].label
    more = _finite({**found, "seeds": len(seeds), "over": "seeds"})
    return [Estimate(name, label, claim.reference, expected, status=status, **more)]


def _finite(found: Mapping[str, Any]) -> dict[str, Any]:
    """NaN as None: JSON has no NaN."""
    return {key: None if value != value else value for key, value in found.items()}


def _verified(out: Path) -> dict[str, int]:
    """What the newest verification counted: theorems, those that hold, negative controls, those noticed, instances.

    counterexamples: how many instances certainly refute the literal form of T6, which its self-centered form mends.
    """
    for path in (out / "theory" / "verify.json", ROOT / "results" / "theory" / "verify.json"):
        if path.is_file():
            break
    else:
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    theorems = record["theorems"]
    controls = [control for theorem in theorems for control in theorem["controls"]]
    beyond = [
        outcome["instances"]
        for theorem in theorems
        if theorem["id"] == "T6"
        for outcome in theorem["outcomes"]
        if outcome["name"] == "boundary: beyond it no literal DS does"
    ]
    return {
        "theorems": len(theorems),
        "hold": sum(bool(theorem["holds"]) for theorem in theorems),
        "controls": len(controls),
        "noticed": sum(bool(control["noticed"]) for control in controls),
        "instances": record["manifest"]["config"]["instances"],
        "counterexamples": sum(beyond),
    }


def _theory_verdict(verified: Mapping[str, int]) -> Verdict:
    return verdicts.of_theorems(verified["hold"], verified["theorems"], verified["counterexamples"])


def judge_all(out: Path, experiment: str = MAIN, scale: str = "cpu", path: Path = PATH) -> dict[str, Any]:
    """All claims judged, and every method compared with GRPO: what `claims.json` holds.

    experiment, scale: what stands in for `countdown`. Raises NotRun if it has no run, ResultError if runs are damaged.
    """
    known = read(path)
    main = load(experiment, out, scale)
    loaded: dict[tuple[str, str], Results | None] = {}
    found = []
    for claim in known.claims:
        if claim.experiment == MAIN:
            results: Results | None = main
            if scale != "cpu":
                claim = replace(claim, command=f"bash paper_repro.sh --scale {scale}")
            claim = replace(claim, experiment=experiment, scale=scale)  # type: ignore[arg-type]
        elif claim.experiment is None:
            results = None
        else:
            key = claim.experiment, claim.scale
            if key not in loaded:
                loaded[key] = _load(*key, out)
            results = loaded[key]
        found.append(judge(claim, known.quantities, results, out).record())
    return rounded(
        {
            "seeds_for_a_verdict": verdicts.SEEDS_FOR_A_VERDICT,
            "quantities": [asdict(one) for one in known.quantities.values()],
            "claims": found,
            "compared": {"experiment": experiment, "reference": "grpo", "rows": _compared(known, main)},
        }
    )


def _load(experiment: str, scale: str, out: Path) -> Results | None:
    try:
        return load(experiment, out, scale)
    except NotRun:
        return None


def _compared(known: Claims, results: Results) -> list[dict[str, Any]]:
    """Every method against GRPO in the quantities of `compared`, the primary ones of the main experiment marked."""
    primary = [
        f"{claim.method}:{name}"
        for claim in known.claims
        if claim.primary and claim.experiment == MAIN and claim.reference == "grpo"
        for name in claim.expect
    ]
    quantities = {name: known.quantities[name].of for name in known.compared}
    rows = comparison(results, "grpo", quantities, primary).to_dict("records")
    return [{"label": known.quantities[row["quantity"]].label} | {str(k): v for k, v in row.items()} for row in rows]


def rounded(value: Any) -> Any:
    """Numbers to eight digits, so that the same results give the same bytes; infinite ones are None."""
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value
