"""`fusejax info`: parameters, FLOPs and settings of a configuration."""

import dataclasses

from fusejax.cli.configured import parse_configured
from fusejax.planning.info import describe


@dataclasses.dataclass(frozen=True)
class InfoOptions:
    """What to print.

    Attributes:
        settings: also print every setting, with its overrides, as JSON.
    """

    settings: bool = False


def run(arguments: list[str]) -> None:
    """Prints the description of a configuration."""
    config, given = parse_configured("info", arguments, options=InfoOptions)
    print(describe(config, settings=given["options"].settings))
