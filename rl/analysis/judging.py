"""From claims and recorded runs to `claims.json`: every claim estimated and judged, as data."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from repro.manifest import ROOT
from rl.analysis import across_tasks, protocol, verdicts
from rl.analysis.claims import PATH, Claim, Claims, Measured, read
from rl.analysis.comparisons import (
    common,
    compared_methods,
    comparison,
    correctness,
    difference,
    over_seeds,
    pass_at,
    samples_to_reach,
)
from rl.analysis.early_stopping import at_equal_pass1
from rl.analysis.results import NotRun, Results, load, sweep_command
from rl.analysis.statistics import holm
from rl.analysis.verdicts import Status, Verdict

MAIN = "countdown"  # the experiment that another one can stand in for, such as its quick version
LEVEL = 0.05  # of the tests of a family


@dataclass(frozen=True)
class Estimate:
    """One difference of a claim, or the ratio of samples (`reference` is then what needs more of them)."""

    quantity: str
    label: str
    reference: str
    expected: str
    mean: float
    low: float
    high: float
    seeds: int
    over: str
    """Over what the interval is: seeds, or problems where there is a single seed."""
    status: str
    tests: dict[str, Any] | None = None
    """Of a claim in a family: p, p_holm, p_equal (TOST), the 90% interval, and where there are values of each problem
    the intervals of `protocol.compare`."""


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
        verdict = verdicts.of_ratio(found[0].low, found[0].high, claim.times)
    else:
        statuses, expected = ([Status(getattr(one, name)) for one in found] for name in ("status", "expected"))
        verdict = verdicts.of_differences(statuses, expected, universal=claim.kind == "above-all")
    return replace(not_run, verdict=verdict, estimates=tuple(found))


def judge_family(claims: Sequence[Claim], quantities: Mapping[str, Measured], results: Results) -> list[ClaimResult]:
    """Estimate and judge the claims of one family, which are about one experiment, together."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in dict.fromkeys(name for claim in claims for name in claim.expect):
        about = [claim for claim in claims if name in claim.expect]
        there = {method for claim in about for method in (claim.method, claim.reference) if method in _methods(results)}
        direct = [claim for claim in about if claim.at != "equal pass@1"]
        values = protocol.measured(results, there, quantities[name].of(direct[0].at)) if direct else {}
        for claim in about:
            if {claim.method, claim.reference} <= there:
                with contextlib.suppress(NotRun):
                    found[claim.id, name] = _tested(claim, quantities[name], results, values)
        of_all = {claim.id: found[claim.id, name]["p"] for claim in about if (claim.id, name) in found}
        adjusted = holm({id_: p for id_, p in of_all.items() if p == p})
        for id_ in of_all:
            found[id_, name]["p_holm"] = adjusted.get(id_, math.nan)
    return [_of_family(claim, quantities, found) for claim in claims]


def _methods(results: Results) -> set[str]:
    return set(results.methods(variants=True))


def _tested(claim: Claim, quantity: Measured, results: Results, values: protocol.Values) -> dict[str, Any]:
    if claim.at != "equal pass@1":
        return protocol.compare(values, claim.method, claim.reference, quantity.margin)
    k = int(quantity.name.removeprefix("pass@"))
    found = at_equal_pass1(results, claim.method, claim.reference, k)
    steps = {name: found[name] for name in ("step", "reference_step")}
    return {**protocol.tests(found["differences"], quantity.margin), **steps}


def _of_family(
    claim: Claim, quantities: Mapping[str, Measured], found: Mapping[tuple[str, str], Mapping[str, Any]]
) -> ClaimResult:
    estimates = []
    for name, expected in claim.expect.items():
        if (claim.id, name) not in found:
            return ClaimResult(claim, Verdict.NOT_RUN, claim.command or _sweep(claim))
        tests = dict(found[claim.id, name])
        status = verdicts.tested_status(tests["mean"], tests["p_holm"], tests.get("p_equal", math.nan), LEVEL)
        kept = {key: tests.pop(key) for key in ("mean", "low", "high", "seeds")} | {"over": "seeds", "status": status}
        estimates.append(Estimate(name, quantities[name].label, claim.reference, expected, **kept, tests=tests))
    expected_all = [Status(one.expected) for one in estimates]
    verdict = verdicts.of_differences([Status(one.status) for one in estimates], expected_all)
    return ClaimResult(claim, verdict, claim.command or _sweep(claim), tuple(estimates))


def _sweep(claim: Claim) -> str:
    methods, seeds = f"{claim.reference},{claim.method}", ",".join(map(str, claim.seeds))
    return (sweep_command(claim.experiment, claim.scale, methods, seeds) or "").strip("`")


def _all(claim: Claim, quantities: Mapping[str, Measured], results: Results) -> list[Estimate]:
    """One estimate for each quantity and each reference."""
    if claim.kind == "above-all":
        references = [
            name
            for name in compared_methods(results, claim.method)
            if name not in ("base", "grpo") and not name.startswith(claim.method)
        ]
    else:
        references = [claim.reference]
    return [
        _difference(quantities[name], direction, results, claim.method, reference)
        for name, direction in claim.expect.items()
        for reference in references
    ]


def _difference(quantity: Measured, expected: str, results: Results, method: str, reference: str) -> Estimate:
    found = difference(results, method, reference, quantity.of())
    status = verdicts.status(found["low"], found["high"], quantity.margin)
    return Estimate(quantity.name, quantity.label, reference, expected, status=status, **found)


def _ratio(claim: Claim, quantities: Mapping[str, Measured], results: Results) -> list[Estimate]:
    """How many times fewer samples the method needs for the reference's Pass@k: geometric mean over seeds."""
    [(name, expected)] = claim.expect.items()
    k = int(name.removeprefix("pass@"))
    seeds, logs = common(results, claim.method, claim.reference), []
    for seed in seeds:
        target = float(np.mean(pass_at(k)(results.of(claim.reference)[seed])))
        logs.append(np.log(k / samples_to_reach(correctness(results.of(claim.method)[seed]), target)))
    found: dict[str, Any] = {end: float(np.exp(value)) for end, value in over_seeds(logs).items()}
    found |= {"seeds": len(seeds), "over": "seeds", "status": verdicts.status(found["low"] - 1, found["high"] - 1)}
    return [Estimate(name, quantities[name].label, claim.reference, expected, **found)]


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
    sixth = next(theorem for theorem in theorems if theorem["id"] == "T6")
    beyond = next(one for one in sixth["outcomes"] if one["name"] == "boundary: beyond it no literal DS does")
    return {
        "theorems": len(theorems),
        "hold": sum(bool(theorem["holds"]) for theorem in theorems),
        "controls": len(controls),
        "noticed": sum(bool(control["noticed"]) for control in controls),
        "instances": record["manifest"]["config"]["instances"],
        "counterexamples": beyond["instances"],
    }


def _theory_verdict(verified: Mapping[str, int]) -> Verdict:
    return verdicts.of_theorems(verified["hold"], verified["theorems"], verified["counterexamples"])


def judge_all(out: Path, experiment: str = MAIN, scale: str = "cpu", path: Path = PATH) -> dict[str, Any]:
    """All claims judged, and every method compared with GRPO: what `claims.json` holds.

    experiment, scale: what stands in for `countdown`. Raises NotRun if it has no run, ResultError if runs are damaged.
    """
    known = read(path)
    main = load(experiment, out, scale)
    claims = [_standing_in(claim, experiment, scale) if claim.experiment == MAIN else claim for claim in known.claims]
    loaded: dict[tuple[str, str], Results | None] = {(experiment, scale): main, ("", "cpu"): None}
    for claim in claims:
        key = claim.experiment, claim.scale
        if key not in loaded:
            loaded[key] = _load(*key, out)
    found: dict[str, ClaimResult] = {}
    for family in dict.fromkeys(claim.family for claim in claims if claim.family):
        members = [claim for claim in claims if claim.family == family]
        results = loaded[members[0].experiment, members[0].scale]
        if results is not None:
            found |= {one.claim.id: one for one in judge_family(members, known.quantities, results)}
    for claim in claims:
        if claim.id not in found:
            found[claim.id] = judge(claim, known.quantities, loaded[claim.experiment, claim.scale], out)
    tasks = {
        name: results
        for (name, place), results in loaded.items()
        if results is not None and place == scale and name != protocol.EXPERIMENT and results.runs[0].exact
    }
    margins = {name: one.margin for name, one in known.quantities.items()}
    return rounded(
        {
            "seeds_for_a_verdict": verdicts.SEEDS_FOR_A_VERDICT,
            "quantities": [asdict(one) for one in known.quantities.values()],
            "claims": [found[claim.id].record() for claim in claims],
            "across_tasks": across_tasks.record(tasks, {"pass@1": pass_at(1), "pass@1024": pass_at(1024)}),
            "saturated": protocol.record(out, margins),
            "compared": {"experiment": experiment, "reference": "grpo", "rows": _compared(known, main)},
        }
    )


def _standing_in(claim: Claim, experiment: str, scale: str) -> Claim:
    """The claim about another experiment in the main one's place."""
    command = claim.command if scale == "cpu" else f"bash paper_repro.sh --scale {scale}"
    return replace(claim, experiment=experiment, scale=scale, command=command)  # type: ignore[arg-type]


def _load(experiment: str, scale: str, out: Path) -> Results | None:
    try:
        return protocol.load_all(out) if experiment == protocol.EXPERIMENT else load(experiment, out, scale)
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
    quantities = {name: known.quantities[name].of() for name in known.compared}
    rows = comparison(results, "grpo", quantities, primary).to_dict("records")
    return [{"label": known.quantities[row["quantity"]].label} | {str(k): v for k, v in row.items()} for row in rows]


def rounded(value: Any) -> Any:
    """Numbers to eight digits, so that the same results give the same bytes; what is not finite is None."""
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value
