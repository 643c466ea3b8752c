"""Committed runs: for each experiment a table of evaluations, of metrics and of trajectories, and a list of manifests.

manifests.jsonl       one line per run: its manifest and the summary of its evaluation; only the runs listed here count
evaluations.parquet   one row per held-out problem
metrics.parquet       one row per training step
trajectories.parquet  one row per held-out problem and late step, where a run was evaluated along its way

The order is that of experiment, seed and method, and a row group holds the runs of one seed: a new seed leaves the
bytes of the others as they are, so that versions of a table differ little in Git. Numbers are stored
in single precision, far finer than any of them is known, and read as double; counts of tokens are exact.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from repro.files import replacing

KEY = ("experiment", "seed", "method")
FIRST = (*KEY, "step", "problem")  # columns; the others follow by name
MANIFESTS = "manifests.jsonl"
TABLES = ("evaluations", "metrics", "trajectories")
EXACT = {"tokens"}
"""Columns in double precision: counts beyond what single precision holds exactly."""

Key = tuple[str, int, str]


@dataclass(frozen=True)
class Stored:
    """One run as it is committed."""

    manifest: dict[str, Any]
    evaluation: dict[str, Any] | None
    """The summary of the evaluation of the held-out problems; None where there is none yet."""
    tables: dict[str, pd.DataFrame]
    """Its rows, by the name of the table."""


def folder_of(results: Path, scale: str, experiment: str) -> Path:
    """Where the tables of `experiment` lie. All coefficient searches of a scale share theirs."""
    return results / scale / ("search" if re.search(r"-search-\d+$", experiment) else experiment)


def read(folder: Path) -> dict[Key, Stored]:
    """Every run in `folder`, in order; none if it has no manifests."""
    if not (folder / MANIFESTS).is_file():
        return {}
    found: dict[Key, Stored] = {}
    for line in (folder / MANIFESTS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["experiment"], row["seed"], row["method"]] = Stored(row["manifest"], row["evaluation"], {})
    for name in TABLES:
        if (folder / f"{name}.parquet").is_file():
            for key, part in _by_run(pq.read_table(folder / f"{name}.parquet")):
                if key in found:
                    found[key].tables[name] = part
    return found


def update(folder: Path, runs: Mapping[Key, Stored]) -> None:
    """Add `runs` to those in `folder`; a run of the same experiment, seed and method is replaced.

    All files are complete before the first one takes its place, and the manifests take theirs last.
    """
    merged = dict(sorted({**read(folder), **runs}.items()))
    with contextlib.ExitStack() as renamed_in_reverse:
        manifests = renamed_in_reverse.enter_context(replacing(folder / MANIFESTS))
        manifests.write_text("".join(_line(key, run) for key, run in merged.items()), encoding="utf-8")
        for name in TABLES:
            parts = {key: _arrow(key, run.tables[name]) for key, run in merged.items() if name in run.tables}
            if parts:
                _write(renamed_in_reverse.enter_context(replacing(folder / f"{name}.parquet")), parts)


def _line(key: Key, run: Stored) -> str:
    row = {**dict(zip(KEY, key)), "manifest": run.manifest, "evaluation": run.evaluation}
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _by_run(table: pa.Table) -> Iterator[tuple[Key, pd.DataFrame]]:
    keys = list(zip(*(table[name].to_pylist() for name in KEY)))
    start = 0
    for key, rows in itertools.groupby(keys):
        part = table.slice(start, count := len(list(rows))).drop_columns(list(KEY))
        start += count
        empty = [name for name in part.column_names if part[name].null_count == count]  # of other runs alone
        frame = part.drop_columns(empty).to_pandas()
        yield key, frame.astype(dict.fromkeys(frame.select_dtypes("float32"), "float64"))


def _arrow(key: Key, frame: pd.DataFrame) -> pa.Table:
    """The rows with their key. NaN stays NaN: null says that a run has no such column."""
    columns = {name: pa.array([value] * len(frame)) for name, value in zip(KEY, key)}
    for name, values in frame.items():
        if pd.api.types.is_float_dtype(values):
            columns[str(name)] = pa.array(values.to_numpy(np.float64 if name in EXACT else np.float32))
        elif pd.api.types.is_numeric_dtype(values):
            columns[str(name)] = pa.array(values)
        else:
            columns[str(name)] = pa.array(values.astype(str), pa.string())
    return pa.table(columns)


def _write(path: Path, parts: Mapping[Key, pa.Table]) -> None:
    schema = pa.unify_schemas([part.schema for part in parts.values()], promote_options="permissive")
    names = sorted(schema.names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    schema = pa.schema([schema.field(name) for name in names])
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in names if name not in floats],
        column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        write_statistics=False,
    ) as writer:
        for _, seed in itertools.groupby(parts, key=lambda key: key[:2]):
            rows = [schema.empty_table(), *(parts[key] for key in seed)]
            writer.write_table(pa.concat_tables(rows, promote_options="permissive"))
