"""The notebooks: committed with what they show, without a trace of the machine they ran on, and they run anywhere."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from repro.manifest import ROOT
from repro.notebooks import FOLDER, WIDGET, execute, names

NOTEBOOKS = names(FOLDER)
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|Users|usr|opt)/|[A-Z]:\\\\Users")


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def text_of(notebook: nbformat.NotebookNode) -> str:
    """All but the pictures, whose base64 may hold any letters."""
    bare = json.loads(json.dumps(notebook))
    for output in (o for cell in bare["cells"] for o in cell.get("outputs", [])):
        output.get("data", {}).pop("image/png", None)
    return json.dumps(bare, ensure_ascii=False)


def words(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell shows in text, numbers left out: their last digits are those of the processor."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            shown.append(" ".join(NUMBER.sub("#", "".join(texts)).split()))
    return shown


MOVE = """
import itertools
from figures.controls import Live

for live in [shown for shown in Out.values() if isinstance(shown, Live)]:
    first = live.picture.value
    for ends in itertools.product(*((slider.min, slider.max) for slider in live.sliders.values())):
        for slider, end in zip(live.sliders.values(), ends):
            slider.value = end
        assert live.picture.value != first, ends
    print(*live.sliders)
"""
"""A cell that moves the sliders of each live figure to all combinations of their ends, as a reader would."""


def test_every_theorem_has_its_notebook() -> None:
    numbers = [name.partition("_")[0] for name in NOTEBOOKS]
    assert [number for number in numbers if number.startswith("T")] == [f"T{k}" for k in range(1, 14)]


def test_the_first_notebook_needs_only_numpy_and_matplotlib() -> None:
    code = "\n".join(cell.source for cell in read(NOTEBOOKS[0]).cells if cell.cell_type == "code")
    assert set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE)) == {"numpy", "matplotlib"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_with_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    shown = outputs(notebook)
    assert shown, "no output at all"
    assert [output for output in shown if output.output_type == "error"] == []
    assert [output.text for output in shown if output.get("name") == "stderr"] == []
    assert any("image/png" in output.get("data", {}) for output in shown), "no figure"
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "not executed once, from top to bottom"
    assert "widgets" not in notebook.metadata
    assert [data for data in (output.get("data", {}) for output in shown) if WIDGET in data] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_machine_paths(name: str) -> None:
    found = text_of(read(name))
    assert MACHINE.search(found) is None
    assert str(ROOT) not in found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_from_any_folder_and_its_controls_move(name: str, tmp_path: Path) -> None:
    notebook = read(name)
    notebook.cells.append(nbformat.v4.new_code_cell(MOVE, id="move"))
    path = tmp_path / f"{name}.ipynb"
    path.write_text(nbformat.writes(notebook))
    fresh, error = execute(path, tmp_path)
    assert error is None
    moved = "".join(output.get("text", "") for output in fresh.cells.pop().outputs)
    assert words(fresh) == words(read(name)), "what it shows is not what is committed"
    if name.startswith("T"):
        assert 2 <= len(moved.split()) <= 4, "no live controls"


def test_changed_words_are_noticed_and_changed_digits_are_not() -> None:
    def of(text: str) -> list[str]:
        output = nbformat.v4.new_output("stream", name="stdout", text=text)
        return words(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])]))

    assert of("error 3.1e-16  holds") == of("error 2.7e-15 holds")
    assert of("error 3.1e-16 holds") != of("error 3.1e-16 fails")


def test_machine_paths_are_noticed() -> None:
    for path in ("/work/theory", "see /root/x", '"/home/me/a"', "/tmp/out"):
        assert MACHINE.search(path)
    for harmless in ("theory/verify.py", "build/work/x", "https://arxiv.org/home/1", "a/b"):
        assert MACHINE.search(harmless) is None
