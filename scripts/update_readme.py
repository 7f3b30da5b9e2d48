"""Generates the README's table of metrics from the library, so that the two cannot diverge.

python scripts/update_readme.py
"""

import dataclasses
import re
from pathlib import Path

import tyro

from fusejax.metrics import METRICS, higher_is_better

README = Path(__file__).parents[1] / "README.md"


@dataclasses.dataclass(frozen=True)
class UpdateOptions:
    """Which file to rewrite.

    Attributes:
        readme: file that contains the lines `<!-- metrics -->` and `<!-- /metrics -->`.
    """

    readme: Path = README


def metrics_table() -> str:
    """A Markdown table of all metrics, one line per metric."""
    rows = [
        f"| {name} | {info.title} | {info.values} | {'higher' if higher_is_better(name) else 'lower'} "
        f"| {info.undefined} | {info.source} |"
        for name, info in METRICS.items()
    ]
    header = ["| metric | measures | values | better | undefined | source |", "|---|---|---|---|---|---|"]
    return "\n".join([*header, *rows])


def with_metrics(text: str) -> str:
    """The README's text, with the table between its two markers replaced."""
    block = f"<!-- metrics -->\n{metrics_table()}\n<!-- /metrics -->"
    return re.sub(r"<!-- metrics -->\n.*?<!-- /metrics -->", lambda _: block, text, flags=re.DOTALL)


def main(options: UpdateOptions) -> None:
    """Rewrites the file in place."""
    text = options.readme.read_text(encoding="utf-8")
    options.readme.write_text(with_metrics(text), encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(UpdateOptions))
