"""Raw infrared values: any span of a camera gives the same result as its 8-bit version."""

import numpy as np
import pytest
from fusing import TINY, tiny_params

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.fuser import Fuser
from fusejax.inference.measured import find_measured
from fusejax.inference.thermal import automatic_ranges, check_range, describe_range, robust_extremes, to_unit
from fusejax.io.images import ImageWarning, from_float


@pytest.fixture(scope="module")
def fuser():
    return Fuser(tiny_params(), TINY)


@pytest.fixture(scope="module")
def pair():
    """A pair whose infrared levels span 0 to 255, with a small target."""
    pair = synthetic_pair(1, size=(60, 64))
    levels = pair["ir"].astype(float)
    ir = np.round(200 * (levels - levels.min()) / np.ptp(levels)).astype(np.uint8)
    ir[20:30, 30:36] = 255
    return ir, pair["vi"]


RAW = {  # name: (value of level 0, value of level 255, type)
    "8 bits in 16": (0, 255, np.uint16),
    "span of 8 bits": (7000, 7255, np.uint16),
    "span of 10 bits": (20_000, 21_023, np.uint16),
    "14-bit camera": (7000, 11_080, np.uint16),
    "12 bits": (0, 4095, np.uint16),
    "14 bits": (0, 16_383, np.uint16),
    "16 bits": (0, 65_535, np.uint16),
    "Kelvin": (271.3, 318.9, np.float32),
    "Celsius": (-12.5, 37.0, np.float64),
    "unit": (0.0, 1.0, np.float32),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:infrared values")
@pytest.mark.parametrize("kind", RAW)
def test_raw_values_fuse_as_their_8_bit_twin(fuser, pair, kind):
    ir, vi = pair
    low, high, dtype = RAW[kind]
    values = low + ir / 255 * (high - low)
    raw = np.round(values).astype(dtype) if np.issubdtype(dtype, np.integer) else values.astype(dtype)
    full = kind in ("8 bits in 16", "12 bits", "14 bits", "16 bits", "unit")
    twin = fuser.fuse(ir, vi, ir_range="full" if full else robust_extremes(ir))
    assert np.abs(fuser.fuse(raw, vi).astype(int) - twin).max() <= 1
    assert np.abs(twin.astype(int) - fuser.fuse(ir, vi))[22:28, 32:34].max() <= 5  # the target


def test_a_raw_range_is_reported(fuser, pair):
    ir, vi = pair
    raw = (7000 + 16 * ir.astype(np.uint16)).astype(np.uint16)
    with pytest.warns(UserWarning, match=r"values 70\d+ to 11080 are mapped to black and white.*--ir-range 70"):
        fuser.fuse(raw, vi)


def test_named_and_full_ranges(fuser, pair):
    ir, vi = pair
    raw = (7000 + 16 * ir.astype(np.uint16)).astype(np.uint16)
    named = fuser.fuse(raw, vi, ir_range=(7000, 7000 + 16 * 255))
    assert np.abs(named.astype(int) - fuser.fuse(ir, vi)).max() <= 1
    full = fuser.fuse(raw, vi, ir_range="full")
    np.testing.assert_array_equal(full, fuser.fuse((raw / 65535).astype(np.float32), vi))
    with pytest.raises(ValueError, match="floats must lie in"):
        fuser.fuse(raw.astype(np.float32), vi, ir_range="full")


def test_black_polarity_is_the_inverse(fuser, pair, unchecked):
    ir, vi = pair
    inverse = fuser.fuse(255 - ir, vi, ir_polarity="black")
    assert np.abs(inverse.astype(int) - fuser.fuse(ir, vi)).max() <= 1
    with pytest.raises(ValueError, match="ir_polarity is 'hot'"):
        fuser.fuse(ir, vi, ir_polarity="hot")


def test_dead_pixels_do_not_set_the_range():
    ir = np.random.default_rng(0).integers(3000, 3500, (80, 90, 1)).astype(np.uint16)
    ir[10, 10], ir[50, 60] = 0, 65_535
    low, high = robust_extremes(ir)
    assert 3000 <= low < 3050
    assert 3450 < high < 3500
    ir[30:38, 40:44] = 5000  # 32 pixels of a target do
    assert robust_extremes(ir)[1] == 5000


def test_frames_share_one_range():
    cold, warm = (np.full((8, 8, 1), v, np.uint16) for v in (7000, 9000))
    cold[:4], warm[:4] = 7100, 9200
    ranges = automatic_ranges([cold, warm])
    assert ranges == {np.dtype(np.uint16): (7000.0, 9200.0)}
    assert describe_range(ranges[np.dtype(np.uint16)], np.uint16)


def test_display_images_keep_the_range_of_their_type():
    dark = (257 * np.random.default_rng(0).integers(0, 40, (16, 16, 1))).astype(np.uint16)
    assert automatic_ranges([dark]) == {np.dtype(np.uint16): (0, 65535)}
    eight = dark // 257
    assert automatic_ranges([eight.astype(np.uint8)]) == {np.dtype(np.uint8): (0, 255)}
    assert describe_range((0, 255), np.uint8) is None


@pytest.mark.parametrize("order", [1, -1])
def test_one_raw_image_makes_all_of_its_type_raw(order):
    raw = np.random.default_rng(0).integers(7000, 7100, (16, 16, 1)).astype(np.uint16)
    display = (257 * np.random.default_rng(0).integers(20, 40, (16, 16, 1))).astype(np.uint16)
    low, high = automatic_ranges([raw, display][::order])[np.dtype(np.uint16)]
    assert 257 * 20 <= low < raw.min()
    assert raw.max() < high <= 257 * 40


@pytest.mark.parametrize("bad", ["none", (5, 5), (9, 1), (0, np.nan)])
def test_impossible_ranges_are_refused(bad, unchecked):
    with pytest.raises(ValueError, match="ir_range is"):
        check_range(bad)


def test_constant_values_map_without_dividing_by_zero():
    assert np.isfinite(to_unit(np.full((2, 2, 1), 300.0), (300.0, 300.0))).all()
    assert to_unit(np.zeros((2, 2, 1), np.uint16), (0.0, 0.0)).max() == 0
    assert from_float(to_unit(np.arange(256, dtype=np.uint8), (0, 255)), np.uint8).tolist() == list(range(256))


def scene(height=96, width=128):
    """Raw counts from 8000 to 10800 with a hot spot, as a 14-bit camera stores them."""
    y, x = np.mgrid[:height, :width]
    hot = 1600 * np.exp(-((y - 40) ** 2 + (x - 90) ** 2) / 80)
    return (8600 + 600 * np.sin(x / 13 + y / 9) + hot).round().astype(np.uint16)


def telemetry(ir, *, rows=2, top=False, sparse=False):
    values = np.random.default_rng(0).integers(0, 65_536, (rows, ir.shape[1]))
    if sparse:  # words about the frame, then zeros
        values[:, 40:] = 0
    (ir[:rows] if top else ir[-rows:])[...] = values
    return ir


def wedge(ir, value=0):
    """The corners of a rectified image, with a blended edge."""
    y, x = np.mgrid[: ir.shape[0], : ir.shape[1]]
    ir[y + x // 4 < 12] = value
    ir[y + x // 4 == 12] //= 2
    return ir


def bordered(ir, value, rows=5, columns=6):
    ir[:rows], ir[:, :columns] = value, value
    return ir


def placed(ir, value, where=np.s_[10:13, 20:24]):
    ir[where] = value
    return ir


SPOILED = {
    "telemetry at the bottom": telemetry,
    "telemetry at the top": lambda ir: telemetry(ir, rows=4, top=True),
    "telemetry of few words": lambda ir: telemetry(ir, sparse=True),
    "saturated pixels": lambda ir: placed(ir, 65_535),
    "saturated pixels of 14 bits": lambda ir: placed(ir, 16_383),
    "dead pixels in a block": lambda ir: placed(ir, 0),
    "a black border": lambda ir: bordered(ir, 0),
    "a white border": lambda ir: bordered(ir, 65_535),
    "a border of another value": lambda ir: bordered(ir, 3000),
    "black corners": wedge,
    "a border and telemetry": lambda ir: telemetry(bordered(ir, 0)),
    "saturated pixels and telemetry": lambda ir: telemetry(placed(ir, 65_535)),
    "a border in Kelvin": lambda ir: bordered((ir / 100).astype(np.float32), 0),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_what_shows_no_scene_does_not_decide_the_range(kind):
    spoiled = SPOILED[kind](scene())
    clean = scene() if spoiled.dtype == np.uint16 else (scene() / 100).astype(np.float32)
    with pytest.warns(ImageWarning, match="show no scene .*; they do not decide the automatic range"):
        (found,) = automatic_ranges([spoiled[..., None]]).values()
    expected = robust_extremes(clean[..., None])
    levels = 255 * np.abs(np.subtract(found, expected)) / (expected[1] - expected[0])
    assert levels.max() <= 3


HELD = {
    "a clean scene": scene,
    "a hot target at the edge": lambda: placed(scene(), 14_000, np.s_[-4:, 30:60]),
    "a hot target": lambda: placed(scene(), 14_000, np.s_[50:58, 40:46]),
    "a scene that reaches saturation": lambda: np.minimum(scene() * 2, 16_383).astype(np.uint16),
    "a gradient": lambda: np.broadcast_to(7000 + 10 * np.arange(96, dtype=np.uint16)[:, None], (96, 128)).copy(),
    "two values": lambda: np.where(scene() > 8800, 9000, 8000).astype(np.uint16),
    "a constant": lambda: np.full((96, 128), 8000, np.uint16),
    "a small image": lambda: np.repeat(scene()[:12:4, :20:4], 4, axis=0),
    "a person in front of the sky": lambda: placed(np.full((96, 128), 7000, np.uint16), 9000, np.s_[60:, 50:60]),
    "a hot floor": lambda: placed(scene(), 12_000 + scene()[-4:] // 4, np.s_[-4:]),
}


@pytest.mark.parametrize("kind", HELD)
def test_all_of_a_scene_decides_the_range(kind):
    image = HELD[kind]()
    assert find_measured(image).notes == [] and find_measured(image).mask.all()
    low, high = robust_extremes(image[..., None])
    assert (low - image.min()) / max(np.ptp(image), 1) < 0.03 and (image.max() - high) / max(np.ptp(image), 1) < 0.03
