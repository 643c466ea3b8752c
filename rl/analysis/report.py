"""The text of `claims.json`: REPRODUCTION.md and the README's table. Words come last; nothing reads them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
"""What `claims.json` holds (see `rl.analysis.judging`), or one of its claims."""

HEADER = """# What reproduces, and what does not

Written by `python -m rl.report` from `results/claims.json`; do not edit. Confidence in a source: H a primary source, M
a second-hand summary. The paper's full text was not available, so the wording of each claim is ours. Each difference
has its 95% confidence interval over seeds; each seed has its own base model. The primary endpoints are the differences
ds-grpo − grpo at the last step on held-out problems: Pass@1 and Pass@1024 on Countdown and mazes, Pass@1 and Pass@64 on
linear equations. They were preregistered before the first DS run of their experiment, in `docs/protocols/`. On
Countdown trained to saturation the endpoint is the mean over the last fifth of the steps.
"""

RULES = """## Verdicts

A difference is significant if its 95% CI excludes 0.

- *Reproduced*: every difference is significant in the claimed direction.
- *In part*: at least one is; the CIs of the others include 0.
- *Mixed*: at least one is significant in the claimed direction and at least one in the opposite direction.
- *Contradicted*: at least one is significant in the opposite direction and none in the claimed direction.
- *Equal*: every CI includes 0 and lies within the margin of its quantity
  ({margins}).
- *Undecided*: the CIs include 0 and are wider, or the quantity has no margin.
- *Not run*: there is no recorded result.

On Countdown trained to saturation the claims of a family are tested together: a difference is significant if its
p-value, Holm-adjusted over the family for each quantity, is below .05, and equal if two one-sided t-tests (TOST) at .05
place it within the margin.
*Preliminary* means fewer than {seeds} seeds. A baseline comparison claims that DS-GRPO is above every other method: one
method above it at one endpoint contradicts the claim; *in part* means above some methods and below none. These
intervals are not corrected for the number of methods: by chance alone about one in twenty excludes 0.
"""

SATURATED = """## Countdown trained to saturation: {done} of {planned} seeds

Protocol: `docs/protocols/countdown-saturated.md`. Differences from grpo at the endpoint, the mean over the evaluations
of the last fifth of the steps, with 95% CI over seeds; *equal*: TOST at .05. This table describes; the preregistered
comparisons are among the claims above. `@lr3`: a third of the learning rate; `@16x32`: 16 prompts × 32 rollouts.

{table}
The hierarchical bootstrap (seeds × problems) and the variance pooled over methods are in `results/claims.json`. They
disagree with the t-interval on whether 0 is excluded for: {disagreeing}.

ds-grpo at the endpoint against grpo's best checkpoint by validation Pass@1: {best}.

Pass@128 at equal Pass@1, read on isotonic curves of held-out Pass@1 (other k: `results/claims.json`); the placebo is
grpo against itself:

{stops}"""

LIMITS = """## What a reader must not conclude

- The models have 134 to 170 thousand parameters. They were trained from scratch on Countdown with four numbers up to 9,
  on generated linear equations and on mazes; at the gpu scale 17 million, on Countdown with numbers up to 99. Nothing
  here measures a 7B model on real mathematics; those claims are listed as not run.
- The values of gamma belong to this task, this aggregation (sum of log-probs) and this place (advantage); they do not
  carry over. On linear equations and at the gpu scale they were not searched, but taken over from Countdown.
- The base model that was taught a mistake is artificial. It shows what an entropy term does where mistakes are likely,
  not that language models are like it.
- The held-out problems of the recorded runs on mazes and linear equations are not new in every way. Training contains
  every held-out grid with other starts and goals or mirrored, and every held-out equation once its terms are collected:
  .67 of the held-out mazes with many paths are mirror images of training mazes. The experiments `*-leakfree` have a
  split without this leakage; they are not run (`docs/protocols/maze.md`, `docs/protocols/linear.md`).
- At the gpu scale the base model overfits its training problems (its first rewards lie far above its held-out Pass@1),
  so training could gain little; its settings were not tuned (`docs/protocols/gpu.md`).
- A method above at Pass@1024 and below at Pass@1 makes another trade-off, which GRPO stopped earlier may offer too:
  `figures/out/tab_early_stopping.md` compares every method with that.
- A difference whose CI includes 0 is not evidence of equality.
- The theorems are about tabular policies. The bridge tests show that the trainer's expected step is theirs on a tabular
  model; with shared parameters they are a guide, not a guarantee.
"""


def interval(found: Record) -> str:
    """`+0.021 [+0.010, +0.032]`; a single seed is said, and that its interval is over problems."""
    if found["low"] is None:
        return f"{found['mean']:+.3f} (one seed)"
    over = " over problems" if found["over"] == "problems" else ""
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]{over}"


def seeds(claim: Record) -> str:
    """`5`, `3 of 5` where runs are missing, `—` where there is none."""
    run, planned = claim["run_seeds"], len(claim["seeds"])
    return "—" if not run else str(run) if run >= planned else f"{run} of {planned}"


def verdict(claim: Record) -> str:
    """`in part, preliminary`."""
    return claim["verdict"] + (", preliminary" if claim["preliminary"] else "")


def source(claim: Record) -> str:
    """`abstract (H), of other tasks`."""
    confidence = f" ({claim['confidence']})" if claim["confidence"] else ""
    note = f", {claim['note']}" if claim["note"] else ""
    primary = "; primary endpoints" if claim["primary"] else ""
    return f"{claim['source']}{confidence}{note}{primary}"


def run(claim: Record) -> str:
    """What was run."""
    if claim["theory"]:
        count = claim["theory"]
        return f"{count['theorems']} theorems, {count['instances']:,} random instances each where vectorized"
    if not claim["estimates"]:
        return "—"
    others = {one["reference"] for one in claim["estimates"]}
    against = f"{len(others)} methods" if claim["kind"] == "above-all" else claim["reference"]
    more = " or more" if claim["kind"] == "above-all" else ""
    return f"{claim['experiment']}: {claim['method']} against {against}, seeds: {seeds(claim)}{more}"


def outcome(claim: Record, counted: bool = False, most: int | None = None) -> str:
    """What came out. counted: of other methods the number, not the names. most: so many differences at most."""
    if claim["theory"]:
        return _theory(claim["theory"])
    found = claim["estimates"]
    if not found:
        return "—"
    if claim["kind"] == "fewer-samples":
        [one] = found
        k = one["quantity"].removeprefix("pass@")
        if one["low"] is None:
            return f"no interval for the ratio of samples at k = {k}"
        return f"{one['mean']:.2f} [{one['low']:.2f}, {one['high']:.2f}] times fewer samples at k = {k}"
    if claim["kind"] == "above-all":
        labels = dict.fromkeys(one["label"] for one in found)
        return ". ".join(
            f"{label}: {_sides([one for one in found if one['label'] == label], counted)}" for label in labels
        )
    return "; ".join(f"Δ{one['label']} {interval(one)}{'' if most else _tests(one['tests'])}" for one in found[:most])


def _tests(found: Record | None) -> str:
    """` (p 0.03; equality p 0.2)`: Holm-adjusted, and TOST's; empty outside a family."""
    if not found or found["p_holm"] is None:
        return ""
    equality = f"; equality p {found['p_equal']:.2g}" if found.get("p_equal") is not None else ""
    return f" (p {found['p_holm']:.2g}{equality})"


def _sides(found: Sequence[Record], counted: bool) -> str:
    parts = []
    for word, wanted in (
        ("above", ("higher",)),
        ("below", ("lower",)),
        ("no significant difference from", ("equal", "undecided")),
    ):
        names = [one["reference"] for one in found if one["status"] in wanted]
        parts += [f"{word} {f'{len(names)} of {len(found)}' if counted else ', '.join(names)}"] if names else []
    return "; ".join(parts)


def _theory(count: Record) -> str:
    said = f"{count['hold']} of {count['theorems']} hold; "
    said += f"{count['noticed']} of {count['controls']} negative controls were noticed"
    if count["counterexamples"]:
        said += (
            f"; the literal form of T6 fails on {count['counterexamples']:,} of {count['instances']:,} instances, the "
            "self-centered form on none"
        )
    return said


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def readme_table(record: Record) -> str:
    """The README's table: the claims that have a headline."""
    rows = [
        (claim["headline"], outcome(claim, counted=True, most=2), f"**{verdict(claim)}**", seeds(claim))
        for claim in record["claims"]
        if claim["headline"]
    ]
    return _table(("claim", "difference [95% CI]", "verdict", "seeds"), rows)


def document(record: Record) -> str:
    """REPRODUCTION.md."""
    claims, labels = record["claims"], {one["name"]: one["label"] for one in record["quantities"]}
    first = _table(
        ("id", "claim", "source", "what was run", "what came out", "verdict"),
        ((f"`{one['id']}`", one["text"], source(one), run(one), outcome(one), f"**{verdict(one)}**") for one in claims),
    )
    commands = _table(
        ("id", "command", "expected"), ((f"`{one['id']}`", f"`{one['command']}`", outcome(one)) for one in claims)
    )
    parts = [
        HEADER,
        first,
        RULES.format(seeds=record["seeds_for_a_verdict"], margins=_margins(record["quantities"])),
        _compared(record["compared"]),
        *([_across(record["across_tasks"], labels)] if record["across_tasks"] else []),
        *([_saturated(record["saturated"], claims, labels)] if record["saturated"] else []),
        f"## Claim → command → expected output\n\n{commands}",
        LIMITS,
    ]
    return "\n".join(parts)


def _margins(quantities: Sequence[Record]) -> str:
    with_margin = [f"{one['label']} ±{one['margin']:g}" for one in quantities if one["margin"] is not None]
    return ", ".join(with_margin) + "; no other has one"


def _compared(compared: Record) -> str:
    head = (
        "method",
        "quantity",
        "difference",
        "95% CI over seeds",
        "seeds above / all",
        "p",
        "primary",
        "95% CI over problems",
    )
    rows = compared["rows"]
    secondary = [row for row in rows if not row["primary"] and row["p"] is not None]
    intro = (
        f"## Every method against {compared['reference'].upper()}\n\n"
        f"Experiment {compared['experiment']}. p: paired t-test over seeds; the {len(secondary)} secondary ones are "
        "Holm-corrected together.\nLast column: 95% bootstrap over problems.\n\n"
    )
    return intro + _table(head, map(_row, rows))


def _across(found: Record, labels: Mapping[str, str]) -> str:
    """The section on several tasks at once."""
    rows = _table(
        ("method", "quantity", "interquartile mean", f"probability of improvement over {found['reference']}"),
        (
            (row["method"], labels[row["quantity"]], *(_level(row[name]) for name in ("iqm", "improvement")))
            for row in found["rows"]
        ),
    )
    return (
        f"## Over {len(found['tasks'])} tasks\n\nThe methods that {', '.join(found['tasks'])} share, "
        f"{len(found['seeds'])} seeds each; 95% stratified bootstrap over seeds.\n\n{rows}"
    )


def _level(found: Record) -> str:
    ends = f" [{found['low']:.3f}, {found['high']:.3f}]" if found["low"] is not None else " (one seed)"
    return f"{found['mean']:.3f}{ends}"


def _saturated(found: Record, claims: Sequence[Record], labels: Mapping[str, str]) -> str:
    """The section on the protocol, from however many of its runs there are."""
    planned = max(len(claim["seeds"]) for claim in claims if claim["experiment"] == found["experiment"])
    done = len(found["seeds"].get("ds-grpo", []))
    quantities = list(dict.fromkeys(row["quantity"] for row in found["differences"]))
    by_method: dict[str, dict[str, Record]] = {}
    for row in found["differences"]:
        by_method.setdefault(row["method"], {})[row["quantity"]] = row
    table = _table(
        ("method", "seeds", *(f"Δ{labels[name]}" for name in quantities)),
        (
            (method, str(rows[quantities[0]]["seeds"]), *(_status(rows[name]) for name in quantities))
            for method, rows in by_method.items()
        ),
    )
    disagreeing = [
        f"{row['method']}, {labels[row['quantity']]} ({check})"
        for row in found["differences"]
        for check in ("bootstrap", "pooled")
        if row["low"] is not None
        and row[f"{check}_low"] is not None
        and _excludes_zero(row["low"], row["high"]) != _excludes_zero(row[f"{check}_low"], row[f"{check}_high"])
    ]
    stops = _table(
        ("method", "against", "ΔPass@128", "seeds", "step", "step of the other"),
        (
            (
                row["method"] if row["method"] != row["reference"] else f"{row['method']} (placebo)",
                f"{row['reference']}{', stopped at its Pass@1' if row['kind'] == 'end' else ', both at equal Pass@1'}",
                interval({**row, "over": "seeds"}),
                str(row["seeds"]),
                f"{row['step']:.0f}",
                f"{row['reference_step']:.0f}",
            )
            for row in found["equal_pass1"]
            if row["k"] == 128
        ),
    )
    best = "; ".join(f"ΔPass@{row['k']} {interval({**row, 'over': 'seeds'})}" for row in found["best_checkpoint"])
    return SATURATED.format(
        done=done,
        planned=planned,
        table=table,
        disagreeing=", ".join(disagreeing) or "none",
        best=best or "—",
        stops=stops,
    )


def _excludes_zero(low: float, high: float) -> bool:
    return low > 0 or high < 0


def _status(row: Record) -> str:
    equal = row.get("p_equal") is not None and row["p_equal"] < 0.05
    return interval({**row, "over": "seeds"}) + (", equal" if equal else "")


def _row(row: Record) -> Sequence[str]:
    several = row["seeds"] > 1
    return (
        row["method"],
        f"Δ{row['label']}",
        f"{row['difference']:+.3f}",
        f"[{row['low']:+.3f}, {row['high']:+.3f}]" if several else "one seed",
        f"{row['positive_seeds']} / {row['seeds']}",
        f"{row['p_holm']:.3g}" if several else "—",
        "yes" if row["primary"] else "",
        f"[{row['problems_low']:+.3f}, {row['problems_high']:+.3f}]",
    )
