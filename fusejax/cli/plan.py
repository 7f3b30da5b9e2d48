"""`fusejax plan`: memory, FLOPs and collectives of a step on devices that are not here."""

from fusejax.cli.configured import parse_configured
from fusejax.planning.plan import Plan
from fusejax.planning.plan import plan_command as run_plan


def plan_command(arguments: list[str]) -> None:
    """Prints the plan of a configuration."""
    config, given = parse_configured("plan", arguments, plan=Plan)
    run_plan(given["plan"], arguments[0], config)
