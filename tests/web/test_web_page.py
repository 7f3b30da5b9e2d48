"""The page that fuses in the browser, used like a person would use it."""

import base64
import io

import numpy as np
import pytest
from browser import serve
from PIL import Image

import fusejax
from fusejax.io.images import read_image

pytest.importorskip("onnxruntime", reason="the extra page is not installed")

from fusejax.web import runtime as page_runtime
from fusejax.web.page import write_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages") / "page"
    try:
        write_page("light", out)
    except ValueError as error:
        if "onnxruntime-web" not in str(error):
            raise
        pytest.skip(f"the runtime cannot be had: {error}")
    return out


@pytest.fixture(scope="module")
def address(folder):
    with serve(folder) as address:
        yield address


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(error))  # noqa: PLW0108 - built-ins are refused
    page.goto(address)
    page.locator("#status", has_text="fused in").wait_for(timeout=60_000)
    yield page
    page.close()
    assert not problems


def pixels(page):
    """The content of the canvas, [h, w, 3]; as text, since Playwright takes seconds for a list."""
    text = page.evaluate(
        """() => { const bytes = view.getContext("2d").getImageData(0, 0, view.width, view.height).data;
        let text = "";
        for (let n = 0; n < bytes.length; n += 4096) text += String.fromCharCode(...bytes.subarray(n, n + 4096));
        return btoa(text) }"""
    )
    width, height = page.evaluate("() => [view.width, view.height]")
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3]


def png(image):
    data = io.BytesIO()
    Image.fromarray(image).save(data, "png")
    return data.getvalue()


def choose(page, kind, name, image):
    file = {"name": name, "mimeType": "image/png", "buffer": image if isinstance(image, bytes) else png(image)}
    page.locator(f"#{kind}-source input").set_input_files(file)


@pytest.mark.slow
def test_the_made_up_pair_is_fused_as_by_the_library(page, folder, say):
    found = pixels(page).astype(int)
    ir, vi = (read_image(folder / f"made_up_{kind}.png") for kind in ("ir", "vi"))
    difference = np.abs(found - fusejax.fuse(ir, vi, weights="light")).max(axis=-1)
    say(
        f"page: {page.inner_text('#status')}; {(difference > 0).mean():.2%} of pixels differ, {difference.max()} levels"
    )
    assert (difference <= 1).mean() >= 0.999
    assert np.abs(found - vi).mean() > 5  # neither source

    page.locator("#shown").press("Home")
    np.testing.assert_array_equal(pixels(page), np.broadcast_to(ir, vi.shape))
    page.get_by_role("button", name="Visible", exact=True).click()
    np.testing.assert_array_equal(pixels(page), vi)

    page.get_by_role("button", name="Fused", exact=True).click()
    page.locator("#strength").press("Home")
    page.locator("#strength-value", has_text="0 %").wait_for()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    np.testing.assert_array_equal(pixels(page), vi)
    page.locator("#strength").press("End")
    page.locator("#strength-value", has_text="200 %").wait_for()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    np.testing.assert_allclose(pixels(page), np.clip(2 * found - vi, 0, 255), atol=2)
    page.locator("#strength").fill("100")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    np.testing.assert_array_equal(pixels(page), found)

    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    assert download.value.suggested_filename == "made_up_vi_fused.png"
    np.testing.assert_array_equal(read_image(download.value.path().rename(folder / "down.png")), found)


@pytest.mark.slow
def test_all_comes_from_the_folder_and_is_small(browser, address, say):
    page, sizes = browser.new_page(), {}
    page.on("response", lambda response: sizes.update({response.url: int(response.headers["content-length"])}))
    page.goto(address)
    page.locator("#status", has_text="fused in").wait_for(timeout=60_000)
    assert all(url.startswith(address) for url in sizes)
    say(f"page: first load {sum(sizes.values()) / 1e6:.2f} MB in {len(sizes)} files")
    assert sum(sizes.values()) < 15e6
    assert page.evaluate("() => crossOriginIsolated") is False  # needs no headers of the server
    refused = page.evaluate("() => fetch('http://127.0.0.2:9/').then(() => 'sent', (error) => String(error))")
    assert "TypeError" in refused
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_and_zoom_reaches_the_pixels(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.locator("#stage").press("1")
    page.locator("#zoom-value", has_text="100 %").wait_for()
    page.locator("#stage").press("+")
    assert page.evaluate("() => view.getBoundingClientRect().width") == 1280
    page.locator("#stage").press("0")
    assert page.evaluate("() => view.getBoundingClientRect().width") <= width


@pytest.mark.slow
def test_own_images_and_words_for_what_cannot_be_fused(page):
    message, rng = page.locator("#message"), np.random.default_rng(0)
    ir, vi = rng.integers(0, 256, (37, 50), np.uint8), rng.integers(0, 256, (61, 83, 3), np.uint8)
    choose(page, "vi", "scene.png", vi)
    message.get_by_text("the visible one 83 × 61").wait_for()
    assert page.locator("#download").is_disabled()
    choose(page, "ir", "thermal.png", ir)
    page.get_by_role("button", name="Resample infrared to 83 × 61").click()
    page.locator("#status", has_text="83 × 61 fused").wait_for()
    assert message.is_hidden()
    same = np.asarray(Image.fromarray(ir).resize((83, 61)))
    choose(page, "ir", "thermal.png", same)
    page.locator("#status", has_text="83 × 61 fused").wait_for()
    page.locator("#download:not([disabled])").wait_for()
    difference = np.abs(pixels(page).astype(int) - fusejax.fuse(same, vi, weights="light"))
    assert (difference.max(axis=-1) <= 1).mean() >= 0.999

    choose(page, "ir", "broken.png", b"no image")
    message.get_by_text("broken.png cannot be read").wait_for()
    choose(page, "ir", "huge.png", np.zeros((8000, 5001), np.uint8))
    message.get_by_text("5001 × 8000, more than the 40 million pixels").wait_for()


def test_a_browser_without_webassembly_is_told(browser, address):
    page = browser.new_page()
    page.add_init_script("delete window.WebAssembly")
    page.goto(address)
    page.get_by_text("This browser lacks WebAssembly").wait_for()
    page.close()


def test_a_missing_network_is_said_and_not_tried_for_ever(browser, address):
    page, tries = browser.new_page(), []
    page.route("**/model.onnx", lambda route: (tries.append(1), route.fulfill(status=404)))
    page.goto(address)
    page.get_by_text("model.onnx is missing (status 404)").wait_for()
    page.get_by_role("button", name="Synthetic pair").click()
    page.wait_for_timeout(300)
    assert page.locator("#message").is_visible() and len(tries) == 1
    page.close()


def test_what_cannot_be_written_is_said(folder, tmp_path, monkeypatch):
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_page("light", folder)
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(FileExistsError, match="another --out"):
        write_page("light", tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="lacks files of onnxruntime-web"):
        write_page("light", tmp_path / "page", runtime=tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(page_runtime, "_fetch", lambda made: made / "other.tgz")
    monkeypatch.setattr(page_runtime.Path, "read_bytes", lambda path: b"another archive")
    with pytest.raises(ValueError, match="is not the tested package"):
        write_page("light", tmp_path / "page")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(page_runtime.shutil, "which", lambda name: None)
    monkeypatch.setattr(page_runtime, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"npm was not found.*--runtime DIR"):
        write_page("light", tmp_path / "page")
    assert not (tmp_path / "page").exists()
