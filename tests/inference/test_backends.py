"""Networks, exported files, other programs' files and rules keep one protocol."""

import copy
import functools
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import TINY, tiny_params

import fusejax
from fusejax.data.synthetic import synthetic_pair
from fusejax.evaluation.comparison import compare_methods
from fusejax.export import export_weights
from fusejax.inference import Backend, Fuser, fuse_folder
from fusejax.inference.loading import load, weights_name
from fusejax.io.images import read_image, write_image
from fusejax.ops.color import rgb_to_luma
from fusejax.weights.files import save_weights

onnx = pytest.importorskip("onnx")
SIZE = (21, 30)


def write_foreign(path, *, low=0.0, high=1.0, channels=1, sides=("h", "w"), output=1):
    """A made-up network of another program: 0.75 of its input `thermal` plus 0.25 of `photo`."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Mul", ["thermal", "a"], ["x"]),
        helper.make_node("Mul", ["photo", "b"], ["y"]),
        helper.make_node("Add", ["x", "y"], ["sum"]),
        helper.make_node("ReduceMean", ["sum", "axes"], ["out"])
        if output == 1
        else helper.make_node("Identity", ["sum"], ["out"]),
    ]
    constants = [
        helper.make_tensor("a", kind, [], [0.75]),
        helper.make_tensor("b", kind, [], [0.25]),
        helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [1]),
    ]
    inputs = [helper.make_tensor_value_info(name, kind, [1, channels, *sides]) for name in ("photo", "thermal")]
    outputs = [helper.make_tensor_value_info("out", kind, [1, output, *sides])]
    graph = helper.make_graph(nodes, "foreign", inputs, outputs, initializer=constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What `fusejax.load` takes, by its kind; a file is made when it is first asked for."""
    root = tmp_path_factory.mktemp("backends")

    @functools.cache
    def make(kind):
        if kind == "weights":
            save_weights(root / "w.safetensors", tiny_params(), TINY, {})
            return str(root / "w.safetensors")
        if kind == "exported":
            export_weights(make("weights"), root / "w.stablehlo", format="stablehlo")
            return str(root / "w.stablehlo")
        return f"{write_foreign(root / 'net.onnx')}:ir=thermal,vi=photo" if kind == "foreign" else "average"

    return make


KINDS = ("weights", pytest.param("exported", marks=pytest.mark.slow), "foreign", "rule")


def pair():
    made = synthetic_pair(3, size=SIZE)
    return made["ir"], made["vi"]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_loads_keeps_the_protocol(given, kind):
    backend = fusejax.load(given(kind))
    assert isinstance(backend, Backend)
    assert (
        backend.name
        == weights_name(given(kind))
        == {"weights": "w", "exported": "w", "foreign": "net", "rule": "average"}[kind]
    )
    assert backend.provenance
    rng = np.random.default_rng(0)
    ir, vi_y = rng.random((2, 2, *SIZE, 1), np.float32)
    fused = backend.fuse_luma(ir, vi_y)
    assert (fused.shape, fused.dtype) == (ir.shape, np.float32)
    assert fused.min() >= 0 and fused.max() <= 1
    np.testing.assert_allclose(fused[1:], backend.fuse_luma(ir[1:], vi_y[1:]), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_and_a_pickle_fuse_the_same(given, kind):
    backend = fusejax.load(given(kind))
    expected = backend.fuse(*pair())
    for again in (copy.deepcopy(backend), pickle.loads(pickle.dumps(backend))):
        assert again.name == backend.name
        np.testing.assert_array_equal(again.fuse(*pair()), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_takes_what_arrays_take(given, kind, tmp_path):
    ir, vi = pair()
    write_image(tmp_path / "ir" / "a.png", ir)
    write_image(tmp_path / "vi" / "a.png", vi)
    (path,) = fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=given(kind)).written
    np.testing.assert_array_equal(read_image(path), fusejax.fuse(ir, vi, weights=given(kind)))


def test_a_class_of_ones_own_needs_a_name_and_one_function(tmp_path):
    class Darker(Backend):
        name = "darker"

        def fuse_luma(self, ir, vi_y):
            return np.minimum(ir, vi_y)

    ir, vi = pair()
    vi_y = rgb_to_luma(vi.astype(np.float32) / 255)
    np.testing.assert_array_equal(Darker().fuse_pair(ir, vi).luma, np.minimum(ir / np.float32(255), vi_y))
    np.testing.assert_array_equal(fusejax.fuse(ir, vi, weights=Darker()), Darker().fuse(ir, vi))
    with pytest.raises(ValueError, match="darker has no maps"):
        Darker().fuse_pair(ir, vi, maps=True)
    with pytest.raises(TypeError, match="abstract"):
        type("Nothing", (Backend,), {"name": "nothing"})()


@pytest.mark.parametrize(("rule", "value"), [("average", 0.4), ("maximum", 0.6)])
def test_rules_are_what_their_names_say(rule, value):
    ir, vi_y = np.full((1, 2, 2, 1), 0.2, np.float32), np.full((1, 2, 2, 1), 0.6, np.float32)
    for module in (np, jnp):
        np.testing.assert_allclose(load(rule).fuse_luma(module.asarray(ir), module.asarray(vi_y)), value, rtol=1e-6)


def test_inside_a_transformation_the_network_is_a_pure_function():
    fuser = Fuser(tiny_params(), TINY)
    ir, vi_y = np.random.default_rng(1).random((2, 1, *SIZE, 1), np.float32)
    alone = fuser.fuse_luma(ir, vi_y)
    np.testing.assert_allclose(jax.jit(fuser.fuse_luma)(ir, vi_y), alone, atol=2e-6)
    many = jax.vmap(fuser.fuse_luma)(np.stack([ir, vi_y]), np.stack([vi_y, ir]))
    np.testing.assert_allclose(many[0], alone, atol=2e-6)

    def total(fuse):
        return lambda x: fuse(x, jnp.asarray(vi_y)).sum()

    def fused(*pair):
        return jnp.clip(fuser.model.apply({"params": fuser.params}, *pair), 0, 1)

    expected = jax.jit(jax.grad(total(fused)))(jnp.asarray(ir))
    np.testing.assert_allclose(jax.jit(jax.grad(total(fuser.fuse_luma)))(jnp.asarray(ir)), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def test_fusing_images_inside_a_transformation_is_refused_with_advice():
    fuser, (ir, vi) = Fuser(tiny_params(), TINY), pair()
    for transform in (jax.jit, jax.vmap):
        with pytest.raises(ValueError, match=r"ir is traced by a transformation of JAX.*fuse_luma, which is pure"):
            transform(fuser.fuse)(ir[None], vi[None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ir_range": (0, 1, 2)}, r"ir_range is \(0, 1, 2\)"),
        ({"ir_range": 5}, "ir_range is 5"),
        ({"bits": 12}, "bits is 12"),
        ({"bits": 0}, "bits is 0"),
    ],
)
def test_wrong_options_are_named(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Fuser(tiny_params(), TINY).fuse_pair(*pair(), **options)


def test_memory_is_a_number_of_bytes_or_a_text(unchecked):
    assert Fuser(tiny_params(), TINY, memory="2G").memory == 2**31
    assert Fuser(tiny_params(), TINY, memory=5_000_000).memory == 5_000_000
    for wrong in ("2 apples", 0, -1, 2.5, True):
        with pytest.raises(ValueError, match="memory is"):
            Fuser(tiny_params(), TINY, memory=wrong)


def test_a_foreign_file_gets_its_range_its_channels_and_its_padding(tmp_path):
    ir, vi_y = np.random.default_rng(1).random((2, 1, 5, 7, 1), np.float32)
    expected = 0.75 * ir + 0.25 * vi_y
    write_foreign(tmp_path / "gray.onnx")
    write_foreign(tmp_path / "color.onnx", channels=3, output=3)
    write_foreign(tmp_path / "fixed.onnx", sides=(8, 8))
    named = ":ir=thermal,vi=photo"
    for text in (
        f"gray.onnx{named}",
        f"gray.onnx{named},range=-1..1",
        f"color.onnx{named},output=out",
        f"fixed.onnx{named},multiple=8",
    ):
        np.testing.assert_allclose(load(f"{tmp_path}/{text}").fuse_luma(ir, vi_y), expected, atol=1e-6)
    swapped = load(f"{tmp_path}/gray.onnx:ir=photo,vi=thermal").fuse_luma(ir, vi_y)
    np.testing.assert_allclose(swapped, 0.25 * ir + 0.75 * vi_y, atol=1e-6)
    halved = load(f"{tmp_path}/gray.onnx{named},range=0..255,output_range=0..510").fuse_luma(ir, vi_y)
    np.testing.assert_allclose(halved, expected / 2, atol=1e-6)
    with pytest.raises(ValueError, match="fixed side of 8 pixels; the images are 7x5"):
        load(f"{tmp_path}/fixed.onnx{named}").fuse_luma(ir, vi_y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "not written by fusejax export.*ir=NAME,vi=NAME.*photo tensor.float.*thermal"),
        (":ir=thermal", "does not name the input vi"),
        (":ir=thermal,vi=photo,size=3", "'size=3'.*expected .*range=LOW..HIGH"),
        (":ir=thermal,vi=photo,range=255", "range is '255'; expected"),
        (":ir=infrared,vi=photo", "no input 'infrared'; it has: photo"),
        (":ir=thermal,vi=thermal", "further inputs.*photo"),
        (":ir=thermal,vi=photo,output=x", "no output 'x'; it has: out"),
        (":ir=thermal,vi=photo,range=1..0", "range is 1..0"),
    ],
)
def test_a_foreign_file_that_is_not_described_is_refused_with_its_inputs(tmp_path, options, message):
    write_foreign(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=message):
        load(f"{tmp_path}/net.onnx{options}")


def test_sizes_that_a_file_does_not_support_are_refused_before_any_work(tmp_path):
    write_foreign(tmp_path / "net.onnx", sides=(8, 8))
    ir, vi = pair()
    write_image(tmp_path / "ir" / "a.png", ir)
    write_image(tmp_path / "vi" / "a.png", vi)
    with pytest.raises(ValueError, match="fixed side of 8 pixels"):
        fuse_folder(
            tmp_path / "ir", tmp_path / "vi", tmp_path / "out", weights=f"{tmp_path}/net.onnx:ir=thermal,vi=photo"
        )
    assert not (tmp_path / "out").exists()


def test_names_do_not_depend_on_what_is_opened():
    assert [
        weights_name(x)
        for x in ("light", "a/w.safetensors", Path("b/run.v2"), "b/run@30", "c/n.onnx:ir=a,vi=b,range=0..1")
    ] == [
        "light",
        "w",
        "run.v2",
        "run@30",
        "n",
    ]


@pytest.mark.slow
def test_a_comparison_takes_what_fusing_takes(given, tmp_path):
    for n in range(2):
        made = synthetic_pair(n, size=(32, 40))
        for kind in ("ir", "vi"):
            write_image(tmp_path / "set" / kind / f"{n}.png", made[kind])
    weights = [given("exported"), given("foreign"), given("rule")]
    (compared,) = compare_methods(tmp_path, ["set"], tmp_path / "out", weights=weights)
    names = ["w", "net", "average"]
    assert [list(scores.methods)[:3] for scores in compared.scores] == [names] * len(compared.scores)
    fused = read_image(compared.fused["net"]["0"])
    one = [read_image(tmp_path / "set" / kind / "0.png") for kind in ("ir", "vi")]
    np.testing.assert_array_equal(fused, fusejax.fuse(*one, weights=given("foreign")))
