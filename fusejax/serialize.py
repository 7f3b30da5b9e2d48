"""Conversion of frozen dataclasses to plain JSON types, and strictly back.

If a field can hold one of several dataclasses, its dict names the class under the key "type".
"""

import dataclasses
import difflib
import types
import typing
from typing import Any


class UnknownType(ValueError):
    """A dict names a class that is not known; a plugin may define it."""


def to_dict(config: Any) -> dict:
    """Converts to plain JSON types: nested dicts, lists, numbers, strings, None."""
    hints = typing.get_type_hints(type(config))
    return {f.name: _plain(getattr(config, f.name), hints[f.name]) for f in dataclasses.fields(config)}


def _plain(value: Any, hint: Any = None) -> Any:
    if dataclasses.is_dataclass(value):
        kind = {"type": type(value).__name__} if len(_dataclasses_in(hint)) > 1 else {}
        return kind | to_dict(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _dataclasses_in(hint: Any) -> list[type]:
    """The dataclasses in a union, with their subclasses."""
    if not isinstance(hint, types.UnionType):
        return []
    found = [h for h in typing.get_args(hint) if isinstance(h, type) and dataclasses.is_dataclass(h)]
    for kind in found:
        found += [other for other in kind.__subclasses__() if other not in found]  # also those of subclasses
    return found


def from_dict(cls: type, values: dict) -> Any:
    """Restores a dataclass from the output of `to_dict`.

    Args:
        cls: the dataclass.
        values: plain JSON types.

    Raises:
        ValueError: for an unknown key; the message names the closest known one.
    """
    hints = typing.get_type_hints(cls)
    renamed = getattr(cls, "RENAMED", {})
    values = {renamed.get(key, key): value for key, value in values.items()}
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(hints)}."
            raise ValueError(f"{cls.__name__} has no field {key!r}{hint}")
    return cls(**{key: _restore(hints[key], value) for key, value in values.items()})


def _restore(hint: Any, value: Any) -> Any:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_dict(hint, value)
    if isinstance(hint, types.UnionType) and value is not None:
        return _restore_union(hint, value)
    if isinstance(value, list):
        inner = typing.get_args(hint)[:1] if typing.get_origin(hint) is tuple else ()
        return tuple(_restore(inner[0] if inner else None, v) for v in value)
    return value


def _restore_union(hint: Any, value: Any) -> Any:
    kinds = {kind.__name__: kind for kind in _dataclasses_in(hint)}
    if len(kinds) > 1:
        if value.get("type") not in kinds:
            raise UnknownType(f"type is {value.get('type')!r}; expected one of {', '.join(kinds)}.")
        return from_dict(kinds[value["type"]], {k: v for k, v in value.items() if k != "type"})
    return _restore(next(h for h in typing.get_args(hint) if h is not types.NoneType), value)


def differences(old: dict, new: dict, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys (numbers within lists) whose values differ, with both values; missing values
    count as None.
    """
    found = {}
    for key in sorted(old.keys() | new.keys(), key=str):
        a, b = (_keyed(x.get(key)) for x in (old, new))
        if isinstance(a, dict) and isinstance(b, dict):
            found |= differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found[f"{prefix}{key}"] = (a, b)
    return found


def _keyed(value: Any) -> Any:
    """Turns lists of dicts into dicts by position, so that their entries are compared one by
    one.
    """
    nested = isinstance(value, list) and value and all(isinstance(v, dict) for v in value)
    return dict(enumerate(value)) if nested else value
