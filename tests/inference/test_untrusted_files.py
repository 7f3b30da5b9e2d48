"""Exported files made by somebody else: nothing outside them runs, is read, or hangs."""

import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from fusejax.export import exporting
from fusejax.inference import standalone
from fusejax.inference.exported import ExportedFile

METADATA = {"size": None, "color": False, "multiple": 1, "sha256": standalone.UNSEALED}
METADATA |= dict.fromkeys(("layout", "channels", "ranges", "promise"), "as the library writes it")
IR, VI = (np.full((1, 8, 12, 1), value, np.float32) for value in (0.25, 0.5))


def stablehlo(path, function, *, metadata=METADATA, allow=()):
    """Seals a program of two images [1, 8, 12, 1]."""
    image = jax.ShapeDtypeStruct(IR.shape, jnp.float32)
    checks = [export.DisabledSafetyCheck.custom_call(name) for name in allow]
    program = export.export(jax.jit(function), disabled_checks=checks)(image, image)
    exporting._seal(path, bytes(program.serialize()), metadata)
    return path


def onnx_file(path, nodes, *, initializers=(), outputs=("fused",), kind=1, metadata=METADATA):
    onnx = pytest.importorskip("onnx")
    shape = ("b", 1, "h", "w")
    inputs = [onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("ir", "vi")]
    results = [onnx.helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = onnx.helper.make_graph(nodes, "g", inputs, results, list(initializers))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    exporting._seal(path, model, metadata)
    return path


def node(kind, *inputs, output="fused"):
    return pytest.importorskip("onnx").helper.make_node(kind, list(inputs), [output])


def test_an_honest_program_runs(tmp_path):
    file = ExportedFile(stablehlo(tmp_path / "a.stablehlo", lambda ir, vi: (ir + vi) / 2))
    np.testing.assert_allclose(file.fuse_luma(IR, VI), 0.375)
    file = ExportedFile(onnx_file(tmp_path / "a.onnx", [node("Max", "ir", "vi")]))
    np.testing.assert_allclose(file.fuse_luma(IR, VI), 0.5)


def test_a_program_that_calls_into_this_process_never_runs(tmp_path):
    def call(ir, vi):
        del vi
        return jax.ffi.ffi_call("xla_ffi_python_cpu_callback", jax.ShapeDtypeStruct(IR.shape, jnp.float32))(
            ir, index=np.uint64(2**40)
        )

    path = stablehlo(tmp_path / "a.stablehlo", call, allow=["xla_ffi_python_cpu_callback"])
    with pytest.raises(ValueError, match=r"a\.stablehlo calls xla_ffi_python_cpu_callback, which could run other code"):
        ExportedFile(path)


def test_a_program_with_a_constant_of_terabytes_is_refused(tmp_path):
    def huge(ir, vi):
        return ir + vi + jnp.zeros((2**20, 2**20)).sum()

    with pytest.raises(ValueError, match=r"holds an array of 1048576x1048576 numbers"):
        ExportedFile(stablehlo(tmp_path / "a.stablehlo", huge))


@pytest.mark.slow
def test_a_program_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.stablehlo"
    exporting._seal(path, bytes(standalone._MOST_BYTES + 1), METADATA)
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match=r"a\.stablehlo cannot be used: its program unpacks to 536,870,913 bytes"):
        ExportedFile(path)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda ir, vi: ir[:, :1, :1] + vi[:, :1, :1], "returns float32 1x1x1x1 for inputs of 1x8x12x1"),
        (lambda ir, vi: (ir + vi).astype(jnp.int32), "returns int32 1x8x12x1"),
        (lambda ir, vi: jnp.sqrt(ir - vi), "returns values that are NaN or infinite"),
        (lambda ir, vi: vi / (ir - ir), "returns values that are NaN or infinite"),
    ],
)
def test_a_result_that_is_no_image_is_refused(tmp_path, function, message):
    file = ExportedFile(stablehlo(tmp_path / "a.stablehlo", function))
    with pytest.raises(ValueError, match=rf"a\.stablehlo {message}"):
        file.fuse_luma(IR, VI)


def test_values_beyond_white_are_clipped(tmp_path):
    file = ExportedFile(stablehlo(tmp_path / "a.stablehlo", lambda ir, vi: (ir - vi) * 1e6))
    np.testing.assert_array_equal(file.fuse_luma(IR, VI), 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": "8x12"}, "size is '8x12'"),
        ({"size": [8, 10**9]}, "size is"),
        ({"size": None, "color": "no"}, "color is 'no'"),
        ({"multiple": 0}, "multiple is 0"),
        ({"multiple": "4"}, "multiple is '4'"),
        ({"multiple": 10**9}, "multiple is 1000000000"),
        ({"least_side": -1}, "least_side is -1"),
    ],
)
def test_metadata_that_do_not_fit_are_named(tmp_path, changed, message):
    path = stablehlo(tmp_path / "a.stablehlo", lambda ir, vi: ir + vi, metadata=METADATA | changed)
    with pytest.raises(ValueError, match=rf"a\.stablehlo: {message}.* in its metadata"):
        ExportedFile(path)


@pytest.mark.parametrize("key", ["size", "color", "multiple"])
def test_missing_metadata_are_named(tmp_path, key):
    metadata = {name: value for name, value in METADATA.items() if name != key}
    with pytest.raises(ValueError, match=rf"a\.stablehlo: {key} is None in its metadata"):
        ExportedFile(stablehlo(tmp_path / "a.stablehlo", lambda ir, vi: ir + vi, metadata=metadata))


@pytest.mark.parametrize("metadata", [[], "x", 3])
def test_metadata_that_are_no_object_are_named(tmp_path, metadata):
    path = tmp_path / "a.stablehlo"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(standalone.PROGRAM, b"")
        file.comment = json.dumps(metadata).encode()
    with pytest.raises(ValueError, match=r"a\.stablehlo: its metadata are"):
        ExportedFile(path)


@pytest.mark.parametrize("program", [b"", b"junk", bytes(1000)])
def test_damaged_programs_are_named(tmp_path, program):
    exporting._seal(tmp_path / "a.stablehlo", program, METADATA)
    with pytest.raises(ValueError, match=r"a\.stablehlo is intact, but JAX .* does not read it"):
        ExportedFile(tmp_path / "a.stablehlo")


def test_a_file_without_a_program_is_named(tmp_path):
    path = tmp_path / "a.stablehlo"
    exporting._seal(path, b"", METADATA)
    path.write_bytes(path.read_bytes().replace(b"program.jax", b"another.jax"))
    with pytest.raises(ValueError, match=r"a\.stablehlo (is damaged|cannot be used)"):
        ExportedFile(path)


def test_an_onnx_file_never_reads_other_files(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(np.full((1, 1, 8, 12), 0.75, np.float32).tobytes())
    tensor = onnx.TensorProto(name="x", data_type=1, dims=(1, 1, 8, 12), data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret.bin")
    path = onnx_file(tmp_path / "a.onnx", [node("Add", "ir", "x")], initializers=[tensor])
    with pytest.raises(ValueError, match=r"a\.onnx.*keeps data in other files"):
        ExportedFile(path)


def test_external_data_of_an_attribute_are_found_too(tmp_path, monkeypatch):
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    tensor = onnx.TensorProto(data_type=1, dims=(1,), data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret.bin")
    constant = onnx.helper.make_node("Constant", [], ["x"], value=tensor)
    with pytest.raises(ValueError, match=r"a\.onnx.*keeps data in other files"):
        ExportedFile(onnx_file(tmp_path / "a.onnx", [constant, node("Add", "ir", "x")]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ("other",)}, "expected ir and vi, and fused"),
        ({"kind": 11}, "expected ir and vi, and fused"),
    ],
)
def test_onnx_files_of_other_names_and_types_are_named(tmp_path, options, message):
    output = options.get("outputs", ("fused",))[0]
    path = onnx_file(tmp_path / "a.onnx", [node("Add", "ir", "vi", output=output)], **options)
    with pytest.raises(ValueError, match=rf"a\.onnx takes .*{message}"):
        ExportedFile(path)
