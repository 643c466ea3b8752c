"""The look of figures and tables: colors told apart by everybody, readable sizes, valid Markdown and TeX."""

import dataclasses
import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from recorded import write_run

from differential_smoothing.methods import METHODS
from figures import fig_heuristics, fig_pareto, style
from rl.analysis.results import load

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
APART = 9.0  # CIE 1976; about four times what is just noticeable side by side


def lab(color: str, vision: str) -> np.ndarray:
    s = np.array(to_rgb(color))
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def closest(colors: list[str], vision: str) -> float:
    seen = [lab(color, vision) for color in colors]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("vision", VISION)
def test_methods_have_distinct_colors(vision: str) -> None:
    assert closest([style.color(name) for name in ("base", *METHODS)], vision) > APART


def test_close_colors_are_noticed() -> None:
    assert closest(["#e69f00", "#b8a800"], "normal") > APART
    assert closest(["#e69f00", "#b8a800"], "protanopia") < APART


def test_names_of_theory_and_experiment_share_a_color_and_every_method_has_a_label_of_its_own() -> None:
    for theory, trained in (("vanilla", "grpo"), ("ds", "ds-grpo"), ("ds-centered", "ds-grpo-centered")):
        assert style.color(theory) == style.color(trained)
        assert style.marker(theory) == style.marker(trained)
    labels = [style.label(name) for name in (*METHODS, *style.LABELS)]
    assert len(set(labels)) == len(labels)
    assert (style.label("ds-grpo@token"), style.color("ds-grpo@token")) == ("DS-GRPO@token", style.color("ds-grpo"))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three methods that only the registry knows."""
    before = {name: (style.color(name), style.marker(name)) for name in METHODS}
    for name, label in (("new-one", "New one"), ("another", "Another"), ("third", "Third")):
        monkeypatch.setitem(METHODS, name, dataclasses.replace(METHODS["maxrl"], name=name, label=label))
    assert {name: (style.color(name), style.marker(name)) for name in before} == before
    return ["new-one", "another", "third"]


@pytest.mark.parametrize("vision", VISION)
def test_a_new_method_gets_a_color_that_stands_out(added: list[str], vision: str) -> None:
    assert not set(added) & set(style.COLORS)
    assert closest(["white", *(style.color(name) for name in ("base", *METHODS))], vision) > 6


def test_a_method_is_drawn_once_the_registry_has_it(added: list[str], tmp_path: Path) -> None:
    for seed in range(3):
        for method, mean in (("grpo", 0.3), ("ds-grpo", 0.4), ("new-one", 0.5)):
            write_run(tmp_path, method, seed, np.full(20, mean), "maze-perfect")
    compared = {"maze-perfect": load("maze-perfect", tmp_path)}
    style.use()
    fig = fig_heuristics.draw(fig_heuristics.frame(compared))
    assert [tick.get_text() for tick in fig.axes[0].get_yticklabels()] == ["DS-GRPO", "New one"]
    drawn = [to_hex(bar.lines[0].get_color()) for bar in fig.axes[0].containers]
    assert drawn == [style.color("ds-grpo"), style.color("new-one")]
    fig = fig_pareto.draw(fig_pareto.frame(compared))
    [legend] = fig.legends
    found = {text.get_text(): line.get_color() for text, line in zip(legend.get_texts(), legend.get_lines())}
    assert found["New one"] == style.color("new-one")  # the same in every figure
    plt.close("all")


def test_text_is_readable_at_column_width_and_embedded() -> None:
    style.use()
    assert plt.rcParams["figure.figsize"][0] == style.COLUMN
    sizes = [plt.rcParams[key] for key in ("font.size", "axes.labelsize", "legend.fontsize", "xtick.labelsize")]
    assert min(sizes) >= 8
    assert plt.rcParams["pdf.fonttype"] == 42


def test_save_writes_three_files_without_a_date_and_leaves_no_other(tmp_path: Path) -> None:
    style.use()
    fig, axes = plt.subplots()
    axes.plot([1, 2])
    style.save(fig, "fig_one", pd.DataFrame({"x": [1.0, 1 / 3], "n": [1, 2]}), tmp_path)
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["fig_one.csv", "fig_one.pdf", "fig_one.png"]
    assert (tmp_path / "figures/fig_one.csv").read_text() == "x,n\n1,1\n0.33333333,2\n"
    pdf = (tmp_path / "figures/fig_one.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"Software" not in (tmp_path / "figures/fig_one.png").read_bytes()
    assert not plt.fignum_exists(fig.number)


def test_a_figure_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style.use()
    fig, _ = plt.subplots()
    monkeypatch.setattr(fig, "savefig", lambda path, **_: Path(path).write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        style.save(fig, "fig_one", pd.DataFrame({"x": [1.0]}), tmp_path)
    assert list((tmp_path / "figures").iterdir()) == []
    plt.close(fig)


AWKWARD = r"50% & a_b #1 $x$ {y} ~ ^ \ | π"


def test_table_in_three_forms(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a_name": [AWKWARD, "plain"], "value": [0.123456, float("nan")]})
    style.save_table("tab_one", frame, tmp_path, "What it shows.")
    markdown = (tmp_path / "figures/tab_one.md").read_text().splitlines()
    assert markdown[0] == "What it shows."
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in markdown[2:]]
    assert {len(row) for row in rows} == {2}
    assert rows[2][0].strip().replace(r"\|", "|") == AWKWARD
    assert [row[1].strip() for row in rows[2:]] == ["0.1235", ""]

    tex = (tmp_path / "figures/tab_one.tex").read_text().splitlines()
    body = tex[tex.index(r"\midrule") + 1 : tex.index(r"\bottomrule")]
    assert len(body) == 2
    for line in [*body, tex[tex.index(r"\toprule") + 1]]:
        cells = re.split(r"(?<!\\)&", line.removesuffix(r" \\"))
        assert len(cells) == 2
    cell = re.split(r"(?<!\\)&", body[0])[0].strip()
    assert cell == (r"50\% \& a\_b \#1 \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{} | $\pi$")
    assert (tmp_path / "figures/tab_one.csv").read_text().splitlines()[2] == "plain,"
