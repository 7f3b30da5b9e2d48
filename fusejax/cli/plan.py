"""`fusejax plan`: memory, FLOPs and collectives of a step on devices you do not have."""

from fusejax.cli.configured import parse_configured
from fusejax.planning.plan import Plan, plan_command


def run(arguments: list[str]) -> None:
    """Prints the plan of a configuration."""
    config, given = parse_configured("plan", arguments, plan=Plan)
    plan_command(given["plan"], arguments[0], config)
