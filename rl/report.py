"""`python -m rl.report`: REPRODUCTION.md, the paper's claims one by one, written from recorded results.

What the paper says stands with its source and how surely it is known; what came out is computed, at writing, from the
runs. A verdict follows from an interval by a fixed rule (`judge`), never by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.files import write_text
from repro.manifest import ROOT
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
    verdict,
)
from rl.analysis.results import NotRun, ResultError, Results, load, sweep_command

LARGE_K = 1024  # named with the primary endpoints in rl/experiments/cpu/REGIME.md, before the first DS run
MATH_K = 64  # likewise in REGIME-linear.md
SEEDS_FOR_A_VERDICT = 5
EQUAL = 0.01  # differences in Pass@k within ± this count as none


@dataclass(frozen=True)
class Claim:
    """A claim about training: method − reference has a sign, +1 or −1, in each quantity that is wanted, by name."""

    claim: str
    source: str
    method: str
    reference: str
    wanted: dict[str, tuple[Quantity, int]]


Difference = Mapping[str, Any]  # what `rl.analysis.comparisons.difference` returns


@dataclass(frozen=True)
class Finding:
    """One line of the table: claim, source (confidence H, M or L), what was run, what came out, verdict, command."""

    claim: str
    source: str
    run: str
    outcome: str
    verdict: str
    command: str


def judge(
    differences: Sequence[Difference], wanted: Sequence[int], margin: float | None = None, universal: bool = False
) -> str:
    """The verdict on a claim that each difference has the sign in `wanted` (+1 or −1).

    reproduced: every interval lies on the claimed side. in part: at least one, the others hold zero. mixed: at least
    one lies on each side. contradicted: at least one lies on the other side and none on the claimed one; for a
    universal claim (`above every other`) one on the other side is enough. Where all hold zero, equal within the margin
    if they all lie in ±margin, else undecided. With fewer than five seeds, which can show a direction but carry no
    verdict, `preliminary` is added.
    """
    sides = [1 if found["low"] > 0 else -1 if found["high"] < 0 else 0 for found in differences]
    good = sum(side == sign for side, sign in zip(sides, wanted))
    bad = sum(side == -sign for side, sign in zip(sides, wanted))
    if good == len(wanted):
        word = "reproduced"
    elif bad and (universal or not good):
        word = "contradicted"
    elif bad:
        word = "mixed"
    elif good:
        word = "in part"
    elif margin is not None and all(-margin <= found["low"] <= found["high"] <= margin for found in differences):
        word = f"equal within {margin:g}"
    else:
        word = "undecided"
    few = min(found["seeds"] for found in differences) < SEEDS_FOR_A_VERDICT
    return f"{word} (preliminary: fewer than {SEEDS_FOR_A_VERDICT} seeds)" if few else word


def show(name: str, found: dict[str, Any]) -> str:
    """`ΔPass@1 +0.021 [+0.010, +0.032]`, and over what the interval is when not over seeds."""
    over = "" if found["over"] == "seeds" else " over problems"
    return f"{name} {found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]{over}"


def finding(claim: Claim, results: Results | None, command: str) -> Finding:
    """What was run, what came out and the verdict; `not run` if there are no results or a method has none in them."""
    not_run = Finding(claim.claim, claim.source, "—", "—", "not run", command)
    if results is None:
        return not_run
    wanted = claim.wanted.items()
    try:
        found = {name: difference(results, claim.method, claim.reference, quantity) for name, (quantity, _) in wanted}
    except NotRun:
        return not_run
    seeds = next(iter(found.values()))["seeds"]
    return Finding(
        claim.claim,
        claim.source,
        f"{results.experiment}: {claim.method} against {claim.reference}, seeds: {seeds}",
        "; ".join(show(name, value) for name, value in found.items()),
        judge(
            list(found.values()),
            [sign for _, (_, sign) in wanted],
            EQUAL if all(name.startswith("ΔPass@") for name in found) else None,
        ),
        command,
    )


PASS = {"ΔPass@1": pass_at(1), f"ΔPass@{LARGE_K}": pass_at(LARGE_K)}
DIVERSITY = {"ΔGini–Simpson": column("gini_simpson"), "Δshare of solutions in 128": column("coverage_128")}


def both(up: dict[str, Quantity], down: dict[str, Quantity] | None = None) -> dict[str, tuple[Quantity, int]]:
    """Quantities with the sign that a claim gives their difference."""
    return {**{name: (q, 1) for name, q in up.items()}, **{name: (q, -1) for name, q in (down or {}).items()}}


_FIRST, _LARGE = ({name: quantity} for name, quantity in PASS.items())

CLAIMS = (
    Claim(
        "RL fine-tuning raises Pass@1 and lowers Pass@k for large k: diversity collapses",
        "abstract (H)",
        "grpo",
        "base",
        both(_FIRST, {**_LARGE, **DIVERSITY}),
    ),
    Claim(
        "DS-GRPO is above GRPO in Pass@1 and in Pass@k (primary endpoints)",
        "abstract (H)",
        "ds-grpo",
        "grpo",
        both(PASS),
    ),
    Claim("DS-GRPO keeps correct answers more diverse than GRPO", "abstract (H)", "ds-grpo", "grpo", both(DIVERSITY)),
    Claim("DS-GRPO is above GRPO with an entropy bonus", "abstract (H)", "ds-grpo", "entropy-bonus", both(PASS)),
    Claim("DS-GRPO is above GRPO with an entropy penalty", "abstract (H)", "ds-grpo", "entropy-penalty", both(PASS)),
    Claim(
        "Smoothing correct trajectories alone already helps",
        "summary of the method (M)",
        "ds-grpo-positive",
        "grpo",
        both({**PASS, **DIVERSITY}),
    ),
    Claim(
        "The term on incorrect trajectories alone raises correctness",
        "summary of the method (M)",
        "ds-grpo-negative",
        "grpo",
        both(_FIRST),
    ),
    Claim(
        "The term at the reward does harm through groups whose rewards are all equal: without them Pass@k is higher",
        "this reproduction (new; stated before its runs)",
        "ds-grpo@reward-mixed-groups",
        "ds-grpo@reward",
        both(_LARGE),
    ),
    Claim(
        "T6's mended form (centred by its group) is above GRPO",
        "this reproduction (new)",
        "ds-grpo-centered",
        "grpo",
        both({**PASS, **DIVERSITY}),
    ),
)


@dataclass(frozen=True)
class Further:
    """An experiment beside the one that is asked for: its scale, claims, and seeds.

    contest: whether `contest_finding` is asked of it too.
    """

    scale: str
    claims: tuple[Claim, ...]
    seeds: str = "0,1,2"
    contest: bool = False


_MATH_SOURCE = "abstract (H), of real mathematics; here linear equations and models made here"
_MATH_PASS = {"ΔPass@1": pass_at(1), f"ΔPass@{MATH_K}": pass_at(MATH_K)}


def _maze(paths: str, helpful: str) -> tuple[Claim, ...]:
    """What the paper says of heuristics where problems have few answers, or many."""
    return (
        Claim(
            f"DS-GRPO is above GRPO on mazes with {paths} (primary endpoints)",
            "abstract (H), of other tasks",
            "ds-grpo",
            "grpo",
            both(PASS),
        ),
        Claim(
            f"On mazes with {paths} an {helpful} raises correctness",
            "summary (M); T7",
            helpful.replace(" ", "-"),
            "grpo",
            both(_FIRST),
        ),
        *(
            Claim(
                f"DS-GRPO is above GRPO with an entropy {which} on mazes with {paths}",
                "abstract (H), of other tasks",
                "ds-grpo",
                f"entropy-{which}",
                both(PASS),
            )
            for which in ("bonus", "penalty")
        ),
        Claim(
            f"With gamma by a rule, its term as large as on Countdown, DS-GRPO is above GRPO on mazes with {paths}",
            "this reproduction (new; stated before its runs)",
            "ds-grpo@matched",
            "grpo",
            both(PASS),
        ),
    )


FURTHER = {
    "linear": Further(
        "cpu",
        (
            Claim(
                "DS-GRPO is above GRPO on mathematics (few routes, one answer), Pass@1 and Pass@k (primary endpoints)",
                _MATH_SOURCE,
                "ds-grpo",
                "grpo",
                both(_MATH_PASS),
            ),
            Claim(
                "DS-GRPO finds more distinct correct routes than GRPO on mathematics",
                _MATH_SOURCE,
                "ds-grpo",
                "grpo",
                both({f"Δdistinct correct routes in {MATH_K}": column(f"distinct_{MATH_K}")}),
            ),
        ),
    ),
    "maze-perfect": Further("cpu", _maze("a single path", "entropy penalty"), contest=True),
    "maze-looped": Further(
        "cpu",
        (
            *_maze("many paths", "entropy bonus"),
            Claim(
                "The term at the reward does harm on mazes with many paths too",
                "this reproduction (new; stated before its runs were looked at)",
                "ds-grpo@reward",
                "grpo",
                both({}, _LARGE),
            ),
        ),
        contest=True,
    ),
    "maze-misled": Further(
        "cpu",
        (
            Claim(
                "On mazes with a base that was taught a mistake an entropy bonus raises correctness",
                "T7 (derived), on trained models",
                "entropy-bonus",
                "grpo",
                both(_FIRST),
            ),
            Claim(
                "On mazes with a base that was taught a mistake an entropy penalty lowers correctness",
                "T7 (derived), on trained models",
                "entropy-penalty",
                "grpo",
                both({}, _FIRST),
            ),
            Claim(
                "DS-GRPO is above GRPO on mazes with a base that was taught a mistake",
                "abstract (H), of other tasks",
                "ds-grpo",
                "grpo",
                both(PASS),
            ),
        ),
        "0,1,2,3,4",
        contest=True,
    ),
    "countdown-gpu": Further(
        "gpu",
        (
            Claim(
                "DS-GRPO is above GRPO at the gpu scale, numbers up to 99 (primary endpoints)",
                "abstract (H)",
                "ds-grpo",
                "grpo",
                both(PASS),
            ),
        ),
    ),
}


def further_findings(out: Path) -> list[Finding]:
    """The claims of `FURTHER`, each experiment at its own scale; `not run` where it has no results."""
    found = []
    for name, further in FURTHER.items():
        try:
            results = load(name, out, further.scale)
        except NotRun:
            results = None
        for claim in further.claims:
            methods = f"{claim.reference},{claim.method}"
            command = sweep_command(name, further.scale, methods, further.seeds) or "—"
            found.append(finding(claim, results, command))
        if further.contest:
            found.append(contest_finding(name, results, f"`bash paper_repro.sh --full --only runs/{name}`"))
    return found


def contest_finding(experiment: str, results: Results | None, command: str) -> Finding:
    """Whether DS-GRPO is above every other answer to collapse that the experiment has (`comparisons.contestants`).

    The outcome names, for each endpoint, the methods that DS-GRPO lies above, lies below and is not told from, by the
    95% interval over common seeds, not corrected for their number.
    """
    claim = f"DS-GRPO is above every other answer to collapse in the contest on {experiment}"
    source = "this reproduction (new); the paper compares with entropy terms"
    not_run = Finding(claim, source, "—", "—", "not run", command)
    if results is None:
        return not_run
    try:
        entered = contestants(results, "ds-grpo")
    except NotRun:
        return not_run
    others = [name for name in entered if name not in ("base", "grpo") and not name.startswith("ds-grpo")]
    if not others:
        return not_run
    outcomes: list[str] = []
    differences: list[dict[str, Any]] = []
    for endpoint, quantity in PASS.items():
        found = {name: difference(results, "ds-grpo", name, quantity) for name in others}
        sides = {name: verdict(one["low"], one["high"]) for name, one in found.items()}
        said = []
        for word, side in (("above", "higher"), ("below", "lower"), ("not told from", "no difference shown")):
            names = [name for name in others if sides[name] == side]
            said += [f"{word} {', '.join(names)}"] if names else []
        outcomes.append(f"{endpoint.removeprefix('Δ')}: {'; '.join(said)}")
        differences += found.values()
    seeds = min(found["seeds"] for found in differences)
    run = f"{results.experiment}: ds-grpo against {len(others)} methods, seeds: {seeds} or more"
    return Finding(
        claim, source, run, ". ".join(outcomes), judge(differences, [1] * len(differences), EQUAL, True), command
    )


def inference_finding(results: Results, command: str) -> Finding:
    """The claim of a quarter of the samples: how many fewer DS-GRPO needs for GRPO's Pass@k at LARGE_K."""
    claim, source = "The same Pass@k as GRPO with a quarter of the samples", "summary (M)"
    try:
        seeds = common(results, "ds-grpo", "grpo")
    except NotRun:
        return Finding(claim, source, "—", "—", "not run", command)
    logs = []
    for seed in seeds:
        target = float(np.mean(pass_at(LARGE_K)(results.of("grpo")[seed])))
        logs.append(np.log(LARGE_K / samples_to_reach(correctness(results.of("ds-grpo")[seed]), target)))
    found = {name: float(np.exp(value)) for name, value in over_seeds(logs).items()}
    fewer = judge([{"low": found["low"] - 1, "high": found["high"] - 1, "seeds": len(seeds)}], [1])
    quarter = judge([{"low": found["low"] - 4, "high": found["high"] - 4, "seeds": len(seeds)}], [1])
    verdict = fewer.replace("reproduced", "in part") if quarter.startswith("contradicted") else quarter
    outcome = f"{found['mean']:.2f} [{found['low']:.2f}, {found['high']:.2f}] times fewer samples at k = {LARGE_K}"
    return Finding(claim, source, f"{results.experiment}: {len(seeds)} seeds", outcome, verdict, command)


def theory_finding(out: Path) -> Finding:
    """The theorems, from the verification's own record."""
    for path in (out / "theory" / "verify.json", ROOT / "results" / "theory" / "verify.json"):
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            break
    else:
        return Finding(
            _THEORY, "theorems (reconstructed; tags say whose)", "—", "—", "not run", "`python -m theory.verify`"
        )
    theorems = record["theorems"]
    held = sum(bool(theorem["holds"]) for theorem in theorems)
    controls = [control for theorem in theorems for control in theorem["controls"]]
    failed = sum(bool(control["noticed"]) for control in controls)
    details = " ".join(outcome["detail"] for theorem in theorems for outcome in theorem["outcomes"])
    literal = re.search(r"the literal form fails on [\d.]+%", details)  # T6 as stated; its self-centred form mends it
    instances = record["manifest"]["config"]["instances"]
    return Finding(
        _THEORY,
        "theorems (reconstructed; tags say whose)",
        f"{len(theorems)} theorems, {instances:,} random instances each where vectorised",
        f"{held} of {len(theorems)} hold; {failed} of {len(controls)} negative controls were noticed"
        + (f"; of T6 {literal[0]} of its instances, the self-centred form on none" if literal else ""),
        "reproduced" if held == len(theorems) and not literal else "in part",
        "`python -m theory.verify`",
    )


_THEORY = "Selection and reinforcement bias sharpen; differential smoothing dominates vanilla RL and entropy heuristics"

NOT_RUN = [
    Finding(
        "Up to +4% Pass@K on Countdown, Qwen2.5-3B-Instruct",
        "summary (M)",
        "—",
        "—",
        "not run",
        "`bash paper_repro.sh --scale paper --dry-run`",
    ),
    Finding(
        "Up to +6.7% on AIME24; models from 1B to 7B",
        "abstract (H)",
        "—",
        "—",
        "not run",
        "`bash paper_repro.sh --scale paper --dry-run`",
    ),
]


def markdown_table(findings: Sequence[Finding]) -> str:
    """The table that REPRODUCTION.md opens with."""
    lines = ["| claim | source | what was run | what came out | verdict |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {f.claim} | {f.source} | {f.run} | {f.outcome} | **{f.verdict}** |" for f in findings]
    return "\n".join(lines)


def folded_table(first: Sequence[Finding], folded: Sequence[Finding]) -> str:
    """The table of the README: `first` in sight, `folded` one click away."""
    summary = (
        f"<summary>{len(folded)} claims on the other tasks: equations, mazes, Countdown at the gpu scale</summary>"
    )
    return f"{markdown_table(first)}\n\n<details>\n{summary}\n\n{markdown_table(folded)}\n\n</details>\n"


HEADER = """# What reproduces, and what does not

Written by `python -m rl.report` from recorded results; do not edit. Sources: H a primary source, M a second-hand
summary; the paper's full text was not at hand, so a claim's wording is ours. A difference stands with its 95% interval
over seeds, each seed with its own base model; the primary endpoints (ds-grpo − grpo, last step, held-out problems:
ΔPass@1 and ΔPass@{large} on Countdown and mazes, ΔPass@1 and ΔPass@{math} on linear equations) were named before the
first DS run of their experiment, in the `REGIME*.md` of `rl/experiments/cpu/` and `rl/experiments/gpu/`.
"""

RULE = """
## How a verdict comes about

*Reproduced*: every interval of the claim lies on the claimed side of zero. *In part*: at least one does, the others
hold zero. *Mixed*: at least one lies on each side. *Contradicted*: at least one lies on the other side and none on the
claimed side. *Equal within {equal:g}*: every interval holds zero and lies within ±{equal:g} (only Pass@k has a margin).
*Undecided*: they hold zero and are wider. *Preliminary*: fewer than {seeds} seeds. *Not run*: no recorded result.
The lines on the contest claim that DS-GRPO is above every other method: one that is above it at one endpoint
contradicts them, and *in part* says that it is above some and below none. Their intervals are not corrected for the
number of methods: by chance alone about one in twenty lies off zero.
"""

LIMITS = """## What a reader must not conclude

- These are models of 134 to 170 thousand parameters, made here, on Countdown with four numbers up to 9, on generated
  linear equations and on mazes; at the gpu scale 17 million, on Countdown with numbers up to 99. Nothing here measures
  a 7B model on real mathematics; those claims stand above as not run.
- gamma's values belong to this task, this reduction (sum of log-probs) and this place (advantage); they do not carry
  over. On linear equations and at the gpu scale they were not searched, but taken over from Countdown.
- The base that was taught a mistake is artificial: it shows what an entropy term does where mistakes are likely, not
  that language models are like it.
- The held-out problems of the recorded runs on mazes and linear equations are not new in every way. Training knows
  every held-out grid, with other starts and goals or mirrored, and every held-out equation once its terms are
  collected: .67 of the held-out mazes with many paths are mirror images of training mazes. The experiments
  `*-leakfree` have a split without that; they are not run (`REGIME-maze.md`, `REGIME-linear.md`).
- At the gpu scale the base knows most training problems by heart (its first rewards lie far above its held-out
  Pass@1), so that training could gain little: its settings were not tuned (`rl/experiments/gpu/REGIME.md`).
- A method above at Pass@{large} and below at Pass@1 has made another trade, which GRPO stopped earlier may offer too:
  `figures/tab_early_stopping.md` holds every method against that.
- A difference whose interval holds zero is not evidence of equality.
- The theorems are about tabular policies. The bridge tests show that the trainer's expected step is theirs on a tabular
  model; with shared parameters they are a guide, not a guarantee.
"""


def document(findings: Sequence[Finding], corrected: str) -> str:
    """REPRODUCTION.md."""
    commands = "\n".join(f"| {f.claim} | {f.command} | {f.outcome} |" for f in findings)
    parts = [
        HEADER.format(large=LARGE_K, math=MATH_K),
        markdown_table(findings),
        RULE.format(seeds=SEEDS_FOR_A_VERDICT, equal=EQUAL),
        corrected,
        f"## Claim → command → expected output\n\n| claim | command | expected |\n| --- | --- | --- |\n{commands}\n",
        LIMITS.format(large=LARGE_K),
    ]
    return "\n".join(parts)


def all_differences(results: Results) -> str:
    """Every method against GRPO; what is not primary is corrected by Holm."""
    quantities = {**PASS, **DIVERSITY}
    frame = comparison(results, "grpo", quantities, primary=[f"ds-grpo:{name}" for name in PASS])
    lines = [
        "## Every method against GRPO\n",
        "p: t-test over seeds, Holm-corrected where not primary. Last column: 95% bootstrap over problems.\n",
        "| method | quantity | difference | 95% over seeds | seeds above / all | p | primary | 95% over problems |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in frame.to_dict("records"):
        cells = [
            row["method"],
            row["quantity"],
            f"{row['difference']:+.3f}",
            f"[{row['low']:+.3f}, {row['high']:+.3f}]" if row["seeds"] > 1 else "one seed",
            f"{row['positive_seeds']} / {row['seeds']}",
            f"{row['p_holm']:.3g}" if row["seeds"] > 1 else "—",
            "yes" if row["primary"] else "",
            f"[{row['problems_low']:+.3f}, {row['problems_high']:+.3f}]",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write REPRODUCTION.md and the table for the README; 2 and one line if there is nothing to write it from."""
    parser = argparse.ArgumentParser(prog="python -m rl.report", description="Write REPRODUCTION.md from results.")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--experiment", default="countdown")
    parser.add_argument("--scale", default="cpu", choices=["cpu", "gpu", "paper"])
    options = parser.parse_args()
    command = (
        "`bash paper_repro.sh --full`" if options.scale == "cpu" else f"`bash paper_repro.sh --scale {options.scale}`"
    )
    try:
        results = load(options.experiment, options.out, options.scale)
        asked = [
            theory_finding(options.out),
            *(finding(claim, results, command) for claim in CLAIMS),
            contest_finding(options.experiment, results, command),
            inference_finding(results, command),
        ]
        further = further_findings(options.out)
        findings = [*asked, *further, *NOT_RUN]
        differences = all_differences(results)
    except ResultError as error:
        print(f"rl.report: {error}", file=sys.stderr)
        return 2
    write_text(options.out / "REPRODUCTION.md", document(findings, differences))
    write_text(options.out / "REPRODUCTION-table.md", folded_table([*asked, *NOT_RUN], further))
    print(f"{options.out / 'REPRODUCTION.md'}: {len(findings)} claims, from {results.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
