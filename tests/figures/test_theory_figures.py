"""The tables behind figures and the figures themselves: the same bytes each time, and none without the other."""

import hashlib
import importlib
import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from figures import style
from repro.manifest import ROOT, manifest
from rl.analysis.reads import Theory
from theory import tables

TABLES = tables.names()
# A long simulation, shortened: what is asserted here does not depend on its length.
SHORTER = {"fig_group_size": {"runs": 4, "steps": 20}}


def compute(name: str) -> str:
    module = importlib.import_module(f"theory.table_data.{name}")
    shorter = SHORTER.get(name, {})
    assert set(shorter) <= set(module.CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in shorter.items():
            patch.setitem(module.CONFIG, key, value)
        return tables.to_csv(module.table())


@pytest.fixture(scope="module", params=TABLES)
def table(request: pytest.FixtureRequest) -> tuple[str, str]:
    """(name, CSV) of a figure's table."""
    return request.param, compute(request.param)


def test_every_table_has_its_figure() -> None:
    for name in TABLES:
        assert Theory(name) in importlib.import_module(f"figures.{name}").READS
    assert {"fig_selection_bias", "fig_reinforcement_bias", "fig_flows", "fig_frontier"} <= set(TABLES)
    assert {"fig_multiplicity", "fig_group_size"} <= set(TABLES)


def test_the_same_table_each_time(table: tuple[str, str]) -> None:
    name, text = table
    assert compute(name) == text
    json.dumps(importlib.import_module(f"theory.table_data.{name}").CONFIG, allow_nan=False)


def test_the_recorded_table_is_what_the_code_computes(table: tuple[str, str]) -> None:
    """Up to how integrators differ between processors; of the long simulation, the settings."""
    name, text = table
    folder = ROOT / "results" / "theory"
    config = json.loads(json.dumps(importlib.import_module(f"theory.table_data.{name}").CONFIG))
    assert json.loads((folder / f"{name}.json").read_text())["config"] == config
    if name not in SHORTER:
        recorded = pd.read_csv(folder / f"{name}.csv")
        pd.testing.assert_frame_equal(pd.read_csv(StringIO(text)), recorded, rtol=1e-4, atol=1e-6)


def test_drawn_in_two_processes_gives_the_same_bytes(table: tuple[str, str], tmp_path: Path) -> None:
    name, text = table
    for which in ("one", "two"):
        folder = tmp_path / which / "theory"
        folder.mkdir(parents=True)
        (folder / f"{name}.csv").write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / f"{name}.json").write_text(json.dumps(manifest({}, None, 0.0, sha256=digest)))
        command = [sys.executable, "-m", f"figures.{name}", "--out", str(tmp_path / which)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for suffix in (".pdf", ".png", ".csv"):
        one, two = ((tmp_path / which / "figures" / f"{name}{suffix}").read_bytes() for which in ("one", "two"))
        assert len(one) > 100
        assert one == two, suffix


def test_refused_in_one_line_and_nothing_drawn_or_drawn_in_a_folder_with_a_space(tmp_path: Path) -> None:
    name, out = "fig_selection_bias", tmp_path / "a space"
    tables.write(name, out)
    command = [sys.executable, "-m", f"figures.{name}", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"{name}: made from theory (local run)\n"
    assert (out / "figures" / f"{name}.pdf").is_file()
    shutil.rmtree(out / "figures")
    (out / "theory" / f"{name}.json").unlink()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{name}: not made: {out / 'theory' / name}.json: ")
    assert not (out / "figures").exists()


def test_figures_fit_a_column_and_can_be_read(table: tuple[str, str]) -> None:
    name, text = table
    style.use()
    fig = importlib.import_module(f"figures.{name}").draw(pd.read_csv(StringIO(text)))
    assert fig.get_size_inches()[0] == style.COLUMN
    fig.canvas.draw()
    words = [word for word in fig.findobj(Text) if word.get_visible() and word.get_text().strip()]
    assert min(word.get_fontsize() for word in words) >= 7
    width, height = fig.canvas.get_width_height()
    for axes in fig.axes:
        for word in (axes.title, axes.xaxis.label, axes.yaxis.label):
            box = word.get_window_extent(fig.canvas.get_renderer())
            if word.get_text():
                assert box.x0 >= -1
                assert box.x1 <= width + 1
                assert box.y0 >= -1
                assert box.y1 <= height + 1
    plt.close(fig)


def test_the_checksum_is_that_of_the_table_and_a_stale_one_never_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tables.write("fig_selection_bias", tmp_path)
    record = path.with_suffix(".json")
    found = json.loads(record.read_text())
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["config"] == json.loads(
        json.dumps(importlib.import_module("theory.table_data.fig_selection_bias").CONFIG)
    )

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        tables.write("fig_selection_bias", tmp_path)
    assert not record.exists()


def test_csv_has_a_fixed_format() -> None:
    found = tables.to_csv({"x": [1 / 3, 1e-12, float("nan")], "n": np.array([1, 2, 3]), "s": ["a", "b,c", 'd"']})
    assert found == 'x,n,s\n0.33333333,1,a\n1e-12,2,"b,c"\n,3,"d"""\n'


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({}, "empty"),
        ({"x": []}, "empty"),
        ({"x": [1.0, 2.0], "y": [1.0]}, "'y'"),
        ({"x": [1.0, 2.0], "y": [[1.0], [2.0]]}, "'y'"),
        ({"x": [1.0, float("inf")]}, "'x'"),
    ],
)
def test_a_table_that_is_none_is_refused(bad: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tables.to_csv(bad)


def test_the_command_offers_the_nearest_name(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "theory.tables", "--only", "fig_flow", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "python -m theory.tables: no figure 'fig_flow'; did you mean 'fig_flows'?\n"
    assert list(tmp_path.iterdir()) == []


def test_tables_need_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys, importlib, theory.tables as e; "
        "[importlib.import_module('theory.table_data.' + n) for n in e.names()]; "
        "print([m for m in ('torch', 'matplotlib', 'pandas', 'rl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
