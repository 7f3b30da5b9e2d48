"""Frozen dataclasses to plain JSON types and strictly back."""

import dataclasses
import difflib
import types
import typing
from typing import Any


def to_dict(config: Any) -> dict:
    """Plain JSON types: nested dicts, lists, numbers, strings, None."""
    return _plain(dataclasses.asdict(config))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def from_dict(cls: type, values: dict) -> Any:
    """The dataclass that `to_dict` came from. Raises ValueError that names an unknown key and the nearest known one."""
    hints = typing.get_type_hints(cls)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(hints)}."
            raise ValueError(f"{cls.__name__} has no field {key!r}{hint}")
    return cls(**{key: _restore(hints[key], value) for key, value in values.items()})


def _restore(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value)
    if isinstance(hint, types.UnionType) and value is not None:
        return _restore(next(h for h in typing.get_args(hint) if h is not types.NoneType), value)
    return tuple(value) if isinstance(value, list) else value


def differences(old: dict, new: dict, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values; a missing one counts as None."""
    found = {}
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found |= differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found[prefix + key] = (a, b)
    return found
