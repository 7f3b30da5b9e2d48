"""Tables of scores for papers: LaTeX with the package booktabs."""

from collections.abc import Sequence

from fusejax.report.tables import Cell, Table

_HEAD = "% \\usepackage{booktabs}; bold: best, underlined: second best"
_TIED = ", $\\approx$: may be tied with the best (the 95% interval of the paired difference contains 0)"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\to$",
    "±": r"$\pm$",
    "–": "--",
}
_ESCAPES = str.maketrans(_SPECIAL | {"\n": " ", "\r": " "})


def latex(tables: Sequence[Table]) -> str:
    """Tables in LaTeX, each a float with its caption.

    Args:
        tables: the tables.

    Returns:
        The text; names are escaped.
    """
    tied = _TIED if any(table.has_ties for table in tables) else ""
    return "\n".join([_HEAD + tied.replace("%", r"\%"), *map(_float, tables)])


def _float(table: Table) -> str:
    caption = ": ".join(filter(None, [table.name, table.caption]))
    caption = (caption[:1].upper() + caption[1:]).translate(_ESCAPES)
    lines = [r"\begin{table}", r"\centering", f"\\caption{{{caption}.}}"]
    lines += [f"\\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\toprule"]
    lines += [_row([Cell(name) for name in table.header]), r"\midrule", *map(_row, table.rows)]
    lines += [r"\bottomrule", r"\end{tabular}", *(f"% {note}" for note in table.notes), r"\end{table}", ""]
    return "\n".join(lines)


def _row(cells: Sequence[Cell]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(cell: Cell) -> str:
    text = cell.text.translate(_ESCAPES)
    text = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}", "": text}[cell.mark]
    return f"{text} $\\approx$" if cell.tied else text
