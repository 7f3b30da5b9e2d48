"""A page of a training run: one HTML file with its figure, summary and latest panels."""

import base64
from pathlib import Path

from etils import epath

from fusejax.report.page import PAGE, write_html

_MOST_PANELS = 12


def write_run_page(folder: str | Path, workdir: str, figure: epath.Path, summary: str) -> Path:
    """Writes FOLDER/index.html. The run may have advanced since an earlier page.

    Args:
        folder: folder for the page, created if needed.
        workdir: folder of the run, local or remote.
        figure: PNG file written by `draw_report`.
        summary: text returned by `summary_text`.

    Returns:
        The path of the file.
    """
    panels = sorted((epath.Path(workdir) / "panels").glob("*.png"), key=_step_and_name)[-_MOST_PANELS:]
    return write_html(
        Path(folder) / PAGE,
        "run.html",
        title=epath.Path(workdir).name,
        figure=_png(figure),
        summary=summary,
        panels=[(path.stem, _png(path)) for path in reversed(panels)],
    )


def _step_and_name(path: epath.Path) -> tuple[str, str]:
    """Parses NAME_STEP.png, the name of a panel; all steps have the same number of digits."""
    return path.stem.rpartition("_")[2], path.stem


def _png(path: epath.Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
