"""TIFF files of every layout, against the array that was written and against tifffile."""

import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from test_images import TURNED

from fusejax.io.images import ImageError, ImageWarning, image_size, read_header, read_image, read_thermal

TYPES = ("u1", "u2", "i2", "i4", "u4", "f2", "f4", "f8")
COMPRESSIONS = (None, "lzw", "zlib", "packbits", "lzma", "zstd")
BLOCKS = ({}, {"rowsperstrip": 1}, {"rowsperstrip": 5}, {"tile": (16, 16)}, {"tile": (32, 16)})
KINDS = ("gray", "white", "rgb", "planar", "rgba", "gray_alpha")
EVERY = itertools.product(TYPES, "<>", range(1, 9), COMPRESSIONS, (False, True), BLOCKS, KINDS, (False, True))


def values(dtype, shape, rng):
    if dtype[0] == "f":
        return rng.uniform(250, 320, shape).astype(dtype)
    info = np.iinfo(dtype)
    x = rng.integers(max(info.min, -30_000), info.max, shape, dtype=dtype, endpoint=True)
    x[x == -9999] = 0  # stands for no data
    return x


def write_case(path, case, rng):
    """Writes one layout; returns what should be read, or None if tifffile cannot write it."""
    dtype, order, orientation, compression, predictor, blocks, kind, big = case
    channels = {"rgb": 3, "planar": 3, "rgba": 4, "gray_alpha": 2}.get(kind, 0)
    stored = values(dtype, (37, 29, channels) if channels else (37, 29), rng)
    how = {"photometric": "rgb" if channels > 2 else "miniswhite" if kind == "white" else "minisblack"}
    if kind in ("rgba", "gray_alpha"):
        stored[..., -1] = 1 if dtype[0] == "f" else np.iinfo(dtype).max
        how["extrasamples"] = ["unassalpha"]
    if kind == "planar":
        how["planarconfig"] = "separate"
    if predictor:
        how["predictor"] = 3 if dtype[0] == "f" else 2
    laid = np.moveaxis(stored, -1, 0) if kind == "planar" else stored
    try:
        tifffile.imwrite(
            path, laid, byteorder=order, bigtiff=big, compression=compression, metadata=None, **blocks, **how,
            extratags=[(274, "H", 1, orientation, True)],
        )  # fmt: skip
    except (ValueError, NotImplementedError):
        return None
    np.testing.assert_array_equal(tifffile.imread(path), laid)  # the independent decoder sees the same numbers
    colors = stored[..., :3] if channels > 2 else stored[..., :1] if channels else stored[..., None]
    if kind == "white" and dtype[0] == "u":
        colors = np.iinfo(dtype).max - colors
    return np.stack([TURNED[orientation](colors[..., n]) for n in range(colors.shape[-1])], axis=-1)


@pytest.mark.filterwarnings("ignore:.*marked as 0 is white")
@pytest.mark.slow
def test_every_layout_gives_the_values_that_were_written(tmp_path):
    rng, every, read = np.random.default_rng(0), list(EVERY), 0
    for n in rng.choice(len(every), 250, replace=False):
        expected = write_case(tmp_path / "a.tif", every[n], rng)
        if expected is None:
            continue
        read += 1
        found = read_thermal(tmp_path / "a.tif")
        assert image_size(tmp_path / "a.tif") == found.shape[:2] == expected.shape[:2], every[n]
        np.testing.assert_array_equal(found, expected.astype(found.dtype), err_msg=str(every[n]))
        assert found.dtype == {"i2": "f4", "f2": "f4", "i4": "f8", "u4": "f8"}.get(every[n][0], every[n][0])
        if every[n][0] in ("u1", "u2"):
            np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), expected)
        else:
            with pytest.raises(ImageError, match="expected 8- or 16-bit integers"):
                read_image(tmp_path / "a.tif")
    assert read > 150


def write_tiff(path, data, order="<", tags=()):
    """An uncompressed file with one strip, in a few lines, so that everything is possible."""
    entries = {257: (1,), 259: (1,), 262: (1,), 273: (8,), 277: (1,), 279: (len(data),)} | dict(tags)
    entries[278] = entries[257]
    at, blob, directory = 8 + len(data), b"", struct.pack(order + "H", len(entries))
    for tag, numbers in sorted(entries.items()):
        raw = struct.pack(order + "I" * len(numbers), *numbers)
        if len(raw) > 4:
            raw, blob = struct.pack(order + "I", at + len(blob)), blob + raw
        directory += struct.pack(order + "HHI", tag, 4, len(numbers)) + raw
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at + len(blob))
    path.write_bytes(head + data + blob + directory + bytes(4))


def packed(x, bits, *, reverse=False):
    """Rows of numbers of so many bits, each row padded to whole bytes."""
    flat = x.reshape(len(x), -1)
    rows = np.unpackbits(flat.astype(">u2").view(np.uint8).reshape(*flat.shape, 2), axis=-1)[..., -bits:]
    return np.packbits(rows.reshape(len(x), -1), axis=1, bitorder="little" if reverse else "big").tobytes()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_packed_bits(tmp_path, rng, bits, order, photometric, reverse):
    shape, top = (11, 13, 3) if photometric == 2 else (11, 13), 2**bits - 1
    x = rng.integers(0, top, shape, np.uint16, endpoint=True)
    tags = {256: (13,), 257: (11,), 258: (bits,) * (x.size // 143), 262: (photometric,), 266: (1 + reverse,)}
    write_tiff(tmp_path / "a.tif", packed(x, bits, reverse=reverse), order, (tags | {277: (x.size // 143,)}).items())
    seen = (top - x if photometric == 0 else x).reshape(11, 13, -1)
    eight = np.round(seen * (255 / top)).astype(np.uint8)
    found = read_thermal(tmp_path / "a.tif")
    np.testing.assert_array_equal(found, eight if bits < 8 else seen)  # counts stay counts
    sixteen = np.floor(seen * (65535 / top) + 0.5).astype(np.uint16)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), eight if bits < 8 else sixteen)
    assert read_header(tmp_path / "a.tif").bits == bits


SAVED = {None: "L RGB YCbCr CMYK P 1", "tiff_lzw": "L RGB YCbCr CMYK P 1", "tiff_adobe_deflate": "L RGB CMYK P 1"}
SAVED |= {"jpeg": "L RGB YCbCr", "group3": "1", "group4": "1"}


@pytest.mark.parametrize(("compression", "mode"), [(c, m) for c, modes in SAVED.items() for m in modes.split()])
def test_color_models_and_jpeg(tmp_path, mode, compression):
    y, x = np.mgrid[:48, :64]
    scene = np.stack([120 + 90 * np.sin(x / 9), 100 + 80 * np.cos(y / 7), 90 + 60 * np.sin((x + y) / 8)], -1)
    image = Image.fromarray(scene.astype(np.uint8)).convert(mode)
    image.save(tmp_path / "a.tif", compression=compression)
    stored = np.asarray(image).astype(float)
    if mode == "CMYK":
        expected = (255 - stored[..., :3]) * (255 - stored[..., 3:]) / 255
    elif mode == "YCbCr":
        y_, cb, cr = np.moveaxis(stored - (0, 128, 128), -1, 0)
        expected = np.stack([y_ + 1.402 * cr, y_ - 0.34414 * cb - 0.71414 * cr, y_ + 1.772 * cb], -1).clip(0, 255)
    elif mode == "P":
        expected = np.asarray(image.convert("RGB")).astype(float)
    else:
        expected = (stored * 255 if mode == "1" else stored).reshape(48, 64, -1)
    found = read_image(tmp_path / "a.tif")
    difference = np.abs(found - expected)
    assert difference.max() <= (20 if compression == "jpeg" else 1)
    assert difference.mean() <= (2 if compression == "jpeg" else 0.5)


def test_jpeg_in_tiff_agrees_with_tifffile(tmp_path):
    y, x = np.mgrid[:64, :96]
    scene = np.stack([120 + 90 * np.sin(x / 9), 100 + 80 * np.cos(y / 7), 90 + 60 * np.sin((x + y) / 8)], -1)
    for photometric, how in itertools.product(("rgb", "ycbcr"), ({"rowsperstrip": 16}, {"tile": (32, 32)})):
        tifffile.imwrite(
            tmp_path / "a.tif",
            scene.astype(np.uint8),
            photometric=photometric,
            compression="jpeg",
            metadata=None,
            **how,
        )
        expected = tifffile.imread(tmp_path / "a.tif").astype(int)
        assert np.abs(read_image(tmp_path / "a.tif") - expected).max() <= 2, (photometric, how)


def test_subsampled_chroma_without_compression(tmp_path):
    luma, cb, cr = (
        np.arange(8 * 6).reshape(6, 8) * 4,
        [[100, 140], [90, 128], [128, 160]],
        [[128, 128], [120, 150], [99, 128]],
    )
    units = [
        [*luma[2 * r : 2 * r + 2, 4 * c : 4 * c + 4].ravel(), cb[r][c], cr[r][c]] for r in range(3) for c in range(2)
    ]
    tags = {256: (8,), 257: (6,), 258: (8, 8, 8), 262: (6,), 277: (3,), 530: (4, 2)}
    write_tiff(tmp_path / "a.tif", bytes(np.array(units, np.uint8)), tags=tags.items())
    b, r = (np.kron(np.array(c) - 128, np.ones((2, 4))) for c in (cb, cr))
    expected = np.stack([luma + 1.402 * r, luma - 0.344136 * b - 0.714136 * r, luma + 1.772 * b], -1).clip(0, 255)
    assert np.abs(read_image(tmp_path / "a.tif") - expected).max() <= 0.5001


def test_color_tables_of_16_and_8_bits(tmp_path, rng):
    numbers, table = rng.integers(0, 256, (9, 11), np.uint8), rng.integers(0, 256, (3, 256))
    for scale in (1, 256, 257):  # the first two are errors of writers
        tags = {256: (11,), 257: (9,), 258: (8,), 262: (3,), 320: tuple((table * scale).ravel().tolist())}
        write_tiff(tmp_path / "a.tif", numbers.tobytes(), tags=tags.items())
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), table.T[numbers].astype(np.uint8))


def test_what_is_not_read_is_named(tmp_path, rng):
    x = rng.integers(0, 256, (32, 32, 5), np.uint8)
    path = tmp_path / "a.tif"
    refused = {
        r"5 channels; expected gray or RGB": {"data": x, "photometric": "minisblack", "planarconfig": "contig"},
        r"which is not read; save it as gray or RGB": {"data": x[..., :3], "photometric": "cielab"},
        r"compressed with JPEG 2000, which cannot be read; save it with LZW": {
            "data": x[..., 0], "compression": "jpeg2000",
        },
        r"pixels are int64, which is not read": {"data": x[..., 0].astype(np.int64)},
        r"pixels are complex numbers": {"data": x[..., 0].astype(np.complex64)},
    }  # fmt: skip
    for message, how in refused.items():
        tifffile.imwrite(path, metadata=None, **how)
        with pytest.raises(ImageError, match=rf"a\.tif: not a readable image: .*{message}"):
            image_size(path)  # before any work


def test_pages_and_reduced_versions(tmp_path, rng):
    x = rng.integers(0, 256, (3, 32, 48), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(x[0], metadata=None)
        file.write(x[1, ::2, ::2], subfiletype=1, metadata=None)  # an overview, as GDAL writes it
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], x[0])
    tifffile.imwrite(tmp_path / "b.tif", x, photometric="minisblack", metadata=None)
    with pytest.warns(ImageWarning, match=r"b\.tif has 3 pages; only the first is used"):
        np.testing.assert_array_equal(read_image(tmp_path / "b.tif")[..., 0], x[0])


@pytest.mark.filterwarnings("ignore:.*hold no data")
def test_values_of_gdal_without_data(tmp_path, rng):
    counts = rng.integers(8000, 9000, (32, 48)).astype(np.uint16)
    counts[:4] = 0
    tifffile.imwrite(tmp_path / "a.tif", counts, metadata=None, extratags=[(42113, "s", 0, "0", True)])
    found = read_thermal(tmp_path / "a.tif")[..., 0]
    np.testing.assert_array_equal(found[4:], counts[4:])
    assert (found[:4] == counts[4:].min()).all()


def test_damage_is_an_error_and_never_black_pixels(tmp_path, rng):
    x = rng.integers(0, 200, (64, 48), np.uint8)
    for compression in COMPRESSIONS:
        tifffile.imwrite(tmp_path / "a.tif", x, compression=compression, rowsperstrip=16, metadata=None)
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            start, length = file.pages[0].dataoffsets[1], file.pages[0].databytecounts[1]
        data = bytearray((tmp_path / "a.tif").read_bytes())
        (tmp_path / "b.tif").write_bytes(data[: start + length // 2] if compression is None else data)
        if compression is not None:
            data[start : start + length] = bytes(length)
            (tmp_path / "b.tif").write_bytes(data)
        with pytest.raises(ImageError, match=r"b\.tif: .*(damaged|truncated)"):
            read_image(tmp_path / "b.tif")


def test_sizes_are_bounded_before_memory_is_taken(tmp_path):
    data = zlib.compress(bytes(10_000))
    tags = {256: (60_000,), 257: (60_000,), 258: (8,), 259: (8,)}
    write_tiff(tmp_path / "a.tif", data, tags=tags.items())
    with pytest.raises(ImageError, match=r"a\.tif: .*3600 megapixels; at most"):
        image_size(tmp_path / "a.tif")
    write_tiff(tmp_path / "b.tif", data, tags=(tags | {256: (12_000,), 257: (12_000,)}).items())
    with pytest.raises(ImageError, match=r"b\.tif: .*more pixels than it can hold"):
        image_size(tmp_path / "b.tif")
