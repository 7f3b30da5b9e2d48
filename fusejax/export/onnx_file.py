"""A network with its parameters as an ONNX model."""

import onnx

from fusejax.export.onnx_graph import OnnxGraph
from fusejax.export.onnx_networks import WRITERS
from fusejax.models.config import ModelConfig
from fusejax.models.networks import build
from fusejax.ops.color import LUMA_WEIGHTS
from fusejax.typing import Params


def write_onnx(
    params: Params,
    config: ModelConfig,
    *,
    size: tuple[int, int] | None = None,
    half: bool = False,
    color: bool = False,
) -> onnx.ModelProto:
    """Builds a graph from `ir`, `vi` to `fused`, [b, c, h, w] in [0, 1], including padding and
    crop.

    Args:
        params: parameters of the network.
        config: configuration of the network.
        size: fixed (height, width); None leaves both free, from 1 up.
        half: store weights as float16.
        color: whether `vi` and `fused` are RGB instead of luma.

    Raises:
        ValueError: if the configuration computes in a type other than float32.
    """
    if (dtype := getattr(config, "dtype", "float32")) != "float32":
        raise ValueError(f"The network computes in {dtype}; ONNX export supports only float32.")
    graph = OnnxGraph(half=half)
    vi_y = graph.convolve("vi", LUMA_WEIGHTS[None, None, :, None]) if color else "vi"
    multiple = build(config).multiple
    sources = [graph.extend_to_multiple(x, multiple) if multiple > 1 else x for x in ("ir", vi_y)]
    fused = WRITERS[type(config)](graph, params, config, *sources)
    if multiple > 1:
        fused = graph.crop_like(fused, "ir")
    limits = graph.constant(0.0), graph.constant(1.0)
    if color:
        # Adding the same value to red, green and blue changes luma but not chroma.
        fused = graph.add("Clip", fused, *limits)
        fused = graph.add("Add", "vi", graph.add("Sub", fused, vi_y))
    graph.add("Clip", fused, *limits)
    sides = size or ("height", "width")
    channels = 3 if color else 1
    inputs: dict[str, tuple[int | str, ...]] = {"ir": ("batch", 1, *sides), "vi": ("batch", channels, *sides)}
    return graph.model(inputs, ("fused", ("batch", channels, *sides)))
