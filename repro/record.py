"""`python -m repro.record`: promote finished results to what is committed: `results/`, `figures/`, REPRODUCTION.md.

Weights, checkpoints and per-sample files stay behind. A result without a complete manifest is refused by name.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from repro.files import replacing, write_text
from repro.manifest import ROOT, missing_fields

RUN_FILES = (
    "config.yaml",
    "manifest.json",
    "metrics.jsonl",
    "eval-heldout.json",
    "eval-heldout.parquet",
    "heldout-steps.parquet",
)
EXHIBIT_SUFFIXES = (".pdf", ".png", ".csv", ".md", ".tex")


def copies(out: Path, root: Path = ROOT) -> list[tuple[Path, Path]]:
    """What would be promoted: (file of the run at hand, its committed place)."""
    found: list[tuple[Path, Path]] = []
    for source in sorted((out / "theory").glob("*")):
        if source.suffix in (".json", ".csv"):
            found.append((source, root / "results" / "theory" / source.name))
    for manifest in sorted((out / "runs").rglob("manifest.json")):
        folder = manifest.parent.relative_to(out / "runs")
        scale = json.loads(manifest.read_text(encoding="utf-8")).get("config", {}).get("scale", "cpu")
        for name in RUN_FILES:
            if (manifest.parent / name).is_file():
                found.append((manifest.parent / name, root / "results" / scale / folder / name))
    for search in sorted((out / "runs").glob("search-*.json")):
        found.append((search, root / "results" / "cpu" / search.name))
    for bench in sorted((out / "bench").glob("*.json")):
        on_gpu = "gpu" in json.loads(bench.read_text(encoding="utf-8")).get("manifest", {}).get("hardware", {})
        found.append((bench, root / "results" / ("gpu" if on_gpu else "cpu") / "bench" / bench.name))
    for source in sorted((out / "figures").glob("*")):
        if source.suffix in EXHIBIT_SUFFIXES:
            found.append((source, root / "figures" / source.name))
    for source, target in ((out / "claims.json", root / "results"), (out / "REPRODUCTION.md", root)):
        if source.is_file():
            found.append((source, target / source.name))
    return found


def refused(source: Path) -> str | None:
    """Why `source` may not be promoted, or None. Looks at the JSON files, each of which carries or is a manifest."""
    if source.suffix != ".json" or source.name == "claims.json":  # the claims follow from results that have manifests
        return None
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{source}: not JSON ({error})"
    missing = missing_fields(content.get("manifest", content))
    return f"{source}: its manifest lacks {', '.join(missing)}" if missing else None


def with_verdicts(readme: str, table: str) -> str:
    """The README with `table` between its two verdict marks; ValueError if it has no such marks."""
    before, first, rest = readme.partition("<!-- verdicts -->")
    _, last, after = rest.partition("<!-- /verdicts -->")
    if not (first and last):
        raise ValueError("README.md: the marks <!-- verdicts --> … <!-- /verdicts --> are gone")
    return f"{before}{first}\n{table.strip()}\n{last}{after}"


def main() -> int:
    """Copy; 2 if anything is refused (then nothing is copied)."""
    parser = argparse.ArgumentParser(prog="python -m repro.record", description="Promote finished results.")
    parser.add_argument("--out", type=Path, default=Path("build"))
    out = parser.parse_args().out
    pairs = copies(out)
    reasons = [reason for source, _ in pairs if (reason := refused(source))]
    if not pairs:
        reasons = [f"{out}: nothing has been computed there yet"]
    if reasons:
        print(*(f"not recorded: {reason}" for reason in reasons), sep="\n", file=sys.stderr)
        return 2
    for source, target in pairs:
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
    table, readme = out / "readme-table.md", ROOT / "README.md"
    if table.is_file():
        write_text(readme, with_verdicts(readme.read_text(encoding="utf-8"), table.read_text(encoding="utf-8")))
    print(f"recorded {len(pairs)} files under results/ and figures/; `git diff` shows what changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
