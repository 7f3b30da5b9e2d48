"""Checks of settings that every configuration shares. Imports nothing slow."""

from typing import Any, Literal, get_args, get_origin, get_type_hints


def check_choices(config: Any) -> None:
    """Checks the fields of a dataclass that are annotated `Literal[...]`.

    Raises:
        ValueError: if such a field holds none of its values; the message lists them.
    """
    for name, hint in get_type_hints(type(config)).items():
        value, known = getattr(config, name), get_args(hint)
        if get_origin(hint) is Literal and value not in known:
            raise ValueError(f"{name} is {value!r}; it is one of {', '.join(map(repr, known))}.")


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Checks that fields of a dataclass are numbers not below a limit.

    Raises:
        ValueError: if one of them is smaller, or NaN.
    """
    for name in names:
        if not getattr(config, name) >= least:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be at least {least}.")
