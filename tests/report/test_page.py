"""The results page: its content, that it is self-contained, and that it works in a browser."""

import base64
import html.parser
import io
import json

import numpy as np
import pytest
from browser import open_browser
from etils import epath
from PIL import Image

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.results import Evaluation, Scores
from fusejax.evaluation.video import with_frames
from fusejax.io.images import read_image, write_image
from fusejax.io.pairing import PairPaths
from fusejax.report import page_images
from fusejax.report.page import check_page, write_page
from fusejax.report.page_charts import Scale, distribution_chart, rank_chart
from fusejax.report.ranking import rank
from fusejax.report.run_page import write_run_page

VOID = {"img", "meta", "link", "input", "br", "line", "rect", "circle"}
NAMES = ("VIF", "EN", "MSE", "SD", "SF", "AG", "MI", "SSIM", "Qabf")  # wider than a phone
METHODS = ("sharp & <odd>", "mean", "dark")


class Outline(html.parser.HTMLParser):
    """Open elements, links, ids, and the data of the page."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids, self.data = [], [], [], ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[k] for k in ("href", "src") if k in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag not in VOID:
            self.open.append((tag, attrs.get("id")))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == ("script", "data"):
            self.data += data


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Three methods on seven pairs with invented scores."""
    root = tmp_path_factory.mktemp("page")
    write_synthetic_folder(root, count=7, size=(40, 56))
    stems = sorted(path.stem for path in (root / "ir").iterdir())
    sources = [{s: root / kind / f"{s}.png" for s in stems} for kind in ("ir", "vi")]
    fused = {}
    for n, method in enumerate(METHODS):
        fused[method] = {s: root / f"fused{n}" / f"{s}.png" for s in stems}
        for s in stems:
            write_image(fused[method][s], read_image(sources[1][s]) // (n + 1))
    write_image(root / "fused1" / "maps" / f"{stems[0]}_alpha.png", np.full((40, 56), 99, np.uint8))
    rng = np.random.default_rng(0)

    scores = []
    for convention in ("exact", "cddfuse"):
        values = rng.standard_normal((3, 1, 7, len(NAMES))) + np.arange(3)[:, None, None, None]
        values[:, :, 2, NAMES.index("VIF")] = np.nan
        scores.append(Scores(METHODS, tuple(stems), NAMES, values, convention))
    pairs = {s: PairPaths(s, *(files[s] for files in sources)) for s in stems}
    return Evaluation(scores, None, ["a: no infrared image"], pairs, fused)


@pytest.fixture(scope="module")
def written(result, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("out") / "page", result, title="Seven streets")


def outline(path):
    found = Outline()
    found.feed(path.read_text(encoding="utf-8"))
    assert found.open == []
    return found


def test_the_page_is_well_formed_and_needs_nothing_else(written):
    found = outline(written)
    assert len(set(found.ids)) == len(found.ids)
    outside = [link for link in found.links if not link.startswith(("#", "data:"))]
    assert outside == []
    text = written.read_text(encoding="utf-8")
    assert "http:" not in text.replace("http://www.w3.org", "")
    assert "https:" not in text
    inside = {link[1:] for link in found.links if link.startswith("#") and not link.startswith("#image=")}
    assert inside <= set(found.ids)
    assert "sharp &amp; &lt;odd&gt;" in text
    assert "a: no infrared image" in text


def test_the_numbers_are_those_of_the_scores(written, result):
    data = json.loads(outline(written).data)
    assert list(data["scores"]) == ["exact", "cddfuse"]
    assert list(data["scores"]["exact"]) == list(METHODS)
    for method in METHODS:
        stored = data["scores"]["exact"][method]
        assert list(stored) == list(NAMES)
        assert stored["VIF"][2] is None
        np.testing.assert_allclose(stored["EN"], result.scores[0].of(method, "EN"), rtol=1e-5)
    layers = [layer["id"] for layer in data["images"][0]["layers"]]
    assert layers == ["infrared", "visible", *(f"fused:{m}" for m in METHODS), "map:mean:alpha"]


def test_best_and_second_best_are_marked(written, result):
    text = written.read_text(encoding="utf-8")
    means = {method: result.scores[0].mean(method)["EN"] for method in METHODS}
    best, second = sorted(means, key=means.get, reverse=True)[:2]
    for method, mark in ((best, "best"), (second, "second")):
        assert f'class="{mark}" data-value="{means[method]}"' in text
    least = min(result.scores[0].mean(method)["MSE"] for method in METHODS)
    assert f'class="best" data-value="{least}"' in text


def test_the_bars_of_the_ranks_are_their_intervals(written, result):
    """R8: bars from the lower to the upper end of the bootstrap's interval, not at the mean."""
    ranking = rank([result.scores[0]])
    chart = rank_chart(ranking)
    scale = Scale(1.0, 3.0, whole=True)
    text = written.read_text(encoding="utf-8")
    assert [row.method for row in chart.rows] == [METHODS[n] for n in np.argsort(ranking.mean, kind="stable")]
    assert (ranking.high > ranking.low).any()
    for row in chart.rows:
        n = METHODS.index(row.method)
        ends = scale(ranking.low[n]), scale(ranking.high[n])
        assert row.box == row.line == ends
        assert row.middle == scale(ranking.mean[n])
        assert f'<rect class="bar" x="{ends[0]}" width="{max(ends[1] - ends[0], 1):.1f}"' in text


def test_distribution_bars_are_quartiles(result):
    chart = distribution_chart(result.scores[0], "VIF")
    values = result.scores[0].of("mean", "VIF")
    values = values[np.isfinite(values)]
    every = result.scores[0].values[..., NAMES.index("VIF")]
    scale = Scale(np.nanmin(every), np.nanmax(every))
    row = chart.rows[1]
    assert row.box == tuple(scale(v) for v in np.quantile(values, (0.25, 0.75)))
    assert row.line == tuple(scale(v) for v in np.quantile(values, (0.05, 0.95)))
    assert row.middle == scale(np.median(values)) and len(row.dots) == 6


def test_worst_images_and_those_that_are_shown(result, monkeypatch):
    scores, method = result.scores[0], METHODS[0]
    worst = page_images.worst_images(scores, method, "VIF")
    assert len(worst) == 5
    assert scores.images[2] not in worst
    values = dict(zip(scores.images, scores.of(method, "VIF"), strict=True))
    assert [values[n] for n in worst] == sorted(v for v in values.values() if np.isfinite(v))[:5]
    names = [str(n) for n in range(100)]
    monkeypatch.setattr(page_images, "MOST_IMAGES", 10)
    shown = page_images.shown_images(names, ["70", "3", "70"])
    assert len(shown) == 10
    assert {"70", "3"} <= set(shown)
    assert max(np.diff(list(map(int, shown)))) <= 13 and int(shown[-1]) > 80, "spread over all"
    assert shown == sorted(shown, key=int)


def test_images_are_kept_exactly_or_shrunk():
    pixels = np.random.default_rng(0).integers(0, 255, (30, 1500, 3), np.uint8)

    def decode(width, **options):
        head, data = page_images.data_uri(pixels[:, :width], **options).split(",")
        assert head == "data:image/webp;base64"
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))

    assert decode(1500).shape == (26, 1280, 3)
    np.testing.assert_array_equal(decode(40, lossless=True), pixels[:, :40])


def test_pages_are_not_replaced_unasked(written, tmp_path):
    with pytest.raises(FileExistsError, match="use --overwrite, or another --page"):
        check_page(written.parent, overwrite=False)
    check_page(written.parent, overwrite=True)
    with pytest.raises(NotADirectoryError, match="name a folder"):
        check_page(written, overwrite=True)


def test_a_page_shows_videos_over_time(result, tmp_path):
    """A value belongs to the transition to a frame, so the first frame has none."""
    names = result.names
    steps = tuple(f"{n:06d}" for n in range(1, len(names)))
    values = np.broadcast_to(np.arange(6.0)[:, None], (3, 1, 6, 1)).copy()
    scores = Scores(METHODS, steps, ("flicker",), values, "temporal")
    first = next(iter(result.pairs.values()))
    folders = [first.ir.parent, first.vi.parent]
    folders += [next(iter(files.values())).parent for files in result.fused.values()]
    found = with_frames(scores, dict(zip(METHODS, folders[2:], strict=True)), *folders[:2])
    assert found.pairs[steps[0]].vi == result.pairs[names[1]].vi
    assert found.fused["dark"][steps[-1]] == result.fused["dark"][names[-1]]
    text = write_page(tmp_path, found).read_text(encoding="utf-8")
    assert "flicker ↓" in text
    assert "the transition to it" in text
    with pytest.raises(ValueError, match="is not a folder of frames"):
        with_frames(scores, dict(zip(METHODS, folders[2:], strict=True)), folders[0], tmp_path / "video.mp4")


def test_a_page_of_a_run_holds_its_figure_and_latest_panels(tmp_path):
    for step in range(20):
        write_image(tmp_path / "run" / "panels" / f"a_{step:07d}.png", np.full((4, 4), step, np.uint8))
    figure = epath.Path(tmp_path / "run" / "panels" / "a_0000000.png")
    path = write_run_page(tmp_path / "page", str(tmp_path / "run"), figure, "1 of 2 steps <done>")
    found, text = outline(path), path.read_text(encoding="utf-8")
    assert "1 of 2 steps &lt;done&gt;" in text
    assert len([link for link in found.links if link.startswith("data:image/png")]) == 1 + 12
    assert text.index("a_0000019") < text.index("a_0000008")
    assert "a_0000007" not in text


def test_scales_have_round_ticks():
    scale = Scale(0.0, 1.0)
    assert all(0 <= float(text) <= 1 and len(text) <= 4 for _, text in scale.ticks)
    assert scale(0.5) == 160
    assert [text for _, text in Scale(1.0, 4.0, whole=True).ticks] == ["1", "2", "3", "4"]


@pytest.fixture(scope="module")
def browser():
    with open_browser() as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_page_works_in_a_browser(browser, written, result, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto(written.as_uri())
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    rows = "#table div:not([hidden]) tbody th"
    page.click("#table thead button:has-text('EN')")
    order = sorted(METHODS, key=lambda method: -result.scores[0].mean(method)["EN"])
    assert page.locator(rows).all_inner_texts()[:3] == order
    page.click("#table thead button:has-text('EN')")
    assert page.locator(rows).all_inner_texts()[:3] == order[::-1]

    page.focus("#stage")
    page.keyboard.press("ArrowRight")
    assert float(page.input_value("#slide")) == 52
    page.keyboard.press("n")
    page.wait_for_function(f"document.getElementById('name').value === '{result.names[1]}'")
    page.keyboard.press("+")
    assert "zoomed" in page.get_attribute("#stage", "class")
    page.select_option("#right", "error-ir:mean")
    page.wait_for_selector("#scale:not([hidden])")

    link = page.locator("#worst div:not([hidden]) details[open] dd a").first
    name = link.inner_text()
    link.click()
    page.wait_for_function(f"document.getElementById('name').value === '{name}'")
    page.select_option("#convention", "cddfuse")
    assert page.locator("#table [data-convention=exact]").is_hidden()
    n = result.names.index(name)
    shown = page.locator("#scores tbody tr").first.locator("td").all_inner_texts()
    assert float(shown[1]) == pytest.approx(result.scores[1].of(METHODS[0], "EN")[n], rel=1e-3)

    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert wrong == []
    page.close()
