"""The TFDS builders on small archives in the real layouts of the sets.

They are built and read without TensorFlow.
"""

import functools
import http.server
import pickle
import subprocess
import sys
import threading
import zipfile

import cv2
import grain
import numpy as np
import pytest

from fusejax.data.tfds import TfdsPairs, open_tfds, prepare
from fusejax.data.tfds.builders import Msrs, RoadScene
from fusejax.data.tfds.pairs import AnnotationError, read_voc
from fusejax.io.images import write_image

H, W = 12, 16


def image(seed, channels):
    return np.random.default_rng(seed).integers(0, 256, (H, W, channels), dtype=np.uint8)


def write_pairs(ir, vi, names, *, suffix=".png", ir_channels=1):
    for n, name in enumerate(names):
        gray = image(n, 1)
        write_image(ir / f"{name}{suffix}", np.repeat(gray, ir_channels, axis=-1))
        write_image(vi / f"{name}{suffix}", image(100 + n, 3))


def voc(*boxes):
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
        "</bndbox></object>"
        for name, x1, y1, x2, y2 in boxes
    )
    return f"<annotation>{objects}</annotation>"


def make_zip(folder, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serves an archive on loopback instead of at a builder's address.

    The builder downloads it as usual.
    """
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(builder, archive):
        assert builder.URL.startswith("https://github.com/")
        address = f"http://127.0.0.1:{server.server_port}/{archive.relative_to(tmp_path)}"
        monkeypatch.setattr(builder, "URL", address)

    yield publish
    server.shutdown()


def test_roadscene(tmp_path, serve):
    root = tmp_path / "src" / "RoadScene-master"
    write_pairs(root / "cropinfrared", root / "crop_LR_visible", ["FLIR_1", "FLIR_2"], ir_channels=3)
    write_image(root / "crop_HR_visible" / "FLIR_1.png", image(9, 3))
    archive = make_zip(tmp_path / "src", tmp_path / "master.zip")
    serve(RoadScene, archive)
    prepare("roadscene", data_dir=str(tmp_path / "data"))
    source = open_tfds("roadscene", data_dir=str(tmp_path / "data"))
    pairs = {p["id"]: p for p in (source[n] for n in range(len(source)))}
    assert sorted(pairs) == ["FLIR_1", "FLIR_2"]
    np.testing.assert_array_equal(pairs["FLIR_2"]["ir"], image(1, 1))
    np.testing.assert_array_equal(pairs["FLIR_2"]["vi"], image(101, 3))
    copy = pickle.loads(pickle.dumps(source))  # grain sends sources to worker processes this way
    np.testing.assert_array_equal(copy[0]["vi"], source[0]["vi"])
    assert len(list(grain.MapDataset.source(source).map(lambda p: p["id"]))) == 2


@pytest.mark.slow
def test_msrs_has_both_splits_and_needs_no_tensorflow(tmp_path, serve):
    root = tmp_path / "src" / "MSRS-main"
    write_pairs(root / "train" / "ir", root / "train" / "vi", ["00001D", "00002N", "00003D"])
    write_pairs(root / "test" / "ir", root / "test" / "vi", ["00004N"])
    archive = make_zip(tmp_path / "src", tmp_path / "main.zip")
    serve(Msrs, archive)
    prepare("msrs", data_dir=str(tmp_path / "data"))
    code = (
        "import sys; from fusejax.data.tfds import open_tfds\n"
        f"sizes = [len(open_tfds('msrs', data_dir={str(tmp_path / 'data')!r}, split=s)) for s in ('train', 'test')]\n"
        f"pair = open_tfds('msrs', data_dir={str(tmp_path / 'data')!r}, split='test')[0]\n"
        "print(sizes, pair['id'], pair['ir'].dtype, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[0] == "[3, 1] 00004N uint8 False"


def test_llvip_boxes_are_pixels(tmp_path):
    root = tmp_path / "src" / "LLVIP"
    for split, name in (("train", "010001"), ("test", "190001")):
        write_pairs(root / "infrared" / split, root / "visible" / split, [name], suffix=".png", ir_channels=3)
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(voc(("person", 2, 3, 10, 12), ("person", 0, 0, 4, 6)))
    make_zip(tmp_path / "src", tmp_path / "manual" / "LLVIP.zip")
    prepare("llvip", data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path / "manual"))
    pair = open_tfds("llvip", data_dir=str(tmp_path / "data"), split="test")[0]
    np.testing.assert_allclose(pair["boxes"], [[2, 3, 10, 12], [0, 0, 4, 6]], atol=1e-4)
    np.testing.assert_array_equal(pair["labels"], [0, 0])


def test_m3fd_has_two_configurations(tmp_path):
    root = tmp_path / "detection" / "M3FD_Detection"
    write_pairs(root / "Ir", root / "Vis", ["00000", "00001"])
    (root / "Annotation").mkdir()
    (root / "Annotation" / "00000.xml").write_text(voc(("Car", 1, 1, 5, 5)))
    (root / "Annotation" / "00001.xml").write_text(voc())
    make_zip(tmp_path / "detection", tmp_path / "manual" / "M3FD_Detection.zip")
    write_pairs(tmp_path / "fusion" / "Ir", tmp_path / "fusion" / "Vis", ["00000"])
    make_zip(tmp_path / "fusion", tmp_path / "manual" / "M3FD_Fusion.zip")
    for config in ("detection", "fusion"):
        prepare(f"m3fd/{config}", data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path / "manual"))
    boxed = open_tfds("m3fd/detection", data_dir=str(tmp_path / "data"))
    pairs = {p["id"]: p for p in (boxed[n] for n in range(2))}
    assert pairs["00000"]["labels"].tolist() == [1]
    assert pairs["00001"]["boxes"].shape == (0, 4)
    assert "boxes" not in open_tfds("m3fd/fusion", data_dir=str(tmp_path / "data"))[0]


def test_missing_archives_and_sets_say_what_to_do(tmp_path):
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "other.zip").touch()  # TFDS itself refuses an empty folder
    with pytest.raises(FileNotFoundError, match=r"LLVIP\.zip is missing\. Agree to the terms"):
        prepare("llvip", data_dir=str(tmp_path / "data"), manual_dir=str(tmp_path / "manual"))
    with pytest.raises(ValueError, match=r"roadscene is not prepared in .* run: python -m fusejax.data.tfds roadscene"):
        open_tfds("roadscene", data_dir=str(tmp_path / "data"))
    with pytest.raises(ValueError, match="Unknown data set 'tno'; known: roadscene, msrs, llvip, m3fd"):
        open_tfds("tno")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the file does not exist"),
        ("<annotation>", "malformed XML"),
        (voc(("dog", 1, 1, 3, 3)), "box 1: class 'dog' is unknown; expected one of person"),
        (voc(("person", 1, 1, 3, 3), ("person", 5, 1, 30, 3)), r"box 2: \(5, 1, 30, 3\) is not inside the 16x12"),
        (voc(("person", "x", 1, 3, 3)), "box 1: bndbox .* is not four numbers"),
    ],
)
def test_bad_annotations_name_file_and_box(tmp_path, text, message):
    path = tmp_path / "a.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnnotationError, match=message) as error:
        read_voc(path, (H, W), ("person",))
    assert "a.xml" in str(error.value)


def test_damaged_records_are_refused(tmp_path, serve):
    root = tmp_path / "src" / "RoadScene-master"
    write_pairs(root / "cropinfrared", root / "crop_LR_visible", ["a"])
    archive = make_zip(tmp_path / "src", tmp_path / "m.zip")
    serve(RoadScene, archive)
    prepare("roadscene", data_dir=str(tmp_path / "data"))
    source = open_tfds("roadscene", data_dir=str(tmp_path / "data"))
    assert isinstance(source, TfdsPairs)
    source._source = [{"id": b"a", "ir": image(0, 3), "vi": image(0, 3)}]
    with pytest.raises(ValueError, match=r"record 0: ir .* prepare the set again"):
        source[0]


def test_16_bits_become_8_by_rounding(tmp_path, serve):
    """65535 is white: divided by 256 instead of 257, it would wrap to 0."""
    root = tmp_path / "src" / "RoadScene-master"
    write_pairs(root / "cropinfrared", root / "crop_LR_visible", ["a"])
    deep = np.array([[0, 1, 128, 129, 257, 32896, 65406, 65535]], np.uint16).repeat(8, 0)
    for path in root.rglob("a.*"):
        path.unlink()
    for folder in ("cropinfrared", "crop_LR_visible"):
        cv2.imwrite(str(root / folder / "a.png"), deep)
    serve(RoadScene, make_zip(tmp_path / "src", tmp_path / "m.zip"))
    prepare("roadscene", data_dir=str(tmp_path / "data"))
    pair = open_tfds("roadscene", data_dir=str(tmp_path / "data"))[0]
    np.testing.assert_array_equal(pair["ir"][0, :, 0], [0, 0, 0, 1, 1, 128, 254, 255])


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.slow
def test_missing_folders_and_broken_archives_are_one_line(tmp_path, kind):
    manual = tmp_path / "archives"
    if kind == "zip":
        manual.mkdir()
        (manual / "LLVIP.zip").write_bytes(b"no zip")
    command = [sys.executable, "-m", "fusejax.data.tfds", "llvip", "--data-dir", str(tmp_path / "d")]
    done = subprocess.run([*command, "--manual-dir", str(manual)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("fusejax.data.tfds: ")
    assert ("LLVIP.zip is not a complete zip file" if kind == "zip" else "put it into the manual folder") in said
