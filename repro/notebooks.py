"""`python -m repro.notebooks`: run every notebook from top to bottom, on copies, so that the tree stays clean.

The executed copies go to `<out>/notebooks/`, also that of a notebook which failed: its last output says why.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from repro.files import write_text
from repro.manifest import ROOT
from repro.names import nearest

FOLDER = ROOT / "notebooks"
TIMEOUT = 600  # seconds a cell may take
WIDGET = "application/vnd.jupyter.widget-view+json"


def names(folder: Path) -> list[str]:
    """The notebooks of a folder, without `.ipynb`, T2 before T10."""

    def order(name: str) -> tuple[int, str]:
        number = name.partition("_")[0].removeprefix("T")
        return (int(number) if number.isdigit() else sys.maxsize), name

    return sorted((path.stem for path in folder.glob("*.ipynb")), key=order)


def execute(path: Path, cwd: Path) -> tuple[nbformat.NotebookNode, str | None]:
    """Run the notebook at `path` with `cwd` as its folder: its executed copy, and its error in one line or None.

    Of live controls the copy keeps the picture alone: a widget is nothing without the kernel that made it.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        startup_timeout=TIMEOUT,  # on a loaded machine a minute is not enough
        kernel_name="python3",
        record_timing=False,  # the same run leaves the same file
        coalesce_streams=True,  # however the kernel cuts what a cell prints
        store_widget_state=False,
        resources={"metadata": {"path": str(cwd)}},
    )
    try:
        client.execute(stderr=subprocess.DEVNULL)  # the kernel's own warnings; what cells print is captured
    except CellExecutionError as error:
        return notebook, f"{error.ename}: {' '.join(error.evalue.split())}"
    except (CellTimeoutError, DeadKernelError) as error:
        return notebook, " ".join(str(error).split())
    finally:
        for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
            output.get("data", {}).pop(WIDGET, None)
    return notebook, None


def run(name: str, folder: Path, out: Path) -> tuple[str | None, float]:
    """Execute notebook `name` of `folder` into `<out>/notebooks/`; its error or None, and the seconds it took."""
    started = time.time()
    notebook, error = execute(folder / f"{name}.ipynb", ROOT)
    write_text(out / "notebooks" / f"{name}.ipynb", nbformat.writes(notebook) + "\n")
    return error, time.time() - started


def chosen(only: list[str] | None, available: list[str]) -> list[str]:
    """The notebooks asked for, by name or by theorem (`T6`). ValueError names one that is not there and the nearest."""
    if not only:
        return available
    found = []
    for wanted in only:
        matching = [name for name in available if name == wanted or name.startswith(f"{wanted}_")]
        if not matching:
            raise ValueError(f"no notebook {wanted!r}{nearest(wanted, available)}")
        found += [name for name in matching if name not in found]
    return found


def main() -> int:
    """Run the notebooks; 1 if one fails (each is named with its error), 2 for a name that no notebook has."""
    parser = argparse.ArgumentParser(prog="python -m repro.notebooks", description="Execute the notebooks, on copies.")
    parser.add_argument("--only", nargs="+", action="extend", metavar="NAME", help="by name or theorem (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks side by side (default: 1)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they lie (default: notebooks/)")
    parser.add_argument("--out", type=Path, default=Path("build"), help="copies go to <out>/notebooks")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.exit(2, f"{parser.prog}: --jobs is a whole number from 1, not {options.jobs}\n")
    try:
        todo = chosen(options.only, names(options.folder))
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    if not todo:
        parser.exit(2, f"{parser.prog}: no notebook in {options.folder}\n")
    failed, started = [], time.time()
    with ProcessPoolExecutor(min(options.jobs, len(todo))) as pool:
        waiting = {pool.submit(run, name, options.folder.resolve(), options.out.resolve()): name for name in todo}
        for done, future in enumerate(as_completed(waiting), 1):
            name, (wrong, seconds) = waiting[future], future.result()
            left = (time.time() - started) / done * (len(todo) - done)
            print(f"[{done}/{len(todo)}] {name}: {'failed' if wrong else 'ran'} ({seconds:.0f} s", end="")
            print(f"; about {left:.0f} s left)" if done < len(todo) else ")", flush=True)
            if wrong:
                failed.append(name)
                print(f"{name}.ipynb: {wrong}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
