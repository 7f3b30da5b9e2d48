"""`fusejax info`: parameters, FLOPs and resolved settings of a configuration."""

from fusejax.cli.configured import parse_configured
from fusejax.planning.info import describe


def run(arguments: list[str]) -> None:
    """Prints the description of a configuration."""
    config, _ = parse_configured("info", arguments)
    print(describe(config))
