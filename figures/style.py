"""One look for every exhibit: sizes, fonts, one colour per method, and files that are the same byte for byte."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from figures.cells import numeric
from repro.files import replacing, write_text

COLUMN = 3.4  # inches: the width of one column of a two-column paper

# Okabe and Ito's palette, three shades apart from it, and twelve found by search, each time the colour farthest from
# all before it, whatever the colour vision. All of them in one panel still want labels at the lines.
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
MARKERS = dict(zip(COLORS, itertools.cycle("osDv^PX<>hpd")))  # in one panel with many others
LABELS = {
    "base": "base",
    "grpo": "GRPO",
    "ds-grpo": "DS-GRPO",
    "ds-grpo-centered": "DS-GRPO, centred",
    "ds-grpo-positive": "DS-GRPO, correct only",
    "ds-grpo-negative": "DS-GRPO, incorrect only",
    "entropy-bonus": "entropy bonus",
    "entropy-penalty": "entropy penalty",
    "logprob-bonus": "log-prob bonus",
    "logprob-penalty": "log-prob penalty",
    "dr-grpo": "Dr. GRPO",
    "kl-base": "KL to the base",
    "clip-higher": "clip-higher",
    "unlikeliness": "unlikeliness reward",
    "passk-training": "Pass@k training",
    "pkpo": "PKPO",
    "outcome-batch": "outcome-based (batch)",
    "outcome-historical": "outcome-based (historical)",
    "maxrl": "MaxRL",
    "f-grpo": "F-GRPO",
    "ucpo": "UCPO",
    "darling": "DARLING",
    "entropy-advantage": "entropy-shaped advantage",
    "vanilla": "vanilla",
    "ds": "DS",
    "ds-centered": "DS, self-centred",
}
for theory, trained in {"vanilla": "grpo", "ds": "ds-grpo", "ds-centered": "ds-grpo-centered"}.items():
    COLORS[theory] = COLORS[trained]


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
