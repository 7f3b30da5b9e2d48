"""Pairs listed in a CSV file."""

import csv
from pathlib import Path

from fusejax.io.pair_names import PairError

INFRARED_COLUMNS = ("ir", "infrared", "thermal", "lwir")
VISIBLE_COLUMNS = ("vi", "vis", "visible", "rgb")
_FORM = "its first line names the columns ir and vi, and every other line one pair of files"


def is_pair_list(path: Path) -> bool:
    """Whether a path is taken for a list of pairs: an existing file with the suffix .csv."""
    return path.suffix.lower() == ".csv" and path.is_file()


def read_pair_list(path: Path) -> list[tuple[Path, Path]]:
    """Reads a list of pairs.

    Args:
        path: CSV file (UTF-8, separated by comma, semicolon or tab) whose first line names the
            columns "ir" and "vi" or other usual names; further columns are ignored. Paths are
            relative to the folder of the CSV file.

    Returns:
        Infrared and visible file of each line, in the order of the file. The visible file may be
        empty for infrared files that hold a visible image; it is then the infrared file.

    Raises:
        PairError: if the file is no such list or names a missing file; gives the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise PairError(f"{path}: no such file; {_FORM}.") from error
    except UnicodeDecodeError as error:
        raise PairError(f"{path} is not UTF-8 text; save it as CSV in UTF-8: {_FORM}.") from error
    except OSError as error:
        raise PairError(f"{path} cannot be read ({error.strerror}).") from error
    lines = text.splitlines()
    head = lines[0] if lines else ""
    separator = max(",;\t", key=head.count)
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=separator), [])]
    columns = [
        next((names.index(n) for n in known if n in names), None) for known in (INFRARED_COLUMNS, VISIBLE_COLUMNS)
    ]
    if columns[0] is None:
        raise PairError(f"{path} begins with {head!r}; {_FORM}.")
    pairs: list[tuple[Path, Path]] = []
    try:
        rows = list(csv.reader(lines[1:], delimiter=separator, strict=True))
    except csv.Error as error:
        raise PairError(f"{path} is not a CSV file ({error}).") from error
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = [row[c].strip() if c is not None and c < len(row) else "" for c in columns]
        if not cells[0]:
            raise PairError(f"{path}, line {number}: no infrared file; {_FORM}.")
        files = [path.parent / (cell or cells[0]) for cell in cells]
        for file in files:
            if not file.is_file():
                raise PairError(
                    f"{path}, line {number}: {file} is not a file; paths are relative to the folder of the list."
                )
        pairs.append((files[0], files[1]))
    if not pairs:
        raise PairError(f"{path} lists no pairs; {_FORM}.")
    return pairs
