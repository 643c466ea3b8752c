"""`python -m rl.report`: judge every claim from recorded runs; write claims.json, and from it REPRODUCTION.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from repro.files import write_json, write_text
from rl.analysis.judging import MAIN, judge_all
from rl.analysis.report import document, readme_table
from rl.analysis.results import ResultError
from rl.experiments.yaml_loader import ConfigError


def main() -> int:
    """Write the three files under --out; 2 and one line if there is nothing to write them from."""
    parser = argparse.ArgumentParser(prog="python -m rl.report", description="Judge the claims from recorded results.")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--experiment", default=MAIN, help=f"what stands in for {MAIN} (default: itself)")
    parser.add_argument("--scale", default="cpu", choices=["cpu", "llm", "gpu", "paper"])
    options = parser.parse_args()
    try:
        record = judge_all(options.out, options.experiment, options.scale)
    except (ConfigError, ResultError) as error:
        print(f"rl.report: {error}", file=sys.stderr)
        return 2
    write_json(options.out / "claims.json", record)
    write_text(options.out / "REPRODUCTION.md", document(record))
    write_text(options.out / "readme-table.md", readme_table(record))
    print(f"{options.out / 'claims.json'}: {len(record['claims'])} claims judged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
