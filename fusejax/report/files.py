"""The files of a study: scores and tables under the same names for every command."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from fusejax.evaluation.results import Scores
from fusejax.evaluation.score_files import write_scores
from fusejax.io.outputs import TEX_COMMENT, write_complete
from fusejax.report.latex import latex
from fusejax.report.markdown import markdown
from fusejax.report.tables import Table, terminal_table

SCORE_FILES = ("metrics.csv", "metrics.json")
TABLE_FILES = ("table.md", "table.tex")

_FILE_WIDTH = 240


def write_tables(folder: Path, scores: Sequence[Scores], tables: Sequence[Table], *, head: str = "") -> str:
    """Writes metrics.csv, metrics.json, table.tex and, last, table.md.

    Args:
        folder: folder for the files, created if needed; existing files are replaced.
        scores: scores of any sets and conventions, see `fusejax.evaluation.write_scores`.
        tables: tables of their means.
        head: text above the tables in Markdown.

    Returns:
        The text of table.md.
    """
    text = markdown(tables, head=head)
    write_scores(folder, scores)
    write_complete(folder / "table.tex", TEX_COMMENT + latex(tables))
    write_complete(folder / "table.md", text)
    return text


def open_console() -> Console:
    """The terminal; a file or a pipe gets lines that are wide enough for tables."""
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH  # Rich assumes 80 columns there and truncates the numbers
    return console


def print_tables(tables: Sequence[Table]) -> None:
    """Prints tables with their captions and notes.

    Args:
        tables: the tables.
    """
    console = open_console()
    for table in tables:
        caption = ": ".join(filter(None, [table.name, table.caption]))
        console.print(caption, markup=False, highlight=False)
        console.print(terminal_table(table, width=console.width))
        for note in table.notes:
            console.print(note, markup=False, highlight=False)
    if any(table.has_marks for table in tables):
        tied = ", ≈ may be tied with the best" if any(table.has_ties for table in tables) else ""
        console.print(f"bold: best, underlined: second best{tied}", highlight=False)
