"""ONNX graphs against independent networks in float64, since float32 would hide differences."""

import fusionnet_reference
import numpy as np
import pytest
from test_export import SMALL, draw_params

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from fusejax.export.onnx_file import write_onnx  # noqa: E402 - needs the extra


def unclipped_in_float64(model):
    """The model with float64 constants and without its last step, for the evaluator of ONNX."""
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float64), tensor.name))
    clip = model.graph.node.pop()
    assert clip.op_type == "Clip"
    model.graph.output[0].name = clip.input[0]
    return model


# At 0.3 the image that FusionNet blends has values in the hundreds before it is clipped. There
# float32 differs from float64 by more than 1e-4, in JAX as in ONNX, so `fusejax export` refuses the
# file; the graph is nevertheless correct.
@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.15, 0.3])
def test_fusionnet_equals_its_reference_in_float64(scale, say):
    from onnx.reference import ReferenceEvaluator

    config, rng = SMALL["fusionnet"], np.random.default_rng(0)
    params, (ir, vi) = draw_params(config, scale), rng.random((2, 1, 17, 10, 1))
    expected, _ = fusionnet_reference.fuse(params, config, ir, vi)
    model = unclipped_in_float64(write_onnx(params, config))
    feed = {k: x.transpose(0, 3, 1, 2) for k, x in {"ir": ir, "vi": vi}.items()}
    found = np.asarray(ReferenceEvaluator(model).run(None, feed)[0]).transpose(0, 2, 3, 1)
    assert found.dtype == np.float64
    largest = np.abs(expected).max()
    say(f"scale {scale}: {np.abs(found - expected).max() / largest:.1e} of {largest:.3g}")
    np.testing.assert_allclose(found, expected, atol=1e-12 * largest)
