"""Strict YAML: a mapping becomes a frozen dataclass, or one line says what is wrong and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

T = TypeVar("T")


class ConfigError(ValueError):
    """A setting, a name or a path is wrong; the message is one line."""


class _Loader(yaml.SafeLoader):
    """YAML as people write it: `1e-4` is a number, and a key given twice is an error."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?$|^[-+]?\.(inf|Inf)$|^\.(nan|NaN)$"),
    list("-+.0123456789"),
)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"line {node.start_mark.line + 1}: {key!r} is given twice")
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """Parse YAML safely; raises ConfigError with one line."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader: no object is ever constructed
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{where}{getattr(error, 'problem', None) or 'not YAML'}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `known`, or a list of all where none is near."""
    listed = sorted(known)
    close = difflib.get_close_matches(word, listed, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(listed) or 'none'}"


def existing(path: Path, pattern: str = "*.yaml") -> Path:
    """`path`, or a ConfigError that names the nearest file of the same folder."""
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; it holds: {_listed(path, pattern)}")
    folder = path.parent
    while not folder.is_dir():
        if folder == folder.parent:
            break
        folder = folder.parent
    names = {str(found): found for found in folder.rglob(pattern)} if folder != Path(folder.anchor) else {}
    close = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    raise ConfigError(f"{path}: no such file" + (f"; did you mean {close[0]}?" if close else ""))


def _listed(folder: Path, pattern: str) -> str:
    return ", ".join(sorted(found.name for found in folder.glob(pattern))) or f"no {pattern}"


def build(cls: type[T], values: Any, place: str) -> T:
    """Make the dataclass `cls` from a mapping; every field without a default must be there, and no other key.

    Raises ConfigError naming the place (`train.steps`) for a wrong or missing key, a wrong type, or a value that the
    class itself refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place}: wanted settings, got {values!r}")
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise ConfigError(f"{place}.{key}: no such setting{nearest(str(key), fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ConfigError(f"{place}.{name}: is missing")
    made = {key: convert(value, hints[key], f"{place}.{key}") for key, value in values.items()}
    try:
        return cls(**made)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{place}.{error}") from None


def convert(value: Any, wanted: Any, place: str) -> Any:
    """`value` as the type `wanted`: int, float, bool, str, None, Literal, tuple, dict, dataclass, a union with None."""
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(wanted):
            return None
        [inner] = [kind for kind in get_args(wanted) if kind is not type(None)]
        return convert(value, inner, place)
    if origin is Literal:
        if value not in get_args(wanted):
            raise ConfigError(f"{place}: {value!r} is not possible{nearest(str(value), map(str, get_args(wanted)))}")
        return value
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return build(wanted, value, place)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(convert(item, get_args(wanted)[0], place) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ConfigError(f"{place}: {value!r} is not finite")
        return float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted in (int, bool, str) and type(value) is wanted:
        return value
    name = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(wanted)
    raise ConfigError(f"{place}: {value!r} is not {name or ('a list' if origin is tuple else 'a mapping')}")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` put over it, mapping by mapping."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def override(values: dict[str, Any], assignment: str) -> dict[str, Any]:
    """`values` with `section.key=value` (the value in YAML) put over it; raises ConfigError without an `=`."""
    path, equals, text = assignment.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {assignment}: wanted section.key=value")
    value = parse(text)
    for key in reversed(path.strip().split(".")):
        value = {key: value}
    return merged(values, value)
