"""Reads a system from a file of TOML: its keys are the fields of the settings. `presets/default.toml` describes each.

Whatever cannot be read is refused with the line that it stands in.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from infra.errors import StepFailed
from infra.paths import CHECKOUT
from infra.settings import DeploymentSettings

FOLDER = CHECKOUT / "presets"
VERSION = 1
MAX_BYTES = 1 << 20
_NOUNS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_HEADER = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

type Keys = tuple[str | int, ...]  # from the top of the file down; a number counts the tables of an array


class _Refused(Exception):
    """What the file has at these keys cannot be read."""

    def __init__(self, keys: Keys, reason: str) -> None:
        super().__init__(reason)
        self.keys, self.reason = keys, reason


def find(name: str) -> Path:
    """The file of a preset: one of FOLDER by its name, such as `c`, or a path. StepFailed when there is none."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name.lower()}.toml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.toml")))
        raise StepFailed(f"There is no preset {name}.", f"Name one of {known}, or a file that ends in .toml.")
    return path


def read(path: Path) -> DeploymentSettings:
    """The settings that the file describes. Raises StepFailed, with the line, for what cannot be one."""
    if path.stat().st_size > MAX_BYTES:
        raise StepFailed(f"{path} has more than {MAX_BYTES:,} bytes.", "Name a preset.")
    try:
        text = path.read_text()
        table = tomllib.loads(text)
        version = table.pop("version", VERSION)
        if version != VERSION:
            raise _Refused(("version",), f"it is of version {version!r}, and this Stagemaker reads version {VERSION}.")
        found: DeploymentSettings = _build(DeploymentSettings, table, ())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StepFailed(f"{path} is no TOML: {error}.", "Mend the file.") from None
    except _Refused as refused:
        line = _line(text, refused.keys)
        raise StepFailed(f"{path}, line {line}: {refused.reason}", f"Read {FOLDER / 'default.toml'}.") from None
    return found


def _build(kind: Any, table: Any, keys: Keys) -> Any:
    """A value of the dataclass `kind` from a table."""
    if not isinstance(table, Mapping):
        raise _Refused(keys, f"{_written(keys)} must be a table.")
    hints = get_type_hints(kind)
    known = [spec.name for spec in fields(kind)]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise _Refused((*keys, key), f"there is no key {key!r} here: {hint}")
    values = {key: _value(hints[key], value, (*keys, key)) for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError:
        needed = [name for name in known if name not in table and not hasattr(kind, name)]
        raise _Refused(keys, f"{_written(keys)} lacks {', '.join(needed)}.") from None
    except ValueError as error:
        raise _Refused(keys, str(error)) from None


def _value(kind: Any, value: Any, keys: Keys) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:  # a value or None, which TOML says by leaving the key out
        (kind,) = (part for part in parts if part is not NoneType)
        return _value(kind, value, keys)
    if is_dataclass(kind):
        return _build(kind, value, keys)
    if origin is tuple:
        return _tuple(parts, value, keys)
    if origin is Mapping:
        if not isinstance(value, dict):
            raise _Refused(keys, f"{_written(keys)} must be a table.")
        return {key: _value(parts[1], one, (*keys, key)) for key, one in value.items()}
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _Refused(keys, f"{_written(keys)} must be {_NOUNS[kind]}, not {value!r}.")
    return value


def _tuple(parts: tuple[Any, ...], value: Any, keys: Keys) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _Refused(keys, f"{_written(keys)} must be a list.")
    if parts[-1] is not Ellipsis and len(value) != len(parts):
        raise _Refused(keys, f"{_written(keys)} must have {len(parts)} values.")
    nested = is_dataclass(parts[0])
    return tuple(_value(parts[0], one, (*keys, number) if nested else keys) for number, one in enumerate(value))


def _written(keys: Keys) -> str:
    return ".".join(str(key) for key in keys if isinstance(key, str)) or "the file"


def _line(text: str, keys: Keys) -> int:
    """The line, from 1, of the longest part of the keys that has one of its own."""
    lines = _lines(text)
    while keys not in lines:
        keys = keys[:-1]
    return lines[keys]


def _lines(text: str) -> dict[Keys, int]:
    """Where each key and each header of a table stands."""
    found: dict[Keys, int] = {(): 1}
    counts: dict[str, int] = {}
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[2]
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
            table = ()
            parts = name.split(".")
            for depth, part in enumerate(parts, start=1):
                table = (*table, part)
                if (nested := ".".join(parts[:depth])) in counts:
                    table = (*table, counts[nested])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, key[1]), number)
    return found
