"""A network with its parameters as an ONNX model."""

import onnx

from fusejax.export.onnx_graph import OnnxGraph
from fusejax.export.onnx_networks import WRITERS
from fusejax.models.config import ModelConfig
from fusejax.models.networks import build
from fusejax.ops.color import CHROMA_FLOOR, CHROMA_GAIN, LUMA_WEIGHTS
from fusejax.typing import Params


def write_onnx(
    params: Params,
    config: ModelConfig,
    *,
    size: tuple[int, int] | None = None,
    half: bool = False,
    color: bool = False,
    strength: bool = False,
) -> onnx.ModelProto:
    """Builds a graph from `ir`, `vi` to `fused`, [b, c, h, w] in [0, 1], including padding and
    crop.

    Args:
        params: parameters of the network.
        config: configuration of the network.
        size: fixed (height, width); None leaves both free, from 1 up.
        half: store weights as float16.
        color: whether `vi` and `fused` are RGB instead of luma.
        strength: whether there is a third input `strength`, a number that is 1 if left out.

    Raises:
        ValueError: if the configuration computes in a type other than float32, or if nobody has
            written the network as a graph.
    """
    if (dtype := getattr(config, "dtype", "float32")) != "float32":
        raise ValueError(f"The network computes in {dtype}; ONNX export supports only float32.")
    if type(config) not in WRITERS:
        raise ValueError(
            f"{type(config).__name__} has no ONNX writer; those that have: "
            f"{', '.join(kind.__name__ for kind in WRITERS)}. Add one to WRITERS in fusejax/export/onnx_networks.py, "
            "or export with --format stablehlo, which needs none."
        )
    graph = OnnxGraph(half=half)
    vi_y = graph.convolve("vi", LUMA_WEIGHTS[None, None, :, None]) if color else "vi"
    multiple = build(config).multiple
    sources = [graph.extend_to_multiple(x, multiple) if multiple > 1 else x for x in ("ir", vi_y)]
    fused = WRITERS[type(config)](graph, params, config, *sources)
    if multiple > 1:
        fused = graph.crop_like(fused, "ir")
    limits = graph.constant(0.0), graph.constant(1.0)
    fused = graph.add("Clip", fused, *limits)
    if strength:
        step = graph.add("Mul", graph.add("Sub", fused, vi_y), "strength")
        fused = graph.add("Clip", graph.add("Add", vi_y, step), *limits)
    if color:
        graph.add("Clip", _recolor(graph, fused, vi_y), *limits)
    sides = size or ("height", "width")
    channels = 3 if color else 1
    inputs: dict[str, tuple[int | str, ...]] = {"ir": ("batch", 1, *sides), "vi": ("batch", channels, *sides)}
    defaults = {"strength": 1.0} if strength else {}
    return graph.model(inputs, ("fused", ("batch", channels, *sides)), defaults=defaults)


def _recolor(graph: OnnxGraph, fused: str, vi_y: str) -> str:
    """`fusejax.ops.color.recolor` of the input `vi`."""
    floor, most, one, tiny = (graph.constant(x) for x in (CHROMA_FLOOR, CHROMA_GAIN, 1.0, 1e-6))
    gain = graph.add("Div", graph.add("Add", fused, floor), graph.add("Add", vi_y, floor))
    chroma = graph.add("Mul", graph.add("Sub", "vi", vi_y), graph.add("Min", gain, most))
    longest = graph.add("ReduceMax", chroma, graph.ints(1))
    shortest = graph.add("Neg", graph.add("ReduceMin", chroma, graph.ints(1)))
    above = graph.add("Div", longest, graph.add("Max", graph.add("Sub", one, fused), tiny))
    below = graph.add("Div", shortest, graph.add("Max", fused, tiny))
    return graph.add("Add", fused, graph.add("Div", chroma, graph.add("Max", above, below, one)))
