"""Fusing the files of cameras: one file, both frames, temperatures, names, and what is refused."""

import numpy as np
import pytest
from camera_files import dji_jpeg, flir_jpeg, jpeg, make_exif
from PIL import Image

from fusejax.cli.fuse import FuseOptions, fuse_command
from fusejax.cli.parsing import parse
from fusejax.inference.thermal import automatic_ranges, to_unit
from fusejax.io.images import ImageWarning, read_image, write_image
from fusejax.io.pair_images import SourceOptions, read_pair, read_pair_header
from fusejax.io.pairing import PairPaths


def square(height, width, *, at=(0.5, 0.5), side=0.4):
    """A bright square on a dark ground, [h, w] in [0, 1]; places and side as fractions of the
    height.
    """
    y, x = np.mgrid[:height, :width] + 0.5
    inside = (abs(y / height - at[0]) < side / 2) & (abs((x - width / 2) / height + 0.5 - at[1]) < side / 2)
    return inside.astype(float)


def counts_of(scene):
    return (14000 + 2000 * scene).astype(np.uint16)


def rgb_of(scene):
    return np.repeat((60 + 150 * scene).astype(np.uint8)[..., None], 3, axis=-1)


def fuse(*words, weights):
    words = [str(word) for word in words]
    return fuse_command(parse(FuseOptions, "fuse", [*words, "--weights", weights]))


def edges(plane):
    """Rows and columns where a plane passes the middle of its range along its middle lines."""
    plane = plane.astype(float)
    half = (plane.max() + plane.min()) / 2
    lines = plane[plane.shape[0] // 2], plane[:, plane.shape[1] // 2]
    places = []
    for line in lines:
        (at,) = np.nonzero(np.diff(line > half))
        places += [n + (half - line[n]) / (line[n + 1] - line[n]) for n in (at[0], at[-1])]
    return np.array(places)


@pytest.mark.parametrize("frame", ["vi", "ir"])
@pytest.mark.parametrize(("ratio", "x", "y"), [(1.0, 0, 0), (1.5, 9, -6), (2.0, -11, 4)])
def test_the_two_images_of_one_file_lie_on_each_other(tmp_path, frame, ratio, x, y):
    """The infrared camera sees 1/ratio of the visible field, shifted by (x, y) visible pixels."""
    vi = square(240, 320, at=(0.5 + y / 240, 0.5 + x / 240), side=0.4 / ratio)
    path = tmp_path / "FLIR_0001.jpg"
    path.write_bytes(flir_jpeg(counts_of(square(60, 80)), rgb_of(vi), alignment=(ratio, x, y)))
    pair = read_pair(PairPaths("a", path, path), SourceOptions(frame=frame))
    assert pair.ir.shape[:2] == pair.vi.shape[:2] and pair.unit == "c"
    scale = 1.0 if frame == "ir" else 4 / ratio  # pixels of the frame for each infrared pixel
    np.testing.assert_allclose(edges(pair.ir[..., 0]) / scale, edges(pair.vi[..., 0]) / scale, atol=0.5)


@pytest.mark.slow
def test_one_file_becomes_one_image_in_either_frame(tmp_path, weights):
    path = tmp_path / "FLIR_0001.jpg"
    path.write_bytes(flir_jpeg(counts_of(square(60, 80)), rgb_of(square(120, 160)), alignment=(1.25, 4, 0)))
    with pytest.warns(ImageWarning, match=r"temperatures of .* °C are mapped .*--units c"):
        written = fuse("--ir", path, "--out", tmp_path / "vi", weights=weights)
    assert written == [tmp_path / "vi" / "FLIR_0001.png"]
    assert read_image(written[0]).shape == (96, 128, 3)
    with pytest.warns(ImageWarning):
        (written,) = fuse("--ir", path, "--out", tmp_path / "o.png", "--frame", "ir", weights=weights)
    assert read_image(written).shape == (60, 80, 3)


@pytest.mark.slow
def test_a_folder_of_camera_files_needs_no_visible_folder(tmp_path, weights):
    for n in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        scene = square(60, 80, at=(0.5, 0.4 + 0.1 * n))
        data = flir_jpeg(counts_of(scene), rgb_of(square(120, 160)), alignment=(1.0, 0, 0))
        (tmp_path / "in" / f"FLIR{n}.jpg").write_bytes(data)
    (tmp_path / "in" / "photo.jpg").write_bytes(jpeg(rgb_of(square(120, 160))))
    with pytest.raises(ValueError, match=r"1 of 4 pairs cannot be used:\s+.*photo\.jpg is not a radiometric JPEG"):
        fuse("--ir", tmp_path / "in", "--out", tmp_path / "o", weights=weights)
    (tmp_path / "list.csv").write_text("thermal\nin/FLIR0.jpg\nin/FLIR1.jpg\nin/FLIR2.jpg\n")
    for n, sources in enumerate((tmp_path / "in" / "FLIR*.jpg", tmp_path / "list.csv")):
        with pytest.warns(ImageWarning, match="are mapped to black and white"):
            written = fuse("--ir", sources, "--out", tmp_path / f"{n}", weights=weights)
        assert [p.name for p in written] == ["FLIR0.png", "FLIR1.png", "FLIR2.png"]


def test_a_turned_file_gives_an_upright_image(tmp_path):
    scene = square(60, 80, at=(0.3, 0.5))
    for orientation in (1, 3, 6, 8):
        data = flir_jpeg(counts_of(scene), rgb_of(square(120, 160)), exif=make_exif(orientation=orientation))
        (tmp_path / f"{orientation}.jpg").write_bytes(data)
    turned = {}
    for orientation in (1, 3, 6, 8):
        path = tmp_path / f"{orientation}.jpg"
        turned[orientation] = read_pair(PairPaths("a", path, path), SourceOptions()).ir[..., 0]
    for orientation, turns in ((3, 2), (6, 3), (8, 1)):  # EXIF: how the stored picture has to be turned
        np.testing.assert_array_equal(turned[orientation], np.rot90(turned[1], turns))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            flir_jpeg(counts_of(square(60, 80))),
            r"a\.jpg \(FLIR made up\) holds no visible image; give its photo with --vi",
        ),
        (dji_jpeg(counts_of(square(128, 160))), r"a\.jpg \(A made-up one\) holds no visible image; give .* with --vi"),
        (jpeg(rgb_of(square(60, 80))), r"a\.jpg is not a radiometric JPEG of FLIR or DJI.* with --vi"),
        (flir_jpeg(counts_of(square(60, 80)), rgb_of(square(60, 80)), alignment=None), "does not say how it lies"),
        (flir_jpeg(counts_of(square(60, 80)), rgb_of(square(60, 80)), alignment=(1.0, 79, 0)), "no common field"),
        (
            flir_jpeg(counts_of(square(60, 80)), rgb_of(square(60, 80)), alignment=(0.0, 0, 0)),
            r"does not say how it lies: its alignment is absurd \(Real2IR 0, .*; extract it .* with --vi",
        ),
        (flir_jpeg(counts_of(square(60, 80)), rgb_of(square(60, 80)))[:-900], "is cut off"),
    ],
)
def test_files_that_do_not_hold_both_are_refused_with_the_remedy(tmp_path, weights, data, message):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        fuse("--ir", tmp_path / "a.jpg", "--out", tmp_path / "o", weights=weights)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_two_hundred_camera_pairs_fuse_without_an_option(tmp_path, weights, capsys):
    folder = tmp_path / "flight"
    folder.mkdir()
    thermal = dji_jpeg(counts_of(square(128, 160)), exif=make_exif(make="DJI", model="M4T"))
    visible = jpeg(rgb_of(square(128, 160)), exif=make_exif(make="DJI", gps=(36, 119)))
    for n in range(200):
        (folder / f"DJI_20260504030201_{n:04d}_T.JPG").write_bytes(thermal)
        (folder / f"DJI_20260504030202_{n:04d}_V.JPG").write_bytes(visible)
    with pytest.warns(ImageWarning, match="are mapped to black and white"):
        written = fuse("--ir", folder, "--out", tmp_path / "o", weights=weights)
    assert len(written) == 200 and written[7].name == "DJI_20260504030202_0007_V.png"
    assert "200 pairs by the scheme *_T/*_V: DJI_20260504030201_0000_T.JPG with" in capsys.readouterr().err
    with Image.open(written[0]) as image:
        assert image.getexif().get_ifd(0x8825)[2] == (36.0, 0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flir_b60.jpg", "flir_c2.jpg", "flir_t420.jpg"])
@pytest.mark.parametrize("frame", ["vi", "ir"])
def test_real_files_with_a_visible_image_fuse(data_root, tmp_path, weights, name, frame):
    words = ["--ir", data_root / "cameras" / name, "--out", tmp_path, "--frame", frame]
    with pytest.warns(ImageWarning, match="are mapped to black and white"):
        (path,) = fuse(*words, weights=weights)
    sizes = {"flir_b60.jpg": (280, 280), "flir_c2.jpg": (346, 462), "flir_t420.jpg": (708, 944)}
    native = {"flir_b60.jpg": (180, 180), "flir_c2.jpg": (60, 80), "flir_t420.jpg": (480, 640)}
    assert abs(np.array(read_image(path).shape[:2]) - (sizes if frame == "vi" else native)[name]).max() <= 2


def test_a_real_file_without_a_visible_image_is_named(data_root, tmp_path, weights):
    path = data_root / "cameras" / "flir_e60bx_no_visible.jpg"
    with pytest.raises(ValueError, match=r"flir_e60bx_no_visible\.jpg \(FLIR E60bx\) holds no visible image; give its"):
        fuse("--ir", path, "--out", tmp_path / "o", weights=weights)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_a_folder_is_fused_into_any_format_with_its_metadata(tmp_path, weights, kind):
    for name in ("ir", "vi"):
        (tmp_path / name).mkdir()
    for n in range(2):
        (tmp_path / "ir" / f"{n}.jpg").write_bytes(dji_jpeg(counts_of(square(128, 160))))
        data = jpeg(rgb_of(square(128, 160)), exif=make_exif(make="DJI", model="M4T", gps=(36, 119)))
        (tmp_path / "vi" / f"{n}.jpg").write_bytes(data)
    sizes = {}
    for quality in (95, 30):
        words = ["--ir", tmp_path / "ir", "--vi", tmp_path / "vi", "--out", tmp_path / f"{quality}", "--format", kind]
        with pytest.warns(ImageWarning, match="are mapped to black and white"):
            written = fuse(*words, "--quality", quality, weights=weights)
        assert [p.name for p in written] == [f"0.{kind}", f"1.{kind}"]
        with Image.open(written[1]) as image:
            assert image.size == (160, 128) and image.getexif()[0x0110] == "M4T"
            assert image.getexif().get_ifd(0x8825)[4] == (119.0, 0.0, 0.0)
        sizes[quality] = written[1].stat().st_size
    assert (sizes[30] < sizes[95]) == (kind in ("jpg", "webp"))
    with pytest.warns(ImageWarning, match="are mapped to black and white"):
        (bare, _) = fuse(*words[:4], "--out", tmp_path / "bare", "--format", kind, "--no-metadata", weights=weights)
    with Image.open(bare) as image:
        assert not dict(image.getexif()) or (kind == "tif" and 0x0110 not in image.getexif())
        assert "xmp" not in image.info


def test_deep_images_do_not_fit_into_shallow_formats(tmp_path, weights):
    write_image(tmp_path / "ir.png", counts_of(square(40, 48)))
    write_image(tmp_path / "vi.png", 257 * rgb_of(square(40, 48)).astype(np.uint16))
    words = ["--ir", tmp_path / "ir.png", "--vi", tmp_path / "vi.png", "--out", tmp_path / "o"]
    with pytest.raises(ValueError, match=r"--format jpg supports 8 bits only, but .*vi\.png has 16 bits"):
        fuse(*words, "--format", "jpg", weights=weights)
    with pytest.raises(ValueError, match="has another suffix than --format jpg"):
        fuse(*words[:4], "--out", tmp_path / "o.png", "--format", "jpg", weights=weights)
    with pytest.raises(ValueError, match="--frame ir is for files that hold both images"):
        fuse(*words, "--frame", "ir", weights=weights)
    with pytest.raises(ValueError, match=r"are the same file, .* or leave out --vi if it is a camera's file"):
        fuse(*words[:2], "--vi", tmp_path / "ir.png", *words[4:], weights=weights)
    with pytest.raises(ValueError, match="quality is 0; it must be from 1 to 100"):
        fuse(*words, "--quality", 0, weights=weights)


@pytest.mark.parametrize("offset", [0, 8000, 20000])
def test_ten_bits_in_a_file_of_sixteen_keep_their_target(tmp_path, offset):
    """The same scene in 8 bits, all of which it uses, and as 10-bit counts above an offset."""
    rng = np.random.default_rng(0)
    eight = np.clip(60 + 40 * rng.standard_normal((240, 320)), 0, 200)
    eight[100:112, 150:162] = 255
    counts = (offset + np.round(4 * eight)).astype(np.uint16)[..., None]
    chosen = automatic_ranges([counts])[np.dtype(np.uint16)]
    target = 255 * to_unit(counts, chosen)[100:112, 150:162].mean()
    around = 255 * to_unit(counts, chosen)[60:100, 100:200].mean()
    assert abs(target - 255) <= 5 and abs(around - eight[60:100, 100:200].mean()) <= 5


@pytest.mark.parametrize("name", ["dji_m3t_R.JPG", "dji_m2ea_R.JPG", "dji_h20t_R.JPG", "dji_xts_R.jpg"])
def test_real_dji_files_are_infrared_sources_though_their_picture_be_cut_off(data_root, tmp_path, name):
    write_image(tmp_path / "vi.png", rgb_of(square(512, 640)))
    pair = PairPaths("a", data_root / "cameras" / name, tmp_path / "vi.png")
    header = read_pair_header(pair, SourceOptions())
    assert header.ir == header.vi == (512, 640)
    images = read_pair(pair, SourceOptions())
    assert images.unit == "counts" and images.ir.dtype == np.uint16 and images.ir.shape == (512, 640, 1)
