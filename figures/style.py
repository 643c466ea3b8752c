"""One look for all figures and tables: sizes, fonts, a color per method, and files that are the same byte for byte."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from differential_smoothing.methods import METHODS
from differential_smoothing.methods.variants import MARK, kind
from figures.cells import numeric
from repro.files import replacing, write_text

COLUMN = 3.4  # inches: the width of one column of a two-column paper

# Okabe and Ito's palette, three shades apart from it, and twelve found by search as `further` does. All of them in one
# panel still want labels at the lines.
COLORS = {
    "base": "#7f7f7f",
    "grpo": "#d55e00",
    "ds-grpo": "#0072b2",
    "ds-grpo-centered": "#56b4e9",
    "ds-grpo-positive": "#009e73",
    "ds-grpo-negative": "#cc79a7",
    "entropy-bonus": "#e69f00",
    "entropy-penalty": "#8c510a",
    "logprob-bonus": "#000000",
    "logprob-penalty": "#330099",
    "dr-grpo": "#534751",
    "kl-base": "#486b3e",
    "clip-higher": "#a3d7eb",
    "unlikeliness": "#a21afc",
    "passk-training": "#47ed50",
    "pkpo": "#6ea457",
    "outcome-batch": "#614ccc",
    "outcome-historical": "#800000",
    "maxrl": "#11411f",
    "f-grpo": "#b9d5b0",
    "ucpo": "#8f8eff",
    "darling": "#decf86",
    "entropy-advantage": "#4c0d5c",
}
LABELS = {"base": "base", "vanilla": "vanilla", "ds": "DS", "ds-centered": "DS, self-centered"}
"""Of what the registry of methods does not have."""
TRAINED = {"vanilla": "grpo", "ds": "ds-grpo", "ds-centered": "ds-grpo-centered"}
"""The method that a name of the theory stands for."""
MARKERS = "osDv^PX<>hpd"


def label(method: str) -> str:
    """What figures call the method; a variant by its method and its own name."""
    if method in LABELS:
        return LABELS[method]
    name, mark, variant = method.partition(MARK)
    return METHODS[name].label + mark + variant


def color(method: str) -> str:
    """The same in every figure: a variant has its method's; a method without one gets the next that stands out."""
    name = kind(TRAINED.get(method, method))
    if name in COLORS:
        return COLORS[name]
    others = [one for one in METHODS if one not in COLORS]
    return further(tuple(COLORS.values()), len(others))[others.index(name)]


def marker(method: str) -> str:
    """For one panel with many methods."""
    names = [*COLORS, *(one for one in METHODS if one not in COLORS)]
    return MARKERS[names.index(kind(TRAINED.get(method, method))) % len(MARKERS)]


# Severe protanopia, deuteranopia and tritanopia on linear RGB: Machado, Oliveira and Fernandes (2009).
_VISIONS = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
    ]
)
_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
_WHITE = np.array([0.95047, 1, 1.08883])


def _seen(colors: Sequence[str]) -> np.ndarray:
    """CIE Lab of colors as each vision sees them, (visions, colors, 3)."""
    rgb = np.array([to_rgb(one) for one in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(np.einsum("vij,cj->vci", _VISIONS, linear), 0, 1) @ _XYZ.T / _WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


@functools.cache
def further(taken: tuple[str, ...], count: int) -> list[str]:
    """`count` colors of a grid, each the farthest from white and all before it to the eye that tells them worst."""
    grid = [to_hex(rgb) for rgb in itertools.product(np.linspace(0, 1, 16), repeat=3)]
    seen = _seen(grid)
    found: list[str] = []
    for _ in range(count):
        before = _seen(["white", *taken, *found])
        apart = np.linalg.norm(seen[:, :, None] - before[:, None], axis=-1).min(axis=(0, 2))
        found.append(grid[int(apart.argmax())])
    return found


def use() -> None:
    """Set matplotlib up: column width, fonts of 8 points and more, TrueType in PDFs, no time stamps or random ids.

    In a notebook, a cell that ends on a Figure then shows it, in the same bytes each time.
    """
    plt.rcdefaults()
    mpl.use("Agg")
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        from IPython.core.pylabtools import select_figure_formats

        select_figure_formats(shell, {"retina"}, metadata={"Software": None})
    plt.rcParams.update(
        {
            "figure.figsize": (COLUMN, 0.75 * COLUMN),
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "font.family": "DejaVu Sans",
            "font.size": 8,
            "axes.titlesize": 8.5,
            "axes.labelsize": 8.5,
            "legend.fontsize": 8,
            "legend.frameon": False,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "0.9",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "lines.linewidth": 1.5,
            "pdf.fonttype": 42,
            "svg.hashsalt": "differential-smoothing",
        }
    )


def save(fig: Figure, name: str, frame: pd.DataFrame, out: Path) -> None:
    """Write `<out>/figures/<name>` as PDF, PNG and CSV (the numbers drawn), each atomically; close the figure."""
    folder = Path(out) / "figures"
    for suffix, metadata in ((".pdf", {"CreationDate": None, "ModDate": None}), (".png", {"Software": None})):
        with replacing(folder / f"{name}{suffix}") as temporary:
            fig.savefig(temporary, metadata=metadata)
    plt.close(fig)
    write_text(folder / f"{name}.csv", to_csv(frame))


def to_csv(frame: pd.DataFrame) -> str:
    """CSV with a fixed format for floats, so that the same numbers are the same bytes."""
    return frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")


def save_table(name: str, frame: pd.DataFrame, out: Path, caption: str) -> None:
    """Write `<out>/figures/<name>` as Markdown (caption, then table), TeX (booktabs, without a float) and CSV.

    The CSV has the numbers behind the cells (see `figures.cells`).
    """
    folder = Path(out) / "figures"
    texts = frame.map(_text)
    lines = [_markdown(map(str, frame.columns)), "|" + " --- |" * len(frame.columns)]
    lines += [_markdown(row) for row in texts.to_numpy()]
    write_text(folder / f"{name}.md", f"{caption}\n\n" + "\n".join(lines) + "\n")
    head = " & ".join(_tex(str(column)) for column in frame.columns)
    body = "".join(" & ".join(_tex(cell) for cell in row) + " \\\\\n" for row in texts.to_numpy())
    columns = "l" * len(frame.columns)
    write_text(
        folder / f"{name}.tex",
        f"% {caption}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head} \\\\\n\\midrule\n{body}\\bottomrule\n"
        "\\end{tabular}\n",
    )
    write_text(folder / f"{name}.csv", to_csv(numeric(frame)))


def _markdown(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)


_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "Δ": r"$\Delta$",
    "π": r"$\pi$",
    "–": "--",
    "−": "$-$",
    "≥": r"$\ge$",
    "×": r"$\times$",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
