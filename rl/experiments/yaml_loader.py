"""Strict YAML: a mapping becomes a frozen dataclass, or one line says what is wrong and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from repro.names import nearest

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

    Types are taken strictly (a number in quotes is a text). Raises ConfigError naming the place (`train.steps`) for a
    wrong or missing key, a wrong type, or a value that the class itself refuses.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{place}: wanted settings, got {values!r}")
    try:
        made: T = _adapter(cls).validate_json(json.dumps(values, default=str))
        return made
    except ValidationError as error:
        # a misspelled key is missing under its right name too: what is spelled wrong comes first
        found = min(error.errors(), key=lambda one: one["type"] != "unexpected_keyword_argument")
    raise ConfigError(_sentence(cls, found, place)) from None


def _adapter(cls: Any) -> TypeAdapter[Any]:
    _make_strict(cls)
    return TypeAdapter(cls)


def _make_strict(kind: Any) -> None:
    """No unknown keys, no conversions, no infinities: in `kind`, if it is a dataclass, and in all that it holds."""
    for inner in get_args(kind):
        _make_strict(inner)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))(kind)
        for hint in get_type_hints(kind).values():
            _make_strict(hint)


_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "dict": "a mapping",
}


def _sentence(cls: type, error: Any, place: str) -> str:
    """One line for an error of pydantic: the place, what is wrong there, and the nearest right word."""
    *above, key = error["loc"] or ("",)
    where = ".".join([place, *map(str, error["loc"])])
    kind: Any = cls
    for part in above:  # down to the dataclass that holds the key; items of lists have none of their own
        kind = next(iter(_dataclasses(get_type_hints(kind)[part])), kind) if isinstance(part, str) else kind
    hints = get_type_hints(kind)
    value = error["input"]
    match error["type"]:
        case "missing":
            return f"{where}: is missing"
        case "unexpected_keyword_argument":
            return f"{where}: no such setting{nearest(str(key), hints)}"
        case "value_error":
            said = error["ctx"]["error"]
            return str(said) if isinstance(said, ConfigError) else f"{where}.{said}"
        case "literal_error":
            return f"{where}: {value!r} is not possible{nearest(str(value), map(str, _choices(hints[key])))}"
        case "finite_number":
            return f"{where}: {value!r} is not finite"
        case "int_type" if isinstance(value, float) and value.is_integer():
            return f"{where}: write {int(value)}, not {value!r}"
        case other:
            wanted = _WANTED.get(other.partition("_")[0], "possible")
            return f"{where}: {value!r} is not {wanted}"


def _choices(kind: Any) -> list[Any]:
    """The values of a Literal, alone or in a union."""
    inner = get_args(kind)
    return list(inner) if get_origin(kind) is Literal else [value for one in inner for value in _choices(one)]


def _dataclasses(kind: Any) -> list[type]:
    return [one for one in (kind, *get_args(kind)) if dataclasses.is_dataclass(one) and isinstance(one, type)]


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
