"""Which files belong together: schemes of cameras, patterns, lists, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from fusejax.data.folders import PairFolder
from fusejax.evaluation.folder import evaluate_folders
from fusejax.evaluation.sources import choose_pairs
from fusejax.io.images import write_image
from fusejax.io.matching import with_patterns
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pairing import PairError


def store(folder, *names, size=(4, 6)):
    for name in names:
        pixels = np.zeros((*size, 3), np.uint8)
        write_image(folder / Path(name).with_suffix(".png").name, pixels)
        (folder / Path(name).with_suffix(".png").name).rename(folder / name)
    return folder


def paired(found):
    pairs, problems = found
    assert not problems
    return [(p.ir.name, p.vi.name) for p in pairs]


SCHEMES = {
    "dji": (["DJI_0001_T.JPG", "DJI_0003_T.JPG"], ["DJI_0001_V.JPG", "DJI_0003_V.JPG"]),
    "dji wide": (["DJI_0001_T.JPG"], ["DJI_0001_W.JPG"]),
    "dji radiometric": (["DJI_0001_R.JPG"], ["DJI_0001_Z.JPG"]),
    "dji words": (["DJI_20200623151715_0001_THRM.JPG"], ["DJI_20200623151715_0001_WIDE.JPG"]),
    "dji a second later": (
        ["DJI_20220723151219_0001_T.JPG", "DJI_20220723151302_0002_T.JPG"],
        ["DJI_20220723151220_0001_V.JPG", "DJI_20220723151302_0002_V.JPG"],
    ),
    "flir": (["IR_0001.jpg", "IR_0003.jpg"], ["DC_0002.jpg", "DC_0004.jpg"]),
    "flir same number": (["IR_0001.jpg"], ["DC_0001.jpg"]),
    "prefixes": (["IR_a.png", "IR_b.png"], ["RGB_a.png", "RGB_b.png"]),
    "numbers": (["ir0001.png"], ["rgb0001.png"]),
    "suffixes": (["a_ir.png"], ["a_vis.png"]),
    "kaist": (["a_lwir.png"], ["a_rgb.jpg"]),
    "bare": (["a_thermal.tif"], ["a.jpg"]),
}


@pytest.mark.parametrize("names", SCHEMES.values(), ids=SCHEMES)
@pytest.mark.parametrize("flat", [False, True])
def test_known_schemes_pair_without_options(tmp_path, names, flat, capsys):
    ir = store(tmp_path if flat else tmp_path / "t", *names[0])
    vi = store(tmp_path if flat else tmp_path / "v", *names[1])
    assert paired(find_pairs(ir, vi)) == list(zip(*names, strict=True))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"{names[0][0]} with {names[1][0]}" in said[0]


def test_at_most_three_examples_are_said(tmp_path, capsys):
    names = [[f"{n:02d}_{kind}.png" for n in range(9)] for kind in ("T", "V")]
    assert len(paired(find_pairs(store(tmp_path, *names[0]), store(tmp_path, *names[1])))) == 9
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("9 pairs by the scheme *_T/*_V: 00_T.png with 00_V.png") and said.count(" with ") == 3


def test_equal_stems_pair_before_any_scheme(tmp_path, capsys):
    ir, vi = store(tmp_path / "ir", "DJI_1_T.png", "b.png"), store(tmp_path / "vi", "DJI_1_T.jpg", "b.png")
    assert paired(find_pairs(ir, vi)) == [("DJI_1_T.png", "DJI_1_T.jpg"), ("b.png", "b.png")]
    assert not capsys.readouterr().err


def test_several_possible_partners_are_refused(tmp_path):
    folder = store(tmp_path, "DJI_1_T.png", "DJI_1_W.png", "DJI_1_Z.png")
    with pytest.raises(PairError, match=r"DJI_1_T\.png has 2 possible partners: DJI_1_W\.png, DJI_1_Z\.png; say which"):
        find_pairs(folder, folder)
    found = find_pairs(folder / "*_T.*", folder / "*_Z.*")
    assert paired(found) == [("DJI_1_T.png", "DJI_1_Z.png")]


def test_a_marked_file_without_partner_is_named(tmp_path):
    folder = store(tmp_path, "a_T.png", "a_V.png", "b_T.png", "notes.png")
    with pytest.raises(PairError, match=r"1 of 2 pairs cannot be used:\s+.*b_T\.png has no visible partner"):
        find_pairs(folder, folder)
    pairs, problems = find_pairs(folder, folder, skip_bad=True)
    assert len(pairs) == len(problems) == 1


def test_times_further_apart_are_no_pair(tmp_path):
    folder = store(tmp_path, "DJI_20220723151219_0001_T.png", "DJI_20220723151259_0001_V.png")
    with pytest.raises(PairError, match="do not say which are infrared; give one infrared and one visible folder"):
        find_pairs(folder, folder)


@pytest.mark.parametrize(
    ("ir_pattern", "vi_pattern", "names"),
    [
        ("*_x.*", "*_y.*", [("a_x.png", "a_y.jpg")]),
        ("?_x.png", "?_y.*", [("a_x.png", "a_y.jpg")]),
        ("[ab]_X.*", "[ab]_Y.*", [("a_x.png", "a_y.jpg")]),
    ],
)
def test_patterns_pair_what_their_wildcards_match(tmp_path, ir_pattern, vi_pattern, names):
    folder = store(tmp_path, "a_x.png", "a_y.jpg", "other.png")
    assert paired(find_pairs(folder / ir_pattern, folder / vi_pattern)) == names
    for vi in (folder, None):
        named = with_patterns(folder, vi, ir_pattern=ir_pattern, vi_pattern=vi_pattern)
        assert named == (folder / ir_pattern, folder / vi_pattern)


@pytest.mark.parametrize(
    ("ir_pattern", "vi_pattern", "message"),
    [
        ("*_q.*", "*_y.*", r"no file name fits '\*_q\.\*'"),
        ("*_x.*", "*_*_y.*", "different numbers of wildcards"),
        ("*", "*", "fits both patterns"),
        ("*x*.*", "*y*.*", "no two file names fit together"),
        ("*_x.*", None, "--ir-pattern is given alone"),
    ],
)
def test_patterns_that_pair_nothing_are_refused(tmp_path, ir_pattern, vi_pattern, message):
    folder = store(tmp_path, "a_x1.png", "b_y2.png", "a_x.png", "c_y.png", "d_e_y.png")
    with pytest.raises(PairError, match=message):
        find_pairs(*with_patterns(folder, folder, ir_pattern=ir_pattern, vi_pattern=vi_pattern))


def test_a_csv_file_lists_pairs(tmp_path):
    store(tmp_path / "x", "1.png", "2.png")
    store(tmp_path / "y", "p.png", "q.png")
    (tmp_path / "pairs.csv").write_text("note;Infrared;Visible\nhi;x/1.png;y/p.png\n\n;x/2.png;y/q.png\n", "utf-8-sig")
    assert paired(find_pairs(tmp_path / "pairs.csv", None)) == [("1.png", "p.png"), ("2.png", "q.png")]
    with pytest.raises(PairError, match=r"pairs\.csv lists pairs, so no other folder is needed"):
        find_pairs(tmp_path / "pairs.csv", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its first line names the columns ir and vi"),
        ("x/1.png,y/p.png\n", "begins with 'x/1.png,y/p.png'; its first line names the columns ir and vi"),
        ("ir,vi\n", "lists no pairs"),
        ("ir,vi\nx/1.png,y/none.png\n", r"line 2: .*none\.png is not a file; paths are relative to the folder"),
        ("ir,vi\n,y/p.png\n", "line 2: no infrared file"),
        ("ir,vi\nx/1.png,y/p.png\nx/1.png,y/p.png\n", "lists y/p more than once"),
        ('ir,vi\n"x/1.png,y/p.png\n', "is not a CSV file"),
    ],
)
def test_bad_lists_are_refused_with_the_line(tmp_path, text, message):
    store(tmp_path / "x", "1.png")
    store(tmp_path / "y", "p.png")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(PairError, match=message):
        find_pairs(tmp_path / "pairs.csv", None)


def test_training_takes_one_folder_of_camera_names_and_lists(tmp_path):
    store(tmp_path / "set", "DJI_1_T.png", "DJI_1_V.png")
    assert [p["id"] for p in PairFolder(tmp_path / "set")] == ["DJI_1_V"]
    (tmp_path / "pairs.csv").write_text("ir,vi\nset/DJI_1_T.png,set/DJI_1_V.png\n")
    assert [p["id"] for p in PairFolder(tmp_path / "pairs.csv")] == ["DJI_1_V"]


def test_evaluate_and_stress_take_the_same_names(tmp_path, capsys):
    folder, fused = tmp_path / "flight", tmp_path / "fused"
    rng = np.random.default_rng(0)
    for n in range(2):
        write_image(folder / f"DJI_{n}_T.png", rng.integers(0, 256, (32, 40, 1), np.uint8))
        write_image(folder / f"DJI_{n}_V.png", rng.integers(0, 256, (32, 40, 3), np.uint8))
        write_image(fused / f"DJI_{n}_V.png", rng.integers(0, 256, (32, 40, 3), np.uint8))
    (tmp_path / "pairs.csv").write_text(
        "".join(["ir,vi\n", *(f"flight/DJI_{n}_T.png,flight/DJI_{n}_V.png\n" for n in "01")])
    )
    listed = tmp_path / "pairs.csv"
    for sources in (
        (folder, None),
        (folder, folder),
        (listed, listed),
        (folder / "*_T.png", folder / "*_V.png"),
        (listed, None),
    ):
        scores = evaluate_folders([fused], *sources, metrics=["EN"])
        assert scores.names == ("DJI_0_V", "DJI_1_V")
        assert [p.vi.name for p in choose_pairs(*sources, count=None)] == ["DJI_0_V.png", "DJI_1_V.png"]


def test_a_tree_of_camera_folders_is_one_call(tmp_path):
    for n in range(2):
        store(tmp_path / "DCIM" / f"{n}00MEDIA", f"DJI_{n}_T.JPG", f"DJI_{n}_V.JPG")
    pairs, _ = find_pairs(tmp_path / "DCIM", None, recursive=True)
    assert [p.id for p in pairs] == ["000MEDIA/DJI_0_V", "100MEDIA/DJI_1_V"]


def test_two_kinds_of_sources_are_not_mixed(tmp_path):
    folder, file = store(tmp_path / "a", "x.png", "y.png"), tmp_path / "a" / "x.png"
    for sources in ((folder, file), (folder / "*.png", file), (file, folder / "*.png")):
        with pytest.raises(PairError, match=r"is a folder but .* is not; give two files, or two folders"):
            find_pairs(*sources)
    with pytest.raises(PairError, match="are the same file"):
        find_pairs(file, file)
    with pytest.raises(PairError, match="no such file or folder"):
        find_pairs(tmp_path / "none", None)
    (tmp_path / "a.csq").write_bytes(b"FFF\0")
    with pytest.raises(PairError, match=r"a\.csq is a sequence of FLIR's, which is not read; export its frames"):
        find_pairs(tmp_path / "a.csq", None)


@pytest.mark.parametrize("sources", [("rtsp://camera/ir", "0"), ("0", "1"), ("/dev/video77", "/dev/video78")])
def test_cameras_and_streams_are_sent_to_live(sources):
    with pytest.raises(
        ValueError, match="; cameras and network streams are fused by `fusejax live`"
    ):
        find_pairs(*sources)
    with pytest.raises(ValueError, match=r"nowhere and 1x: no such file or folder\.$"):
        find_pairs("nowhere", "1x")
