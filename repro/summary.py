"""`python -m repro.summary`: what a run checked and where everything lies, in a screenful."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def theorems(out: Path) -> list[str]:
    """One line for each theorem that this run verified."""
    path = out / "theory" / "verify.json"
    if not path.is_file():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    lines = [f"Theorems ({record['manifest']['config']['instances']:,} random instances each):"]
    for theorem in record["theorems"]:
        noticed = sum(bool(control["noticed"]) for control in theorem["controls"])
        mark = "✓" if theorem["holds"] else "✗"
        lines.append(
            f"  {mark} {theorem['id']:<4}{theorem['title']:<48} {len(theorem['outcomes']):>2} facts, "
            f"{noticed} of {len(theorem['controls'])} broken variants noticed  [{theorem['tag']}]"
        )
    return lines


def verdicts(out: Path) -> list[str]:
    """The claims with their verdicts, as `rl.report` judged them."""
    path = out / "claims.json"
    if not path.is_file():
        return []
    lines = []
    for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]:
        verdict = claim["verdict"] + (", preliminary" if claim["preliminary"] else "")
        lines.append(f"  {verdict:<27} {claim['text']}")
    return ["The paper's claims:", *lines]


def places(out: Path) -> list[str]:
    """What lies where, for what is there."""
    known = {
        "theory/verify.json": "every fact, error, tolerance and negative control",
        "figures": "figures (PDF, PNG) and tables (Markdown, TeX), each with its CSV",
        "runs": "runs: weights, metrics, evaluations, manifests",
        "notebooks": "the notebooks, executed",
        "REPRODUCTION.md": "the claims one by one, with intervals",
    }
    return ["Where it lies:", *(f"  {out / name}: {what}" for name, what in known.items() if (out / name).exists())]


def times(out: Path) -> list[str]:
    """Where the time went: the stages of this and earlier calls, the longest first."""
    stages = [(path.stem, json.loads(path.read_text())["seconds"]) for path in (out / "stages").glob("*.json")]
    longest = sorted(stages, key=lambda stage: -stage[1])[:6]
    return ["Longest stages: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in longest)] if longest else []


def main() -> None:
    """Print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.summary", description="What a run checked, and where it lies."
    )
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--seconds", type=int, default=0, help="how long this call took")
    options = parser.parse_args()
    parts = [part(options.out) for part in (theorems, verdicts, places, times)]
    print("\n" + "\n\n".join("\n".join(part) for part in parts if part))
    print(f"This call: {options.seconds // 60} min {options.seconds % 60} s")


if __name__ == "__main__":
    main()
