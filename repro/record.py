"""`python -m repro.record`: publish finished local results: `results/`, `figures/out/`, REPRODUCTION.md.

Runs go into the tables of their experiment (`rl.analysis.tables`), one by one as they finish: those recorded before
stay. Weights, checkpoints and samples stay behind. A result without a complete manifest is refused by name.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

from repro.files import replacing, write_text
from repro.manifest import ROOT, missing_fields
from rl.analysis import tables
from rl.analysis.results import ResultError, Run, read_run
from rl.analysis.tables import Key, Stored

FIGURE_SUFFIXES = (".pdf", ".png", ".csv", ".md", ".tex")


def copies(out: Path, root: Path = ROOT) -> list[tuple[Path, Path]]:
    """What is published as it is: (local file, its committed place)."""
    found: list[tuple[Path, Path]] = []
    for source in sorted((out / "theory").glob("*")):
        if source.suffix in (".json", ".csv"):
            found.append((source, root / "results" / "theory" / source.name))
    for search in sorted((out / "runs").glob("search-*.json")):
        found.append((search, root / "results" / "cpu" / search.name))
    for bench in sorted((out / "bench").glob("*.json")):
        on_gpu = "gpu" in json.loads(bench.read_text(encoding="utf-8")).get("manifest", {}).get("hardware", {})
        found.append((bench, root / "results" / ("gpu" if on_gpu else "cpu") / "bench" / bench.name))
    for source in sorted((out / "figures").glob("*")):
        if source.suffix in FIGURE_SUFFIXES:
            found.append((source, root / "figures" / "out" / source.name))
    for source, target in ((out / "claims.json", root / "results"), (out / "REPRODUCTION.md", root)):
        if source.is_file():
            found.append((source, target / source.name))
    return found


def refused(source: Path) -> str | None:
    """Why `source` may not be published, or None.

    Looks at the JSON files: each carries or is a manifest, but for the claims, which are judged from what is published.
    """
    if source.suffix != ".json" or source.name == "claims.json":
        return None
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{source}: not JSON ({error})"
    missing = missing_fields(content.get("manifest", content))
    return f"{source}: its manifest lacks {', '.join(missing)}" if missing else None


def stored(run: Run) -> Stored:
    """`run` without Pass@k, which follows from C where that is exact, and of the coverage with k = 128 alone.

    Means over the problems of both are in the summary, for every k.
    """
    left_out = r"coverage_(?!128$)|passk_" if run.summary and run.exact else r"coverage_(?!128$)"
    problems = run.problems[[name for name in run.problems if not re.match(left_out, str(name))]]
    rows = {"evaluations": problems, "metrics": run.metrics, "trajectories": run.trajectory}
    return Stored(run.manifest, run.summary or None, {name: part for name, part in rows.items() if not part.empty})


def finished(out: Path, root: Path = ROOT) -> tuple[dict[Path, dict[Key, Stored]], list[str]]:
    """The finished local runs by the folder of their tables, and why some are refused."""
    found: dict[Path, dict[Key, Stored]] = {}
    reasons = []
    for manifest in sorted((out / "runs").glob("*/seed*/*/manifest.json")):
        try:
            run = read_run(manifest.parent)
        except ResultError as error:
            reasons.append(str(error))
            continue
        experiment = manifest.parent.parent.parent.name
        folder = tables.folder_of(root / "results", run.config.get("scale", "cpu"), experiment)
        found.setdefault(folder, {})[experiment, run.seed, run.method] = stored(run)
    for folder, runs in found.items():
        before = tables.read(folder)
        for key, one in runs.items():
            if one.evaluation is None and key in before and before[key].evaluation is not None:
                reasons.append(f"{'/'.join(map(str, key))}: not evaluated, and the committed run is; evaluate it first")
    return found, reasons


def with_verdicts(readme: str, table: str) -> str:
    """The README with `table` between its two verdict marks; ValueError if it has no such marks."""
    before, first, rest = readme.partition("<!-- verdicts -->")
    _, last, after = rest.partition("<!-- /verdicts -->")
    if not (first and last):
        raise ValueError("README.md: the marks <!-- verdicts --> … <!-- /verdicts --> are gone")
    return f"{before}{first}\n{table.strip()}\n{last}{after}"


def record(out: Path, root: Path = ROOT) -> tuple[int, int]:
    """Publish all that is finished under `out`; how many runs and files that was.

    Raises ResultError, with a line for each reason, if anything is refused; then nothing is published.
    """
    pairs = copies(out, root)
    runs, reasons = finished(out, root)
    reasons += [reason for source, _ in pairs if (reason := refused(source))]
    if not pairs and not runs and not reasons:
        reasons = [f"{out}: nothing has been computed there yet"]
    if reasons:
        raise ResultError("\n".join(f"not recorded: {reason}" for reason in reasons))
    for folder, found in runs.items():
        tables.update(folder, found)
    for source, target in pairs:
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
    table, readme = out / "readme-table.md", root / "README.md"
    if table.is_file():
        write_text(readme, with_verdicts(readme.read_text(encoding="utf-8"), table.read_text(encoding="utf-8")))
    return sum(map(len, runs.values())), len(pairs)


def main() -> int:
    """Publish; 2 if anything is refused."""
    parser = argparse.ArgumentParser(prog="python -m repro.record", description="Publish finished results.")
    parser.add_argument("--out", type=Path, default=Path("build"))
    try:
        runs, files = record(parser.parse_args().out)
    except ResultError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"recorded {runs} runs and {files} files under results/ and figures/out/; `git diff` shows what changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
