"""`python -m repro.notebooks`: copies, one line for each, failures named."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from repro.manifest import ROOT
from repro.notebooks import chosen, names


def write(folder: Path, name: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{place}") for place, source in enumerate(cells)]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.ipynb").write_text(nbformat.writes(notebook))


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "repro.notebooks", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)


def test_copies_are_executed_and_failures_named(tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    write(folder, "T2_right", "print(6 * 7)")
    write(folder, "T10_wrong", "x = 1", "raise RuntimeError('two\\nlines')", "print('never')")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = command("--folder", folder, "--out", tmp_path / "out", "--jobs", 2)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["T10_wrong.ipynb: RuntimeError: two lines"]
    progress = done.stdout.splitlines()
    assert len(progress) == 2
    assert "left" in progress[0]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    right = nbformat.read(tmp_path / "out/notebooks/T2_right.ipynb", as_version=4)
    assert right.cells[0].outputs[0].text == "42\n"
    wrong = nbformat.read(tmp_path / "out/notebooks/T10_wrong.ipynb", as_version=4)
    assert wrong.cells[1].outputs[-1].output_type == "error"
    assert wrong.cells[2].outputs == []


def test_the_same_run_leaves_the_same_file(tmp_path: Path) -> None:
    write(tmp_path / "originals", "T1_one", "print('same')")
    copies = []
    for out in (tmp_path / "a", tmp_path / "b"):
        assert command("--folder", tmp_path / "originals", "--out", out).returncode == 0
        copies.append((out / "notebooks/T1_one.ipynb").read_bytes())
    assert copies[0] == copies[1]


def test_order_and_choice(tmp_path: Path) -> None:
    for name in ("T10_b", "T1_a", "T2_c", "results"):
        write(tmp_path, name, "1")
    available = names(tmp_path)
    assert available == ["T1_a", "T2_c", "T10_b", "results"]
    assert chosen(["T1", "results", "T1_a"], available) == ["T1_a", "results"]
    with pytest.raises(ValueError, match="no notebook 'resuts'; did you mean 'results'"):
        chosen(["resuts"], available)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--only", "T99"], "no notebook 'T99'"), (["--jobs", "0"], "--jobs"), (["--jobs", "x"], "x")],
)
def test_bad_input_is_one_line(arguments: list[str], said: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
