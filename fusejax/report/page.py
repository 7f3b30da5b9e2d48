"""A page of results: one HTML file with tables, charts and images that needs no server."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from fusejax.evaluation.results import Evaluation, Scores
from fusejax.io.images import ImageWarning, image_size, read_image
from fusejax.io.outputs import GENERATOR, check_files, check_out, refuse_existing, write_complete
from fusejax.metrics import CONVENTIONS, METRICS, TEMPORAL_METRICS
from fusejax.progress import track
from fusejax.report.page_charts import Chart, distribution_chart, rank_chart
from fusejax.report.page_images import LONGEST, data_uri, map_files, shown_images, worst_images
from fusejax.report.ranking import Ranking, arrow, rank
from fusejax.report.tables import Table, score_table

PAGE = "index.html"
_OVER_TIME = "temporal stability of videos; an image stands for the transition to it from the previous frame"
# Images are stored losslessly up to this number of pixels in all layers together: some 25 MB.
_LOSSLESS_PIXELS = 16e6


@dataclasses.dataclass(frozen=True)
class _View:
    """The content of the page for one convention."""

    name: str
    summary: str
    metrics: list[dict[str, str]]
    table: Table
    values: list[list[float | None]]
    ranking: Ranking
    rank_chart: Chart
    charts: list[Chart]
    worst: dict[str, dict[str, list[str]]]


def write_page(folder: str | Path, result: Evaluation, *, title: str = "Fused images", note: str = "") -> Path:
    """Writes a page of results, FOLDER/index.html.

    The file contains everything, with images as WebP of at most 1280 pixels per side, and makes no
    network requests. It also shows the sources, so the terms of the data set apply to the page.

    Args:
        folder: folder for the page, created if needed; an existing page is replaced.
        result: scores, with the files they belong to.
        title: heading of the page.
        note: sentence below the title.

    Returns:
        The path of the file.
    """
    views = [_view(scores) for scores in result.scores]
    linked = [name for method in views[0].worst.values() for names in method.values() for name in names]
    shown = shown_images(result.names, linked)
    return write_html(
        Path(folder) / PAGE,
        "page.html",
        title=title,
        note=note,
        methods=result.scores[0].methods,
        count=len(result.names),
        views=views,
        skipped=result.skipped,
        shown=shown,
        stored=_stored(result, shown),
        data=_data(result, shown),
    )


def write_html(path: Path, template: str, **values: Any) -> Path:
    """Fills one of this package's templates and writes it; creates the folder if needed."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fusejax.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # keeps the order of methods and metrics
    text = environment.get_template(template).render(generator=markupsafe.Markup(GENERATOR), **values)
    write_complete(path, text)
    return path


def check_page(folder: Path, *, overwrite: bool, own: bool = False) -> None:
    """Checks, before any work, that a page can be written.

    Args:
        folder: folder for the page.
        overwrite: whether an existing file may be replaced.
        own: whether a page that was written earlier may be replaced.

    Raises:
        FileExistsError: if a page already exists and `overwrite` is not set.
        OSError: if the folder cannot be written, see `check_out`.
    """
    check_out(folder, option="--page")
    existing = check_files([folder / PAGE], option="--page", own=own)
    refuse_existing(existing, overwrite=overwrite, option="--page")


def _stored(result: Evaluation, shown: Sequence[str]) -> str:
    losses = "losslessly" if _lossless(result, shown) else "with slight losses: judge noise in the original files"
    return f"Images are stored with at most {LONGEST} pixels per side, {losses}."


def _lossless(result: Evaluation, shown: Sequence[str]) -> bool:
    """Whether the images are few and small enough to be stored losslessly."""
    sizes = (image_size(next(iter(result.fused.values()))[name]) for name in shown)
    return sum(h * w for h, w in sizes) * (2 + len(result.fused)) <= _LOSSLESS_PIXELS


def _view(scores: Scores) -> _View:
    ranking = rank([scores])
    means = scores.means()[:, 0]
    worst = {method: {m: worst_images(scores, method, m) for m in scores.metrics} for method in scores.methods}
    known = scores.convention in CONVENTIONS
    return _View(
        name=scores.convention,
        summary=CONVENTIONS[scores.convention].summary if known else _OVER_TIME,
        metrics=[_described(name) for name in scores.metrics],
        table=score_table(scores, ranking),
        values=[[v if math.isfinite(v) else None for v in row] for row in means.tolist()],
        ranking=ranking,
        rank_chart=rank_chart(ranking),
        charts=[chart for name in scores.metrics if (chart := distribution_chart(scores, name))],
        worst=worst,
    )


def _described(metric: str) -> dict[str, str]:
    info = (METRICS | TEMPORAL_METRICS)[metric]
    return {
        "name": metric,
        "arrow": arrow(metric),
        "title": f"{info.title}, {info.values}; {info.better} is better",
    }


def _data(result: Evaluation, shown: Sequence[str]) -> dict[str, Any]:
    """The data that the page's script reads."""
    images, lossless = [], _lossless(result, shown)
    for name in track(shown, len(shown), description="embedding images", unit="pairs"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # already shown when the images were scored
            images.append({"name": name, "layers": _layers(result, name, lossless=lossless)})
    scores = {
        s.convention: {method: {m: _numbers(s.of(method, m)) for m in s.metrics} for method in s.methods}
        for s in result.scores
    }
    return {"images": images, "scores": scores, "names": list(result.names)}


def _layers(result: Evaluation, name: str, *, lossless: bool) -> list[dict[str, str]]:
    infrared, visible = result.read(name)
    encode = partial(data_uri, lossless=lossless)
    layers = [
        {"id": "infrared", "title": "infrared", "uri": encode(infrared)},
        {"id": "visible", "title": "visible", "uri": encode(visible)},
    ]
    for method, files in result.fused.items():
        layers.append({"id": f"fused:{method}", "title": method, "uri": encode(read_image(files[name]))})
    for method, files in result.fused.items():
        for kind, path in map_files(files[name]).items():
            layers.append({"id": f"map:{method}:{kind}", "title": f"{method}: {kind}", "uri": encode(read_image(path))})
    for title, files in result.looks.items():
        if name in files:
            layers.append({"id": f"look:{title}", "title": title, "uri": encode(read_image(files[name]))})
    return layers


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]
