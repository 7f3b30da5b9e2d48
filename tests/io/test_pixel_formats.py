"""Every pixel format gives the luma that FFmpeg's own conversion gives, or is refused by name."""

from fractions import Fraction

import numpy as np
import pytest

from fusejax.io.pixel_formats import plain
from fusejax.io.pyav import VideoError
from fusejax.io.video import DecodedFrame

av = pytest.importorskip("av")
HEIGHT, WIDTH = 24, 64
HARDWARE = {
    "amf", "cuda", "d3d11", "d3d11va_vld", "d3d12", "drm_prime", "dxva2_vld", "mediacodec", "mmal", "ohcodec", "opencl",
    "qsv", "vaapi", "vdpau", "videotoolbox_vld", "vulkan",
}  # fmt: skip
FORMATS = sorted(av.video.format.names - HARDWARE)
ABORTING = {"yaf32be", "yaf32le"}  # in swscale 9.5


def scene():
    """A gray ramp with waves, in [0, 1]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.clip(0.1 + 0.8 * x / (WIDTH - 1) + 0.05 * np.sin(y / 3), 0, 1)


def gray16(values):
    frame = av.VideoFrame.from_ndarray(np.round(values * 65535).astype(np.uint16), format="gray16le")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def filled(name):
    """A frame of a format that swscale reads but does not write."""
    frame, rng = av.VideoFrame(WIDTH, HEIGHT, name), np.random.default_rng(0)
    if name.startswith("bayer"):  # gray light: every color of the mosaic is the same
        dtype = np.dtype("u1" if name.endswith("8") else ">u2" if name.endswith("be") else "<u2")
        rows = np.zeros((HEIGHT, frame.planes[0].line_size // dtype.itemsize), dtype)
        rows[:, :WIDTH] = scene() * np.iinfo(dtype).max
        frame.planes[0].update(rows.tobytes())
        return frame
    for plane in frame.planes:
        plane.update(rng.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    return frame


def test_luma_of_every_format_is_that_of_swscale():
    compared = 0
    for name in FORMATS:
        if name in ABORTING:
            continue
        try:
            frame = gray16(scene()).reformat(format=name)
        except OSError:
            frame = filled(name)
        try:
            expected = frame.reformat(format="gray16le", dst_color_range=2).to_ndarray() / 65535
        except OSError:
            with pytest.raises(VideoError, match=rf"pixel format {name} cannot be converted"):
                DecodedFrame(frame, 0.0)
            continue
        luma = DecodedFrame(frame, 0.0).luma()[..., 0]
        np.testing.assert_allclose(luma, expected, atol=0.012, err_msg=name)
        compared += 1
    assert compared > 150


@pytest.mark.parametrize("name", sorted(ABORTING & av.video.format.names))
def test_a_format_at_which_swscale_ends_the_process_is_refused_before(name):
    with pytest.raises(VideoError, match=name):
        plain(av.VideoFrame(WIDTH, HEIGHT, name))


@pytest.mark.parametrize("name", ["gray16be", "gray12be", "gray10le", "ya16le"])
def test_counts_of_infrared_are_exact_in_any_byte_order(name, rng):
    bits = 16 if "16" in name else int(name[4:6])
    counts = rng.integers(0, 2**bits, (HEIGHT, WIDTH), np.uint16)
    frame = av.VideoFrame(WIDTH, HEIGHT, name)
    order = ">u2" if name.endswith("be") else "<u2"
    parts = 2 if name.startswith("ya") else 1
    rows = np.zeros((HEIGHT, frame.planes[0].line_size // 2), order)
    rows[:, : WIDTH * parts : parts] = counts
    frame.planes[0].update(rows.tobytes())
    np.testing.assert_array_equal(DecodedFrame(frame, 0.0).infrared()[..., 0], counts)


@pytest.mark.parametrize("name", ["yuyv422", "uyvy422", "y210le", "vuya", "p010le", "yuv420p10be", "xv36le", "nv12"])
def test_luma_that_is_written_back_is_the_luma_that_is_read(name):
    frame = DecodedFrame(gray16(scene()).reformat(format=name), 0.0)
    wanted = 1 - frame.luma()
    chroma = [bytes(plane) for plane in frame.frame.planes[1:]]
    result = frame.with_luma(wanted)
    np.testing.assert_allclose(DecodedFrame(result, 0.0).luma(), wanted, atol=0.5 / 219 + 1e-6)
    assert [bytes(plane) for plane in result.planes[1:]] == chroma


@pytest.mark.parametrize("name", ["rgb565be", "bgr555le", "rgb444be", "pal8", "monob", "ya8"])
def test_infrared_of_few_bits_has_eight(name):
    try:
        frame = gray16(scene()).reformat(format=name)
    except OSError:
        frame = filled(name)
    assert DecodedFrame(frame, 0.0).infrared().dtype == np.uint8
