"""Strength, styles, and areas of the infrared image without content."""

import cv2
import numpy as np
import pytest

import fusejax
from fusejax.cli.main import main
from fusejax.data.synthetic import synthetic_pair
from fusejax.inference import FrameFuser
from fusejax.inference.content import empty_weight
from fusejax.inference.isotherm import mark_above
from fusejax.inference.styles import (
    check_style,
    color_bar,
    edge_overlay,
    overlay,
    palette_colors,
    visible_edges_on_infrared,
)
from fusejax.io.images import read_image, write_image
from fusejax.ops.color import rgb_to_luma

SIZE = (96, 128)


@pytest.fixture(scope="module")
def pair():
    made = synthetic_pair(5, size=SIZE)
    return made["ir"], made["vi"]


def test_strength_moves_from_the_visible_image_through_the_fused_one(pair):
    ir, vi = pair
    fused = {s: fusejax.fuse(ir, vi, strength=s, weights="maximum").astype(float) for s in (0.0, 0.5, 1.0, 2.0)}
    assert np.abs(fused[0.0] - vi).max() <= 1
    np.testing.assert_array_equal(fused[1.0], fusejax.fuse(ir, vi, weights="maximum"))
    luma = {s: rgb_to_luma(np.float32(x)) for s, x in fused.items()}
    np.testing.assert_allclose(luma[0.5], (luma[0.0] + luma[1.0]) / 2, atol=1.5)
    np.testing.assert_allclose(luma[2.0], np.clip(2 * luma[1.0] - luma[0.0], 0, 255), atol=2.5)
    assert (luma[2.0] > luma[1.0] + 5).any()


def test_slopes_beside_strong_edges_are_no_edges():
    saw = (np.arange(72, dtype=np.float32) % 36 * 0.025)[None, :, None].repeat(24, 0)  # 0.025 per pixel, then -0.9
    drawn = np.abs(edge_overlay(saw, np.zeros((24, 72, 3), np.float32))).max(axis=(0, 2))
    assert drawn[35:37].min() > 0.5
    np.testing.assert_array_equal(drawn[8:28], 0)


def test_only_what_is_hotter_than_the_limit_is_marked():
    image = np.full((1, 3, 3), 100, np.uint8)
    marked = mark_above(image, np.float32([[[29.5], [30.0], [30.5]]]), 30.0)
    np.testing.assert_array_equal(marked[:, :2], image[:, :2])
    assert marked[0, 2, 0] > 150
    assert marked[0, 2, 2] < 100


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_strengths_out_of_range_are_refused(pair, strength):
    with pytest.raises(ValueError, match=r"strength is .*; give 0 \(the visible image\) to 2"):
        fusejax.fuse(*pair, strength=strength)


def test_strength_of_a_video_can_change_between_frames(pair):
    ir, vi = pair
    fuser = FrameFuser("maximum", strength=0.0)
    assert np.abs(fuser.fuse(ir, vi, 0.0).astype(int) - vi).max() <= 1
    fuser.strength = 1.0
    np.testing.assert_array_equal(fuser.fuse(ir, vi, 0.1), fusejax.fuse(ir, vi, weights="maximum"))


def test_overlay_shows_the_palette_and_edges_show_contours(pair):
    ir, vi = (np.float32(x / 255) for x in pair)
    colors = palette_colors(ir, "inferno")
    np.testing.assert_allclose(overlay(ir, vi, opacity=1), colors, atol=1e-6)
    np.testing.assert_allclose(overlay(ir, vi, opacity=0), vi, atol=1e-6)
    np.testing.assert_allclose(overlay(ir, vi), (vi + colors) / 2, atol=1e-6)
    luma = rgb_to_luma(palette_colors(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], "inferno"))
    assert (np.diff(luma[0, :, 0]) > 0).all()  # hotter is brighter
    step = np.zeros((*SIZE, 1), np.float32)
    step[:, 60:] = 0.5
    drawn = np.abs(edge_overlay(step, vi) - vi).max(axis=(0, 2))
    assert drawn[58:62].min() > 0.2
    np.testing.assert_array_equal(drawn[:50], 0)
    np.testing.assert_array_equal(edge_overlay(0 * step, vi), vi)
    assert np.ptp(visible_edges_on_infrared(ir, vi), axis=-1).max() > 0.3


def test_a_color_bar_names_its_ends():
    bar = color_bar(15, 40, height=200, unit="C")
    assert bar.shape[0] == 200
    column = rgb_to_luma(bar)[12:-12, 12, 0]
    assert (np.diff(column) <= 1e-3).all()  # the top is the hottest
    assert column[0] > 0.9
    assert (bar[:, 30:] < 0.5).any(axis=-1).any(axis=1)[[10, 11, -11]].any()  # text beside it


def test_the_same_temperature_has_the_same_color_in_every_image(pair):
    _, vi = pair
    counts = np.random.default_rng(0).integers(1000, 3000, (2, *SIZE, 1)).astype(np.uint16)
    counts[1] += 500
    counts[:, 40, 40] = 2500
    shown = [fusejax.fuse(ir, np.full_like(vi, 90), style="overlay", ir_range=(1000, 4000)) for ir in counts]
    np.testing.assert_array_equal(shown[0][40, 40], shown[1][40, 40])


def test_styles_run_no_network_and_refuse_its_options(pair, monkeypatch):
    ir, vi = pair
    backend = fusejax.load("light")
    monkeypatch.setattr(type(backend), "fuse_sources", None)
    assert backend.fuse(ir, vi[..., :1], style="edges").shape == (*SIZE, 3)
    for options in ({"strength": 0.5}, {"stretch": True}):
        with pytest.raises(ValueError, match="runs no network, so leave out strength, stretch and maps"):
            backend.fuse(ir, vi, style="overlay", **options)
    with pytest.raises(ValueError, match="style is 'heat'; expected one of fused, overlay, edges"):
        check_style("heat")


def bordered(ir, *, top=0, left=0, value=0):
    ir = ir.copy()
    ir[:top] = value
    ir[:, :left] = value
    return ir


@pytest.mark.parametrize("value", [0, 255, 90])
@pytest.mark.parametrize(("top", "left"), [(12, 0), (0, 10), (9, 14)])
def test_constant_strips_are_empty(pair, value, top, left):
    weight = empty_weight(bordered(pair[0], top=top, left=left, value=value))
    assert (weight[:top] == 1).all()
    assert (weight[:, :left] == 1).all()
    rest = weight[top + 17 :, left + 17 :]
    assert rest.mean() < (0.02 if value == 90 else 1e-9)  # grays of the scene can touch the strip


def test_a_rotated_frame_is_empty_and_noise_of_jpeg_does_not_matter(pair):
    h, w = SIZE
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), 6, 0.85)
    turned = cv2.warpAffine(np.ascontiguousarray(pair[0][..., 0]), turn, (w, h), borderValue=255)
    outside = cv2.warpAffine(np.zeros((h, w), np.uint8), turn, (w, h), borderValue=1) == 1
    decoded = cv2.imdecode(cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_GRAYSCALE)
    for image in (turned, decoded):
        weight = empty_weight(image[..., None])[..., 0]
        assert weight[outside].mean() > 0.97
        inside = cv2.erode((~outside).astype(np.uint8), np.ones((41, 41))) == 1
        np.testing.assert_array_equal(weight[inside], 0)


def test_skies_objects_and_vignettes_are_content(pair):
    ir = pair[0].copy()
    assert empty_weight(ir) is None
    skyline = ir.copy()
    columns = np.arange(SIZE[1])
    for row in range(40):
        skyline[row, row < 20 + 15 * np.sin(columns / 9)] = 0  # a cold sky above hills
    assert empty_weight(skyline) is None
    tall = np.random.default_rng(0).integers(80, 200, (600, 40, 1)).astype(np.uint8)
    tall[0] = 0
    assert empty_weight(tall) is None, "one row in 600 is not worth a seam"
    tall[1] = 0
    assert empty_weight(tall) is not None
    hot = ir.copy()
    hot[40:80, :20] = 255  # an object at the border
    assert empty_weight(hot) is None
    assert empty_weight(np.full_like(ir, 7)) is None
    y, x = np.mgrid[-1 : 1 : SIZE[0] * 1j, -1 : 1 : SIZE[1] * 1j]
    vignette = (np.clip(200 + ir * 0.2, 0, 255) * np.clip(1.5 - np.hypot(x, y), 0, 1)[..., None]).astype(np.uint8)
    weight = empty_weight(vignette)
    assert weight is None or weight.mean() < 0.05


def test_the_visible_image_shows_where_infrared_shows_nothing(pair):
    ir, vi = pair
    broken = bordered(ir, top=14, value=255)
    fused = fusejax.fuse(broken, vi, weights="maximum").astype(int)
    assert np.abs(fused[:14] - vi[:14]).max() <= 1
    np.testing.assert_array_equal(fused[40:], fusejax.fuse(ir, vi, weights="maximum")[40:])


def test_the_command_names_empty_areas_once_and_takes_the_options(pair, tmp_path, capsys):
    ir, vi = pair
    for name in "ab":
        write_image(tmp_path / "ir" / f"{name}.png", bordered(ir, left=12))
        write_image(tmp_path / "vi" / f"{name}.png", vi)
    words = ["fuse", "--ir", str(tmp_path / "ir"), "--vi", str(tmp_path / "vi"), "--weights", "maximum", "--out"]
    main([*words, str(tmp_path / "plain")])
    said = capsys.readouterr().err
    assert said.count("shows nothing in") == 1
    assert "a.png shows nothing in" in said
    main([*words, str(tmp_path / "visible"), "--strength", "0"])
    assert np.abs(read_image(tmp_path / "visible" / "a.png").astype(int) - vi).max() <= 1
    main([*words, str(tmp_path / "overlay"), "--style", "overlay"])
    shown = read_image(tmp_path / "overlay" / "a.png")
    expected = fusejax.fuse(bordered(ir, left=12), vi, style="overlay")
    np.testing.assert_array_equal(shown, expected)
    with pytest.raises(SystemExit):
        main([*words, str(tmp_path / "bad"), "--strength", "3"])
    assert "strength is 3; give 0" in capsys.readouterr().err


@pytest.mark.parametrize("polarity", ["white", "black"])
def test_the_command_adds_a_color_bar_of_the_chosen_range_to_overlays(pair, polarity, tmp_path):
    ir, vi = pair
    counts = 1000 + 8 * ir.astype(np.uint16)
    for name, image, visible in (("a", counts, vi), ("b", counts[::-1], vi.astype(np.uint16) * 257)):
        write_image(tmp_path / "ir" / f"{name}.png", image)
        write_image(tmp_path / "vi" / f"{name}.png", visible)
    words = ["fuse", "--ir", str(tmp_path / "ir"), "--vi", str(tmp_path / "vi"), "--style", "overlay"]
    words += ["--ir-range", "1000", "3000", "--ir-polarity", polarity]
    main([*words, "--out", str(tmp_path / "plain")])
    main([*words, "--out", str(tmp_path / "bar"), "--color-bar"])
    h, w = SIZE
    ends = (3000, 1000) if polarity == "black" else (1000, 3000)
    expected = color_bar(*ends, height=h)
    for name, most in (("a", 255), ("b", 65535)):
        shown, plain = (read_image(tmp_path / folder / f"{name}.png") for folder in ("bar", "plain"))
        assert shown.dtype == plain.dtype
        np.testing.assert_array_equal(shown[:, :w], plain)
        np.testing.assert_allclose(shown[:, w:] / most, expected, atol=0.003)


def test_a_color_bar_is_refused_where_it_explains_nothing_or_finds_no_place(pair, tmp_path, capsys):
    write_image(tmp_path / "ir" / "a.png", pair[0][:40])
    write_image(tmp_path / "vi" / "a.png", pair[1][:40])
    words = ["fuse", "--ir", str(tmp_path / "ir"), "--vi", str(tmp_path / "vi"), "--color-bar"]
    for style, message in (("edges", "style 'overlay', but style is 'edges'"), ("overlay", "at least 64 pixels")):
        with pytest.raises(SystemExit):
            main([*words, "--style", style, "--out", str(tmp_path / style)])
        assert message in capsys.readouterr().err
