"""What a figure or table is made from, as data: each script declares it in `READS` and gets it loaded, nothing else.

`repro.stages` asks the same declarations for their files: when one of them changes, the figure is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd

from repro.manifest import ROOT, missing_fields
from rl.analysis import protocol, results
from rl.analysis.results import COMMITTED, LOCAL, NotRun, ResultError, Results

MAIN = {"cpu": "countdown", "llm": "countdown-llm", "gpu": "countdown-gpu"}
"""The main experiment of each scale."""


@dataclass(frozen=True)
class Place:
    """Where to look. out: of local results; where it has none, the committed ones are read."""

    out: Path
    scale: str = "cpu"
    experiment: str | None = None
    """In place of the experiment that a figure is made from at this scale."""


@dataclass(frozen=True)
class Theory:
    """The table that `theory.tables` computes for a figure."""

    name: str

    def files(self, place: Place) -> list[Path]:
        """The table; empty if it is nowhere."""
        folders = (place.out / "theory", ROOT / "results" / "theory")
        return [folder / f"{self.name}.csv" for folder in folders if (folder / f"{self.name}.csv").is_file()][:1]

    def origin(self, place: Place) -> str:
        """Where the table lies, in words as those of `Results.origin`."""
        return LOCAL if self.files(place)[0].is_relative_to(place.out) else COMMITTED

    def load(self, place: Place) -> pd.DataFrame:
        """The table.

        Raises NotRun if it is nowhere, ResultError if it has no complete manifest or is not the file that its manifest
        was written for.
        """
        found = self.files(place)
        if not found:
            raise NotRun(f"{self.name}.csv: not computed; `python -m theory.tables --only {self.name}` makes it")
        path, record = found[0], found[0].with_suffix(".json")
        try:
            manifest = json.loads(record.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ResultError(f"{record}: no manifest that can be read ({error})") from None
        missing = missing_fields(manifest)
        if missing:
            raise ResultError(f"{record}: the manifest lacks {', '.join(missing)}")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
            raise ResultError(f"{path}: changed after its manifest was written (checksum differs); compute it again")
        return pd.read_csv(BytesIO(content))


@dataclass(frozen=True)
class Experiment:
    """One experiment: of each scale the one that is named here."""

    by_scale: Mapping[str, str]

    def name(self, place: Place) -> str | None:
        """Its name, if the scale has one."""
        return place.experiment or self.by_scale.get(place.scale)

    def files(self, place: Place) -> list[Path]:
        """Those of its runs; empty if there are none."""
        name = self.name(place)
        return results.files(name, place.out, place.scale) if name else []

    def load(self, place: Place) -> Results:
        """Its runs. Raises NotRun if there are none, ResultError if one is incomplete."""
        name = self.name(place)
        if name is None:
            raise NotRun(f"no experiment of the scale {place.scale} is meant; name one with --experiment")
        return results.load(name, place.out, place.scale)


@dataclass(frozen=True)
class Experiments:
    """Several experiments at once, those that were run."""

    scales: Mapping[str, str]
    """Of each by its name."""
    optional: bool = False
    """Whether the figure is made without them too."""

    def files(self, place: Place) -> list[Path]:
        """Those of all runs."""
        return [path for name, scale in self.scales.items() for path in results.files(name, place.out, scale)]

    def load(self, place: Place) -> dict[str, Results]:
        """Their runs by name. Raises NotRun if none was run and one must be, ResultError if a run is incomplete."""
        found: dict[str, Results] = {}
        missing: list[str] = []
        for name, scale in self.scales.items():
            try:
                found[name] = results.load(name, place.out, scale)
            except NotRun as error:
                missing.append(str(error))
        if not found and not self.optional:
            raise NotRun(missing[0])
        return found


@dataclass(frozen=True)
class Saturated:
    """The runs of docs/protocols/countdown-saturated.md with those of its controls; none before its first look."""

    def files(self, place: Place) -> list[Path]:
        """Those of all runs; empty before the first look."""
        try:
            protocol.load_all(place.out)
        except NotRun:
            return []
        names = (protocol.EXPERIMENT, *protocol.CONTROLS)
        return [path for name in names for path in results.files(name, place.out, "cpu")]

    def load(self, place: Place) -> Results:
        """The runs. Raises NotRun before the first look, ResultError if a run is incomplete."""
        return protocol.load_all(place.out)


@dataclass(frozen=True)
class Files:
    """Files of the project."""

    pattern: str

    def files(self, place: Place) -> list[Path]:
        """They, sorted."""
        return sorted(ROOT.glob(self.pattern))

    load = files


Input = Theory | Experiment | Experiments | Saturated | Files
Reads = tuple[Input, ...]


def has_scales(reads: Reads) -> bool:
    """Whether the figure can be made at several scales."""
    return any(isinstance(one, Experiment) for one in reads)


def available(reads: Reads, place: Place) -> bool:
    """Whether all is there that must be."""
    return all(one.files(place) or (isinstance(one, Experiments) and one.optional) for one in reads)


def stem_of(name: str, scale: str) -> str:
    """The name of a figure's files; that of the default scale is the script's."""
    return name if scale == "cpu" else f"{name}-{scale}"
