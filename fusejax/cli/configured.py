"""Command lines of the form CONFIG [options], where every setting of CONFIG is a flag."""

import dataclasses
import sys
from typing import Annotated, Any

import tyro

from fusejax.cli.parsing import check_no_empty, parse
from fusejax.config import TrainConfig, load_config, shipped_configs


def parse_configured(command: str, arguments: list[str], **options: type) -> tuple[TrainConfig, dict[str, Any]]:
    """Parses CONFIG, the command's own options, and overrides of settings (`--data.root DIR`).

    Args:
        command: name of the command, for the usage text.
        arguments: words after the command.
        **options: dataclasses with further options, under any name; their fields become flags.

    Returns:
        The configuration with its overrides, and an instance of each of `options` under its name.

    Raises:
        SystemExit: with a usage message if CONFIG is missing or help is requested.
        ValueError: if there is no such configuration or a setting is invalid.
    """
    prog = f"fusejax {command} CONFIG"
    check_no_empty(arguments)
    if not arguments or arguments[0].startswith("-"):
        shipped = ", ".join(shipped_configs())
        print(f"usage: {prog} [options]; CONFIG is a file with get_config(), or one of: {shipped}")
        if not arguments or arguments[0] not in ("-h", "--help"):
            print(f"fusejax {command} CONFIG --help lists the options and settings of a configuration.")
            sys.exit(2)
        example = next(iter(shipped_configs()))
        print(f"Options, and the settings of {example}:\n")
        arguments = [example, "--help"]
    fields = options | {"config": TrainConfig}
    parsed_type = dataclasses.make_dataclass(
        "Arguments", [(name, Annotated[kind, tyro.conf.arg(name="")]) for name, kind in fields.items()]
    )
    defaults = {name: kind() for name, kind in options.items()} | {"config": load_config(arguments[0])}
    # The configuration selects the network; the network's settings are flags like all others.
    parsed: Any = parse(parsed_type, f"{command} CONFIG", arguments[1:], default=parsed_type(**defaults))
    return parsed.config, {name: getattr(parsed, name) for name in options}
