"""Parsing command lines into options: all commands come through `parse`."""

import contextlib
import dataclasses
import io
import math
import re
import sys
from collections.abc import Iterator
from typing import Any, Literal, TypeVar

import tyro

T = TypeVar("T")


def parse(options: type[T], command: str, arguments: list[str], *, default: T | None = None) -> T:
    """Parses the arguments of a command.

    Args:
        options: dataclass whose fields are the flags.
        command: name of the command.
        arguments: words after the name of the command.
        default: instance of `options` with the values of flags that are not given; its kinds of
            nested settings are fixed. By default, the defaults of `options`.

    Returns:
        An instance of `options`.

    Raises:
        ValueError: for an empty argument, which would mean the current folder; for a number that
            no option can mean (infinite, NaN, or of more than 63 bits); for what `options` refuses.
        SystemExit: with a usage message if the arguments are invalid.
    """
    check_no_empty(arguments)
    given: dict[str, Any] = {"args": arguments, "prog": f"fusejax {command}"}
    if default is not None:
        given |= {"default": default, "config": (tyro.conf.AvoidSubcommands,)}
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = tyro.cli(options, **given)
    except SystemExit as end:
        if isinstance(end.__context__, ValueError):  # raised by `options` itself, whose message is enough
            raise end.__context__ from None
        sys.stderr.write(said.getvalue())
        raise
    absurd = [(name, value) for name, value in _numbers(parsed) if not math.isfinite(value) or abs(value) >= 2**63]
    for name, value in absurd:
        if default is None or (name, value) not in list(_numbers(default)):
            flag = name.removeprefix("config.").replace("_", "-")
            raise ValueError(f"--{flag} is {value}; give a number below 9.2e18.")
    return parsed


def check_no_empty(arguments: list[str]) -> None:
    """Checks that no value is empty, as that of an unset shell variable is.

    Args:
        arguments: words of the command line.

    Raises:
        ValueError: names the option in front of the empty value.
    """
    for place, word in enumerate(arguments):
        if word == "" or re.fullmatch(r"--[\w.-]+=", word):
            named = word[:-1] or (arguments[place - 1] if place else "the first argument")
            raise ValueError(f"{named} has an empty value; is a shell variable unset?")


def _numbers(options: Any, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Flag and value of every number in options."""
    if dataclasses.is_dataclass(options):
        for field in dataclasses.fields(options):
            yield from _numbers(getattr(options, field.name), f"{prefix}.{field.name}" if prefix else field.name)
    elif isinstance(options, tuple):
        for value in options:
            yield from _numbers(value, prefix)
    elif isinstance(options, int | float):
        yield prefix, options


ConventionName = Literal["exact", "cddfuse", "tang", "vifb", "look"]
"""Names of `fusejax.metrics.CONVENTIONS`, which imports JAX."""

Repeated = tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]]
"""A flag with several values that may also be repeated."""


def flat(given: Repeated) -> list[str]:
    """The values of a repeated flag, in their order."""
    return [value for group in given for value in group]
