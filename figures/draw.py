"""`python -m figures.draw`: draw every exhibit, each by its own command; the refused are named.

Exhibits are the modules `figures/fig_*.py` and `figures/tab_*.py`. Each runs in a process of its own, as it does by
hand, so that what one sets up cannot change what another draws.
"""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Every exhibit, figures before tables, sorted."""
    return sorted(path.stem for kind in ("fig", "tab") for path in FOLDER.glob(f"{kind}_*.py"))


def draw(name: str, out: Path) -> bool:
    """Draw one exhibit into `<out>/figures/`, say so or why not in one line; whether it was drawn."""
    command = [sys.executable, "-m", f"figures.{name}", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    line = said[-1] if said else f"{name}: ended with status {done.returncode} and said nothing"
    print(line, file=sys.stderr if done.returncode else sys.stdout, flush=True)
    return done.returncode == 0


def main() -> int:
    """Draw those asked for (default: all); 1 if any was refused, 2 for a name that no exhibit has."""
    parser = argparse.ArgumentParser(prog="python -m figures.draw", description="Draw the exhibits.")
    parser.add_argument("--only", nargs="+", action="extend", metavar="NAME", help="exhibits by name (default: all)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="the run at hand, and where exhibits go")
    options = parser.parse_args()
    todo = options.only or names()
    unknown = next((name for name in todo if name not in names()), None)
    if unknown:
        nearest = difflib.get_close_matches(unknown, names(), 1, cutoff=0.0)[0]
        parser.exit(2, f"{parser.prog}: no exhibit {unknown!r}; did you mean {nearest!r}?\n")
    refused = [name for name in todo if not draw(name, options.out)]
    print(f"{len(todo) - len(refused)} of {len(todo)} drawn" + (f"; refused: {', '.join(refused)}" if refused else ""))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
