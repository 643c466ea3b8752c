"""Packages that only some experiments need, asked for by name and version; what is missing comes with its remedy."""

from __future__ import annotations

import importlib.metadata


def remedy(requirement: str, alone: bool = False) -> str:
    """The command that installs `requirement`, without what it depends on if `alone`; in backquotes."""
    return f"`python -m pip install {'--no-deps ' * alone}{requirement}`"


def lacking(name: str, version: str | None = None, alone: bool = False) -> str | None:
    """Why `name` (at this version) cannot be used, with the command that brings it; None if it is installed."""
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is not None and version in (None, found):
        return None
    state = "is not installed" if found is None else f"is installed at {found}, {version} is asked for"
    return f"{name} {state}; {remedy(name if version is None else f'{name}=={version}', alone)} brings it"


def need(setting: str, name: str, version: str | None = None, alone: bool = False) -> None:
    """Raise ValueError, in one line, unless `name` is installed (at this version); `setting` is what asks for it."""
    if problem := lacking(name, version, alone):
        raise ValueError(f"{setting}: {problem}")
