"""Tables of scores in Markdown."""

from collections.abc import Iterable, Sequence

from fusejax.report.tables import Cell, Table


def markdown(tables: Sequence[Table], *, head: str = "") -> str:
    """Tables as a Markdown document.

    Args:
        tables: the tables.
        head: text before the first table, in Markdown.

    Returns:
        The text; names are escaped, so that they can contain no markup.
    """
    lines = [head, ""] if head else []
    if any(table.has_marks for table in tables):
        lines += [f"**Best**, <u>second best</u>.{_TIED if any(t.has_ties for t in tables) else ''}", ""]
    for table in tables:
        lines += [" ".join(filter(None, [table.name and f"**{_escape(table.name)}**", _escape(table.caption)])), ""]
        cells = [[_markdown_cell(cell) for cell in row] for row in table.rows]
        lines += markdown_table([_escape(name) for name in table.header], cells)
        for note in table.notes:
            lines += ["", _escape(note)]
        lines.append("")
    return "\n".join(lines)


_TIED = " ≈ may be tied with the best: the 95% interval of the paired difference contains 0."


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table.

    Args:
        header: names of the columns.
        rows: cells of each row, as many as in the header.

    Returns:
        The lines (header, separator, rows), without line breaks.
    """
    table = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in table]


def _markdown_cell(cell: Cell) -> str:
    text = _escape(cell.text)
    text = f"**{text}**" if cell.mark == "best" else f"<u>{text}</u>" if cell.mark == "second" else text
    return f"{text} ≈" if cell.tied else text


_MARKUP = str.maketrans({c: f"\\{c}" for c in "\\|*`<["} | {"\n": " ", "\r": " "})


def _escape(text: str) -> str:
    """Text without a meaning in Markdown or HTML; underscores within words have none."""
    return text.translate(_MARKUP)
