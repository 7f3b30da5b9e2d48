"""`fusejax report`: a figure and a summary of a finished or running run, from its log alone."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from etils import epath

from fusejax.cli.parsing import parse
from fusejax.io.outputs import check_files, refuse_existing
from fusejax.io.run_log import run_folder
from fusejax.io.unfinished import is_local
from fusejax.report.page import check_page
from fusejax.report.run_history import read_history
from fusejax.report.run_page import write_run_page
from fusejax.report.run_plots import draw_report
from fusejax.report.run_summary import summary_text


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Plots and summarizes the log of a run.

    Attributes:
        workdir: folder of the run, local or remote (gs://).
        out: PNG file for the figure; by default report.png in the run's folder.
        page: folder for a page (index.html) with the figure, the summary and the latest panels.
        overwrite: replace files that this command has not written; its own are always replaced.
    """

    workdir: Annotated[str, tyro.conf.Positional]
    out: str | None = None
    page: Path | None = None
    overwrite: bool = False


def report_command(options: ReportOptions) -> None:
    """Prints the summary and writes the figure.

    Raises:
        ValueError: if there is nothing to report, or `out` is not a .png file.
        FileExistsError: if a file exists that this command has not written, without `overwrite`.
    """
    path = epath.Path(options.out) if options.out else run_folder(options.workdir) / "report.png"
    if path.suffix.lower() != ".png":
        raise ValueError(f"--out {path} is not a .png file; give a name that ends in .png.")
    if is_local(path):
        refuse_existing(check_files([Path(path)], own=True), overwrite=options.overwrite)
    if options.page is not None:
        check_page(options.page, overwrite=options.overwrite, own=True)
    history = read_history(options.workdir)
    draw_report(path, history)
    print(summary_text(history))
    print(f"written to {path}")
    if options.page is not None:
        print(f"page: {write_run_page(options.page, options.workdir, path, summary_text(history))}")


def run(arguments: list[str]) -> None:
    """The command."""
    report_command(parse(ReportOptions, "report", arguments))
