"""Exported files say when they were written, with what, and how long they can be read."""

import datetime
import json
import zipfile
from pathlib import Path

import jax
import pytest

import fusejax
from fusejax.cli.main import main
from fusejax.export import exporting
from fusejax.export.exporting import export_weights
from fusejax.export.promise import check_file, describe_promise
from fusejax.inference import standalone

FILES = Path(__file__).parents[1] / "compatibility" / "files"
WEIGHTS = FILES / "weights.safetensors"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("program") / "mine.stablehlo"
    export_weights(WEIGHTS, out, format="stablehlo", size=(32, 32))
    return out


def test_the_opset_is_the_one_of_the_graph():
    graph = pytest.importorskip("fusejax.export.onnx_graph", reason="the extra `onnx` is not installed")
    assert exporting._OPSET == graph.OPSET


def test_only_stablehlo_expires_half_a_year_after_it_was_written():
    promise = describe_promise("stablehlo", 20)
    dates = [datetime.date.fromisoformat(promise[name]) for name in ("written", "promised_until")]
    assert 180 <= (dates[1] - dates[0]).days <= 184
    assert promise["versions"]["jax"] == jax.__version__
    assert promise["promised_until"] in promise["promise"]
    assert [describe_promise(name, 20)["promised_until"] for name in ("onnx", "safetensors")] == [None, None]


@pytest.mark.slow
def test_the_command_checks_a_file(program, capsys):
    main(["export", "--check", str(program)])
    said = capsys.readouterr().out
    assert "LightConfig, 32x32, [batch, height, width, channel]; intact, and it runs" in said
    assert f" with jax {jax.__version__}, jaxlib " in said
    assert "six months" in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weights.safetensors", "program.stablehlo", "program.onnx"])
def test_files_of_before_are_checked_too(name):
    if name.endswith(".onnx"):
        pytest.importorskip("onnxruntime", reason="onnxruntime (extra `onnx`) is not installed")
    assert "intact" in check_file(FILES / name)[0]


@pytest.mark.slow
def test_the_end_of_a_promise_is_said(program, monkeypatch):
    metadata = standalone.verify(program) | {"promised_until": "2026-01-01"}
    monkeypatch.setattr(standalone, "verify", lambda path: metadata)
    assert check_file(program)[-1].startswith("This promise ended on 2026-01-01;")


@pytest.mark.slow
def test_an_expired_file_says_what_to_do(program, monkeypatch):
    def refuse(content):
        raise ValueError("StableHLO 99.0.0 is not supported\nmore")

    monkeypatch.setattr(jax.export, "deserialize", refuse)
    expected = r"does not read it \(StableHLO 99.*export --weights weights .*pip install jax=="
    with pytest.raises(ValueError, match=expected):
        fusejax.load(program)


@pytest.mark.slow
def test_a_damaged_file_is_refused_by_the_check(program, tmp_path):
    damaged = tmp_path / program.name
    content = bytearray(program.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        check_file(damaged)


@pytest.mark.slow
def test_the_metadata_of_the_archive_is_readable_without_this_library(program):
    with zipfile.ZipFile(program) as archive:
        metadata = json.loads(archive.comment)
    assert {"written", "versions", "promise", "promised_until", "layout", "channels", "ranges"} <= metadata.keys()
