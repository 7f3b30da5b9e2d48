"""Metadata of pictures: what is kept in which format, and what is refused."""

import io
import json
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from camera_files import with_segments
from PIL import Image, ImageCms, TiffImagePlugin

from fusejax.io.images import ImageError, read_image, read_thermal, write_image
from fusejax.io.metadata import Metadata, ThermalFacts, read_metadata
from fusejax.io.metadata.exif import for_upright_picture
from fusejax.io.metadata.xmp import add_properties
from fusejax.io.temperatures import write_temperatures

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="DJI Meta Data" '
    'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:GimbalPitchDegree="-89.90" '
    'drone-dji:RtkFlag="50"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()
IPTC = b"8BIM\x04\x04\0\0\0\0\0\x0f" + b"\x1c\x02\x78\0\x0aa captions" + b"\0"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FORMATS = ("png", "jpg", "tif", "webp")
GEO = {33550: (0.5, 0.5, 0.0), 33922: (0.0, 0.0, 0.0, 500000.0, 4e6, 0.0)}
GEO_KEYS = {34735: (1, 1, 0, 1, 1024, 0, 1, 1)}


def exif_block(*, orientation=6, gray=False):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x0132] = "DJI", "M3T", orientation, "2026:05:04 03:02:01"
    exif.get_ifd(0x8769).update({0x9003: "2026:05:04 03:02:01", 0x829D: 2.8, 0xA002: 60, 0xA003: 40})
    exif.get_ifd(0x8825).update({1: "N", 2: (36.0, 43.0, 46.9), 3: "E", 4: (119.0, 50.0, 36.03), 5: 0, 6: 29.4})
    return exif.tobytes()


def photo(folder, name="photo.jpg", *, xmp=XMP, **options):
    """A picture of 40x60 pixels with all kinds of metadata."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)[:40, :60]
    image, data = Image.fromarray(pixels), io.BytesIO()
    if name.endswith("tif"):
        more = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, values in GEO.items():
            more.tagtype[tag], more[tag] = 12, values
        for tag, values in GEO_KEYS.items():
            more.tagtype[tag], more[tag] = 3, values
        exif = Image.Exif()
        exif.load(exif_block(**options))
        for tag, value in exif.items():
            more[tag] = value
        more[0x8769], more[0x8825] = (dict(exif.get_ifd(tag)) for tag in (0x8769, 0x8825))
        image.save(data, "TIFF", tiffinfo=more, icc_profile=PROFILE)
    else:
        kind = "JPEG" if name.endswith("jpg") else "PNG"
        image.save(
            data, kind, exif=exif_block(**options), icc_profile=PROFILE, **({"xmp": xmp} if kind == "JPEG" else {})
        )
    content = data.getvalue()
    if name.endswith("jpg"):
        content = with_segments(content, [(13, b"Photoshop 3.0\0" + IPTC)])
    (folder / name).write_bytes(content)
    return folder / name


def exiftool(path, *groups):
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed")
    (found,) = json.loads(
        subprocess.check_output(["exiftool", "-j", "-G1", "-n", *(f"-{g}:all" for g in groups), path])
    )
    return {name: value for name, value in found.items() if name != "SourceFile"}


def copied(folder, source, kind, *, size=(40, 60), channels=3, dtype=np.uint8):
    """A picture of another content that carries the metadata of the source."""
    pixels = np.random.default_rng(1).integers(0, 256, (*size, channels)).astype(dtype)
    facts = ThermalFacts("IR.jpg", make="FLIR", model='A "1" & <2>', unit="°C", low=15.0, high=40.0)
    found = read_metadata(source).for_picture(size, channels, facts)
    path = folder / f"result.{kind}"
    left_out = write_image(path, pixels, metadata=found)
    stored = read_image(path)
    if kind not in ("jpg", "webp"):
        np.testing.assert_array_equal(stored, pixels)
    return path, left_out


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("source", ["photo.jpg", "photo.tif"])
def test_exif_gps_xmp_and_profile_equal_the_sources_by_exiftool(tmp_path, kind, source):
    source = photo(tmp_path, source)
    path, left_out = copied(tmp_path, source, kind)
    groups = ("IFD0", "ExifIFD", "GPS", "XMP-drone-dji", "ICC_Profile", "ICC-header", "IPTC")
    before, after = exiftool(source, *groups), exiftool(path, *groups)
    turned = before.pop("IFD0:Orientation")
    assert turned == 6 and after.pop("IFD0:Orientation") == 1
    structure = (
        "Image",
        "Bits",
        "Compression",
        "Photometric",
        "Strip",
        "Samples",
        "Rows",
        "Planar",
        "Predictor",
        "Sample",
    )
    for name in [n for n in before if n.startswith(tuple(f"IFD0:{s}" for s in structure)) or "ProfileDateTime" in n]:
        before.pop(name)
    if kind == "webp" and source.suffix == ".jpg":
        assert left_out == ["IPTC, which WebP files do not hold"]
        before = {n: v for n, v in before.items() if not n.startswith("IPTC")}
    if source.suffix == ".tif" and kind != "tif":
        assert left_out == ["GeoTIFF tags (use --format tif)"]
        before = {n: v for n, v in before.items() if n not in ("IFD0:PixelScale", "IFD0:ModelTiePoint")}
    assert before and {n: after.get(n) for n in before} == before


@pytest.mark.parametrize("kind", FORMATS)
def test_metadata_equal_the_sources_by_pillow(tmp_path, kind):
    source = photo(tmp_path)
    path, _ = copied(tmp_path, source, kind)
    with Image.open(source) as one, Image.open(path) as two:
        assert two.info["icc_profile"] == one.info["icc_profile"] == PROFILE
        before, after = one.getexif(), two.getexif()
        assert after.get(0x0112) == 1
        assert {t: after.get(t) for t in (0x010F, 0x0110, 0x0132)} == {t: before[t] for t in (0x010F, 0x0110, 0x0132)}
        assert after.get_ifd(0x8825) == before.get_ifd(0x8825)
        own = {t: v for t, v in before.get_ifd(0x8769).items() if t not in (0xA002, 0xA003)}
        assert {t: after.get_ifd(0x8769).get(t) for t in own} == own
        packet = two.tag_v2[700] if kind == "tif" else two.info["xmp"]
        assert b'drone-dji:GimbalPitchDegree="-89.90"' in packet


def test_facts_about_the_thermal_camera_are_added_once(tmp_path):
    path, _ = copied(tmp_path, photo(tmp_path), "png")
    again, _ = copied(tmp_path, path, "jpg")
    for result in (path, again):
        found = exiftool(result, "XMP-fusejax")
        assert found["XMP-fusejax:ThermalModel"] == 'A "1" & <2>' and found["XMP-fusejax:ThermalUnit"] == "°C"
        assert (found["XMP-fusejax:ThermalRangeLow"], found["XMP-fusejax:ThermalRangeHigh"]) == (15, 40)
        assert read_metadata(result).xmp.count(b"xmlns:fusejax") == 1


def test_a_packet_that_is_no_xmp_is_left_as_it_is():
    for packet in (XMP.decode().encode("utf-16"), b"<x/>"):
        assert add_properties(packet, {"ThermalMake": "FLIR"}) == packet


def test_sizes_change_and_everything_else_of_the_exif_stays_byte_for_byte():
    block = exif_block()[6:]
    changed = for_upright_picture(block, (300, 400))
    assert len(changed) == len(block)
    assert sum(a != b for a, b in zip(block, changed, strict=True)) <= 7  # orientation, width, height
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + changed)
    assert (exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003], exif[0x0112]) == (400, 300, 1)


def test_the_preview_of_the_old_picture_goes(tmp_path):
    source = photo(tmp_path)
    block = bytearray(read_metadata(source).exif)
    order = ">" if block[:2] == b"MM" else "<"
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, first)
    struct.pack_into(f"{order}I", block, first + 2 + 12 * count, 8)
    changed = for_upright_picture(bytes(block), (40, 60))
    assert struct.unpack_from(f"{order}I", changed, first + 2 + 12 * count) == (0,)


@pytest.mark.parametrize(
    "damage",
    [b"", b"II*\0", b"MM\0\xff\0\0\0\x08\0\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\0\0", b"II*\0\x08\0\0\0\xff\0"],
)
def test_damaged_exif_is_left_out_and_said(damage):
    found = Metadata(exif=damage).for_picture((4, 4), 3, None)
    assert not found.exif
    assert bool(found.left_out) == bool(damage) and all(line.startswith("EXIF (") for line in found.left_out)


def test_a_profile_for_other_channels_goes(tmp_path):
    path, _ = copied(tmp_path, photo(tmp_path), "png", channels=1)
    with Image.open(path) as image:
        assert "icc_profile" not in image.info


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_ten_megabytes_of_xmp_are_refused_by_name(tmp_path, kind):
    large = XMP.replace(b"-89.90", b"9" * 10_000_000)
    path = photo(tmp_path, f"photo.{kind}", xmp=XMP)
    data = path.read_bytes()
    if kind == "png":
        content = b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(large)
        chunk = struct.pack(">I", len(content)) + b"iTXt" + content
        data = data[:33] + chunk + struct.pack(">I", zlib.crc32(b"iTXt" + content)) + data[33:]
        path.write_bytes(data)
        with pytest.raises(ImageError, match=r"photo\.png: its XMP has 1\.0 MiB, more than .* fuse with --no-metadata"):
            read_metadata(path)
        long = b"XML:com.adobe.xmp\0\0\0\0\0" + large  # more than OpenCV takes
        chunk = struct.pack(">I", len(long)) + b"iTXt" + long + struct.pack(">I", zlib.crc32(b"iTXt" + long))
        plain = photo(tmp_path, "plain.png")
        path.write_bytes(plain.read_bytes()[:33] + chunk + plain.read_bytes()[33:])
        np.testing.assert_array_equal(read_image(path), read_image(plain))
        with pytest.raises(ImageError, match="fuse with --no-metadata"):
            read_metadata(path)
    else:  # a segment holds at most 64 kB; the rest is in an extension, which is said
        path.write_bytes(with_segments(data, [(1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60000))] * 170))
        assert read_metadata(path).left_out == ("extended XMP",)


def test_geotiff_tags_are_kept_in_tiff_and_missed_elsewhere(tmp_path):
    source = photo(tmp_path, "photo.tif")
    path, left_out = copied(tmp_path, source, "tif")
    assert not left_out
    with Image.open(path) as image:
        for tag, values in (GEO | GEO_KEYS).items():
            assert image.tag_v2[tag] == values
    _, left_out = copied(tmp_path, source, "png")
    assert left_out == ["GeoTIFF tags (use --format tif)"]


def test_notes_of_the_maker_are_kept_or_missed_by_name(tmp_path):
    exif, image = Image.Exif(), Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    exif.get_ifd(0x8769).update({0x927C: b"notes of the maker", 0x829D: 2.8})
    image.save(tmp_path / "photo.jpg", exif=exif.tobytes())
    for kind, missed in (("png", []), ("jpg", []), ("tif", ["maker notes (use --format png or jpg)"])):
        path, left_out = copied(tmp_path, tmp_path / "photo.jpg", kind)
        assert left_out == missed
        with Image.open(path) as made:
            assert (made.getexif().get_ifd(0x8769).get(0x927C) == b"notes of the maker") == (not missed)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiff_files_are_read_the_same_by_an_independent_decoder(tmp_path, dtype, channels):
    tifffile = pytest.importorskip("tifffile")
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (300, 700, channels)).astype(dtype)
    found = read_metadata(photo(tmp_path)).for_picture((300, 700), channels, None)
    write_image(tmp_path / "a.tif", pixels, metadata=found)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif").reshape(pixels.shape), pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)


def test_temperatures_are_stored_exactly_with_their_unit(tmp_path):
    values = np.random.default_rng(0).normal(300, 20, (400, 300, 1)).astype(np.float32)
    write_temperatures(tmp_path / "t.tif", values, "k", read_metadata(photo(tmp_path, "photo.tif", orientation=1)))
    np.testing.assert_array_equal(read_thermal(tmp_path / "t.tif"), values)
    with Image.open(tmp_path / "t.tif") as image:
        assert image.tag_v2[270] == "temperature in kelvin" and image.tag_v2[33550] == GEO[33550]
        np.testing.assert_array_equal(np.asarray(image), values[..., 0])


def test_files_without_metadata_have_none(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    write_image(tmp_path / "a.bmp", np.zeros((4, 4, 3), np.uint8))
    assert read_metadata(tmp_path / "a.png") == read_metadata(tmp_path / "a.bmp") == Metadata()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", ["photo.jpg", "photo.tif", "result.png"])
@pytest.mark.slow
def test_damaged_metadata_never_stop_a_picture(tmp_path, name):
    """Random damage: what is left of the metadata is written, or left out by name."""
    rng = np.random.default_rng(0)
    source = photo(tmp_path, "photo.tif" if name == "photo.tif" else "photo.jpg")
    if name == "result.png":
        source, _ = copied(tmp_path, source, "png")
    whole, pixels = source.read_bytes(), np.zeros((4, 6, 3), np.uint8)
    for _ in range(100):
        data = bytearray(whole)
        for at in rng.integers(8, min(len(data), 3000), 4):
            data[at] = rng.integers(0, 256)
        source.write_bytes(bytes(data))
        found = read_metadata(source).for_picture((4, 6), 3, ThermalFacts("IR.jpg"))
        for kind in ("tif", "png", "jpg"):
            write_image(tmp_path / f"o.{kind}", pixels, metadata=found)
            assert read_image(tmp_path / f"o.{kind}").shape == pixels.shape


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
@pytest.mark.parametrize("name", ["dji_xts_R.jpg", "dji_m3t_R.JPG", "dji_m2ea_R.JPG", "flir_b60.jpg", "flir_c2.jpg"])
def test_metadata_of_real_cameras_are_kept(data_root, tmp_path, kind, name):
    source = data_root / "cameras" / name
    path, left_out = copied(tmp_path, source, kind)
    assert set(left_out) <= ({"maker notes (use --format png or jpg)"} if kind == "tif" else set())
    before, after = (exiftool(p, "IFD0", "ExifIFD", "GPS", "XMP") for p in (source, path))
    changed = ("Image", "Bits", "Sample", "PrimaryChromaticities", "ReferenceBlackWhite", "Orientation", "Compression")
    own = ("ExifImageWidth", "ExifImageHeight", "Padding", "OffsetSchema")
    names = [n for n in before if not n.split(":")[1].startswith(changed) and not n.endswith(own)]
    assert len(names) > 10 and {n: after.get(n) for n in names} == {n: before[n] for n in names}
    assert after["XMP-fusejax:ThermalModel"] == 'A "1" & <2>'
