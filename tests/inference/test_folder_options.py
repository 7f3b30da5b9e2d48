"""Options are the same in Python and on the command line, and are checked when they are made."""

import dataclasses

import pytest
from fusing import save_tiny_weights

from fusejax.cli.fuse import FuseOptions
from fusejax.cli.parsing import parse
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference import FolderOptions, VideoOptions, fuse_folder

WRONG = {
    "strength": (3.0, "strength is 3"),
    "ir_range": ((2.0, 1.0), "LOW must be below HIGH"),
    "tile": ("half", "tile is 'half'"),
    "memory": ("much", "memory is 'much'"),
}
WRONG_FOLDER = WRONG | {"quality": (0, "quality is 0"), "style": ("heat", "style is 'heat'")}
WRONG_VIDEO = WRONG | {"temporal": (-1.0, "temporal is -1")}


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [(FolderOptions, name, *wrong) for name, wrong in WRONG_FOLDER.items()]
    + [(VideoOptions, name, *wrong) for name, wrong in WRONG_VIDEO.items()],
)
def test_a_wrong_option_is_refused_when_it_is_given(kind, name, value, text):
    if name != "style":  # its type alone refuses it here
        with pytest.raises(ValueError, match=text):
            kind(**{name: value})
    words = [str(each) for each in value] if isinstance(value, tuple) else [str(value)]
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises((ValueError, SystemExit)):
        parse(FuseOptions, "fuse", ["--ir", "a", "--out", "b", flag, *words])


def test_existing_files_are_either_replaced_or_kept():
    with pytest.raises(ValueError, match="give only one of the two"):
        FolderOptions(overwrite=True, skip_existing=True)


def test_every_option_is_a_flag_with_the_same_default():
    given = parse(FuseOptions, "fuse", ["--ir", "a", "--out", "b"])
    for kind in (FolderOptions, VideoOptions):
        for field in dataclasses.fields(kind):
            assert getattr(given, field.name) == field.default == getattr(kind(), field.name), field.name


def test_single_options_change_those_that_are_given(tmp_path):
    write_synthetic_folder(tmp_path, count=1, size=(32, 48))
    given = {"weights": save_tiny_weights(tmp_path), "options": FolderOptions(bits=16, keep_ir=True)}
    (path,) = fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", **given, panel=True).written
    assert {p.name for p in path.parent.iterdir() if p.is_dir()} == {"ir", "panels"}
    with pytest.raises(TypeError, match="panels"):
        fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", **given, panels=True)
