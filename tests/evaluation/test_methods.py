"""Names of methods: one rule for every command."""

import pytest

from fusejax.evaluation.methods import name_methods
from fusejax.inference.rules import Rule


def names(**given):
    return [method.name for method in name_methods(**given)]


def test_a_method_has_the_name_of_its_file_folder_or_weights(tmp_path):
    (tmp_path / "run.v2").mkdir()
    weights = ["light", "out/net.safetensors", "net2.onnx", str(tmp_path / "run.v2"), "run@500", Rule("average")]
    assert names(weights=weights) == ["light", "net", "net2", "run.v2", "run@500", "average"]
    assert names(weights=["f.onnx:ir=a,vi=b"]) == ["f"]  # no name, but options of the file


def test_a_name_can_be_given(tmp_path):
    assert names(weights=["x=light"], rules=["average"], folders=["y=some/where"]) == ["x", "average", "y"]
    assert names(weights={"x": "light"}, folders={"y": tmp_path}) == ["x", "y"]
    assert names(weights=["x=f.onnx:ir=a,vi=b"]) == ["x"]
    (tmp_path / "a=b").mkdir()
    (only,) = name_methods(folders=[tmp_path / "a=b"])  # a folder that exists is one
    assert (only.name, only.folder) == ("a=b", tmp_path / "a=b")


def test_equal_names_become_the_part_of_the_paths_that_differs():
    assert names(folders=["own/mine/tno/test_dev", "own/other/tno/test_dev"]) == ["mine", "other"]
    assert names(folders=["a/x", "b/x", "c"]) == ["a", "b", "c"]
    assert names(weights=["n.onnx", "n", "m.onnx"]) == ["n.onnx", "n", "m"]
    assert names(folders=["a/p/x", "b/p/x", "a/q/x"]) == ["a/p/x", "b/p/x", "a/q/x"]


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(ValueError, match="The same method is given twice: light, light"):
        name_methods(weights=["light", "light"])
    with pytest.raises(ValueError, match="Two methods are called light; give one another name: NAME="):
        name_methods(weights=["light"], folders=["light=some/where"])


def test_files_of_other_programs_are_named_without_their_options():
    options = ":ir=a,vi=b,range=0..255"
    for files, names in ((["a/x.onnx", "b/y.onnx"], ["x", "y"]), (["a/x.onnx", "b/x.onnx"], ["a", "b"])):
        assert [method.name for method in name_methods(weights=[file + options for file in files])] == names
    with pytest.raises(ValueError, match=r"Two methods are called .*give one another name"):
        name_methods(weights=["x.onnx:ir=a,vi=b", f"x.onnx{options}"])
