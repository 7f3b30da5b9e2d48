"""Parsing command lines into options."""

from typing import TypeVar

import tyro

from fusejax.inference.thermal import RangeOption

T = TypeVar("T")


def parse(options: type[T], command: str, arguments: list[str]) -> T:
    """Parses the arguments of a command.

    Args:
        options: dataclass whose fields are the flags.
        command: name of the command.
        arguments: words after the name of the command.

    Returns:
        An instance of `options`.

    Raises:
        ValueError: for an empty argument, which would mean the current folder.
        SystemExit: with a usage message if the arguments are invalid.
    """
    if "" in arguments:
        before = arguments[arguments.index("") - 1] if arguments.index("") else "the first argument"
        raise ValueError(f"{before} has an empty value; is a shell variable unset?")
    return tyro.cli(options, args=arguments, prog=f"fusejax {command}")


def parse_range(words: tuple[str, ...]) -> RangeOption:
    """Parses `--ir-range`: auto, full, or LOW HIGH.

    Raises:
        ValueError: for anything else.
    """
    if len(words) == 1 and words[0] in ("auto", "full"):
        return words[0]
    try:
        low, high = (float(word) for word in words)
    except ValueError as error:
        raise ValueError(f"--ir-range is {' '.join(words)!r}; give auto, full, or two numbers LOW HIGH.") from error
    return low, high
