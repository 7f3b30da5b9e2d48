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

from fusejax.io.images import ImageWarning, image_size
from fusejax.io.outputs import GENERATOR, check_files, check_out, refuse_existing, write_complete
from fusejax.metrics import CONVENTIONS, METRICS, TEMPORAL_METRICS, higher_is_better
from fusejax.progress import track
from fusejax.report.page_charts import Chart, distribution_chart, rank_chart
from fusejax.report.page_images import LONGEST, data_uri, map_files, shown_images, worst_images
from fusejax.report.ranking import Ranking, bootstrap_ranking
from fusejax.report.scores import FolderScores, Scores
from fusejax.report.tables import ranks

PAGE = "index.html"
_OVER_TIME = "temporal stability of videos; an image stands for the transition to it from the previous frame"
# Images are stored losslessly up to this number of pixels in all layers together: some 25 MB.
_LOSSLESS_PIXELS = 16e6


@dataclasses.dataclass(frozen=True)
class _Cell:
    """A mean in the table: its text, the value to sort by, its rank, and whether the difference
    from the best could be due to chance.
    """

    text: str
    value: float | None
    place: str
    level: bool


@dataclasses.dataclass(frozen=True)
class _View:
    """The content of the page for one convention."""

    name: str
    summary: str
    metrics: list[dict[str, str]]
    rows: list[tuple[str, list[_Cell], str]]
    ranking: Ranking
    rank_chart: Chart
    charts: list[Chart]
    worst: dict[str, dict[str, list[str]]]
    left_out: list[str]


def write_page(folder: str | Path, result: FolderScores, *, title: str = "Fused images", note: str = "") -> Path:
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
    views = [_view(name, methods) for name, methods in result.conventions.items()]
    linked = [name for method in views[0].worst.values() for names in method.values() for name in names]
    shown = shown_images(result.names, linked)
    return write_html(
        Path(folder) / PAGE,
        "page.html",
        title=title,
        note=note,
        methods=[scores.method for scores in result.methods],
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


def _stored(result: FolderScores, shown: Sequence[str]) -> str:
    losses = "losslessly" if _lossless(result, shown) else "with slight losses: judge noise in the original files"
    return f"Images are stored with at most {LONGEST} pixels per side, {losses}."


def _lossless(result: FolderScores, shown: Sequence[str]) -> bool:
    """Whether the images are few and small enough to be stored losslessly."""
    sizes = (image_size(result.vi[name]) for name in shown)
    return sum(h * w for h, w in sizes) * (2 + len(result.fused)) <= _LOSSLESS_PIXELS


def _view(convention: str, methods: Sequence[Scores]) -> _View:
    ranking = bootstrap_ranking(methods)
    metrics = list(methods[0].values)
    columns = {name: _column(methods, name, ranking) for name in metrics}
    rows = [(s.method, [columns[m][n] for m in metrics], f"{ranking.mean[n]:.2f}") for n, s in enumerate(methods)]
    worst = {s.method: {m: worst_images(s, m, better_high=higher_is_better(m)) for m in metrics} for s in methods}
    left_out = [
        f"{s.method}: {metric} is undefined for {count} of {len(s.names)} images, which are excluded from its mean."
        for s in methods
        for metric, count in s.left_out().items()
    ]
    return _View(
        name=convention,
        summary=CONVENTIONS[convention].summary if convention in CONVENTIONS else _OVER_TIME,
        metrics=[_described(name) for name in metrics],
        rows=rows,
        ranking=ranking,
        rank_chart=rank_chart(methods, ranking),
        charts=[chart for name in metrics if (chart := distribution_chart(methods, name))],
        worst=worst,
        left_out=left_out,
    )


def _described(metric: str) -> dict[str, str]:
    info = (METRICS | TEMPORAL_METRICS)[metric]
    return {
        "name": metric,
        "arrow": "↑" if higher_is_better(metric) else "↓",
        "title": f"{info.title}, {info.values}; {info.better} is better",
    }


def _column(methods: Sequence[Scores], metric: str, ranking: Ranking) -> list[_Cell]:
    means = np.array([scores.means()[metric] for scores in methods])
    places = ranks(means, metric=metric)
    cells = []
    for n, (mean, place) in enumerate(zip(means, places, strict=True)):
        defined = math.isfinite(mean)
        mark = "best" if place < 2 else "second" if place < 3 else ""
        several = len(methods) > 1 and defined
        level = several and mark != "best" and bool(ranking.level[metric][n])
        cells.append(
            _Cell(
                f"{mean:#.4g}".rstrip(".") if defined else "–",
                float(mean) if defined else None,
                mark if several else "",
                level,
            )
        )
    return cells


def _data(result: FolderScores, shown: Sequence[str]) -> dict[str, Any]:
    """The data that the page's script reads."""
    images, lossless = [], _lossless(result, shown)
    for name in track(shown, len(shown), description="embedding images", unit="pairs"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # already shown when the images were scored
            images.append({"name": name, "layers": _layers(result, name, lossless=lossless)})
    scores = {
        convention: {s.method: {m: _numbers(v) for m, v in s.values.items()} for s in methods}
        for convention, methods in result.conventions.items()
    }
    return {"images": images, "scores": scores, "names": result.names}


def _layers(result: FolderScores, name: str, *, lossless: bool) -> list[dict[str, str]]:
    visible = result.vi[name]
    encode = partial(data_uri, lossless=lossless)
    layers = [
        {"id": "infrared", "title": "infrared", "uri": encode(result.ir[name], like=visible, infrared=True)},
        {"id": "visible", "title": "visible", "uri": encode(visible)},
    ]
    for method, files in result.fused.items():
        layers.append({"id": f"fused:{method}", "title": method, "uri": encode(files[name])})
    for method, files in result.fused.items():
        for kind, path in map_files(files[name]).items():
            layers.append({"id": f"map:{method}:{kind}", "title": f"{method}: {kind}", "uri": encode(path)})
    return layers


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]
