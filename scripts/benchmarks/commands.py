"""Starts one of several scripts by its name."""

import importlib.util
import inspect
import sys
from collections.abc import Mapping

import tyro


def run(modules: Mapping[str, str], *, usual: str | None = None) -> None:
    """Runs `main(options)` of a module with the options of the command line.

    Args:
        modules: module by the first word of the command line.
        usual: the first word if none is given.
    """
    name, rest = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if usual is not None and name.startswith("-") and name not in ("-h", "--help"):
        name, rest = usual, sys.argv[1:]
    if name not in modules:
        kinds = "".join(f"\n  {name:24}{_summary(module)}" for name, module in modules.items())
        sys.exit(f"usage: python {sys.argv[0]} KIND [options], KIND --help; KIND is one of{kinds}")
    main = importlib.import_module(modules[name]).main
    options = inspect.signature(main).parameters["options"].annotation
    main(tyro.cli(options, args=rest, prog=f"{sys.argv[0]} {name}"))


def _summary(module: str) -> str:
    """First sentence of a module's docstring, without importing it."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None
    with open(found.origin, encoding="utf-8") as file:
        return file.readline().strip().strip('"')
