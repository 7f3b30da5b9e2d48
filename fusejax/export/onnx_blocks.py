"""Blocks shared by the networks, as ONNX nodes: counterparts of `fusejax.models.layers`.

Parameters are the nested dicts of the JAX modules. Consecutive linear layers are multiplied
together in advance, in float64, which changes the result only by rounding.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from fusejax.export.onnx_graph import Kernel, OnnxGraph, Padding

Tree = dict[str, Any]


def conv(
    graph: OnnxGraph, p: Tree, x: str, *, padding: Padding = "reflect", stride: int = 1, tiny: bool = False
) -> str:
    """`Conv3x3` of one input."""
    return graph.convolve(x, p["kernel"], p.get("bias"), padding=padding, stride=stride, tiny=tiny)


def pointwise(graph: OnnxGraph, p: Tree, x: str) -> str:
    """`Pointwise`."""
    return graph.convolve(x, p["kernel"][None, None], p.get("bias"))


def depthwise(graph: OnnxGraph, p: Tree, x: str, *, padding: Padding = "constant") -> str:
    """`DepthwiseConv3x3` of one input; for `reflect`, sides of one pixel are allowed."""
    return graph.convolve(x, p["kernel"], padding=padding, groups=p["kernel"].shape[-1], tiny=True)


def concat(graph: OnnxGraph, *inputs: str) -> str:
    """Concatenates along the channels."""
    return graph.add("Concat", *inputs, axis=1) if len(inputs) > 1 else inputs[0]


def layer_norm(graph: OnnxGraph, p: Tree, x: str) -> str:
    """`LayerNorm` over the channels."""
    x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
    x = graph.add("LayerNormalization", x, graph.weight(p["scale"]), graph.weight(p["bias"]), axis=-1, epsilon=1e-5)
    return graph.add("Transpose", x, perm=[0, 3, 1, 2])


def attention(graph: OnnxGraph, p: Tree, x: str, *, heads: int, is_depthwise: bool = False) -> str:
    """`ChannelAttention`.

    The output projection is applied to the small attention matrix instead of to all pixels. With
    one channel per head the softmax is always 1, so queries and keys are omitted.
    """
    width = p["out"]["kernel"].shape[0]
    if width == heads and not is_depthwise:
        _, _, value = np.split(_compose(p["qkv"]["kernel"], p["qkv_mix"]["kernel"]), 3, axis=-1)
        return graph.convolve(x, _chain(value, p["out"]["kernel"]), padding="constant")
    if is_depthwise:
        mixed = depthwise(graph, p["qkv_mix"], pointwise(graph, p["qkv"], x))
    else:
        mixed = graph.convolve(x, _compose(p["qkv"]["kernel"], p["qkv_mix"]["kernel"]), padding="constant")
    parts = graph.add_many("Split", 3, mixed, axis=1, num_outputs=3)
    q, k, v = (graph.add("Reshape", t, graph.ints(0, 0, -1)) for t in parts)
    logits = graph.add("MatMul", q, graph.add("Transpose", k, perm=[0, 2, 1]))
    logits = graph.add("Mul", logits, _inverse_norm(graph, q))
    logits = graph.add("Mul", logits, graph.add("Transpose", _inverse_norm(graph, k), perm=[0, 2, 1]))
    logits = graph.add("Mul", logits, graph.weight(np.repeat(p["scale"], width // heads)[:, None]))
    same_head = np.kron(np.eye(heads), np.ones((width // heads,) * 2)).astype(bool)
    logits = graph.add("Add", logits, graph.constant(np.where(same_head, 0.0, -1e30)))
    matrix = graph.add("MatMul", graph.weight(p["out"]["kernel"].T), graph.add("Softmax", logits, axis=-1))
    return graph.add("Reshape", graph.add("MatMul", matrix, v), graph.add("Shape", x))


def _inverse_norm(graph: OnnxGraph, x: str) -> str:
    """1 / max(|x|, 1e-12) over the pixels of [b, c, n]: [b, c, 1]."""
    squares = graph.add("ReduceSumSquare", x, graph.ints(2))
    return graph.add("Reciprocal", graph.add("Sqrt", graph.add("Max", squares, graph.constant(1e-24))))


def feed_forward(
    graph: OnnxGraph, p: Tree, x: str, *, padding: Padding, is_depthwise: bool = False, tiny: bool = False
) -> str:
    """`GatedFeedForward`."""
    if is_depthwise:
        mixed = depthwise(graph, p["mix"], pointwise(graph, p["expand"], x), padding=padding)
    else:
        kernel = _compose(p["expand"]["kernel"], _dense_pairs(p["mix"]["kernel"]))
        mixed = graph.convolve(x, kernel, padding=padding, tiny=tiny)
    gate, value = graph.add_many("Split", 2, mixed, axis=1, num_outputs=2)
    return pointwise(graph, p["reduce"], graph.add("Mul", graph.add("Gelu", gate), value))


def residual_convs(graph: OnnxGraph, p: Tree, x: str, *, tiny: bool = False) -> str:
    """`ResidualConvs`."""
    y = graph.add("Relu", conv(graph, p["conv1"], x, tiny=tiny))
    return graph.residual(x, conv(graph, p["conv2"], y, tiny=tiny))


def upsample_conv(graph: OnnxGraph, p: Tree, x: str) -> str:
    """`UpsampleConv`: one 3x3 convolution computes all four pixels of a cell."""
    kernel = p["kernel"]
    spread = np.zeros((3, 3, *kernel.shape[2:], 2, 2), kernel.dtype)
    for i in range(2):
        for j in range(2):
            spread[i : i + 2, j : j + 2, :, :, i, j] = kernel[3 - i :: -2, 3 - j :: -2]
    x = graph.convolve(x, spread.reshape(3, 3, kernel.shape[2], -1), padding="constant")
    return graph.add("DepthToSpace", x, blocksize=2, mode="CRD")


def _compose(pointwise_kernel: np.ndarray, kernel: Kernel) -> Float[np.ndarray, "kh kw i o"]:
    """One kernel for a 1x1 convolution without bias followed by another convolution."""
    return np.einsum("im,hwmo->hwio", pointwise_kernel.astype(np.float64), kernel).astype(np.float32)


def _chain(kernel: Kernel, pointwise_kernel: np.ndarray) -> Kernel:
    """One kernel for a convolution followed by a 1x1 convolution without bias."""
    return np.einsum("hwim,mo->hwio", kernel.astype(np.float64), pointwise_kernel).astype(np.float32)


def _dense_pairs(kernel: np.ndarray) -> Kernel:
    """The kernel of `PairedConv3x3`, [3, 3, 2, c], over all channels."""
    groups = kernel.shape[-1] // 2
    return np.tile(kernel, (1, 1, groups, 1)) * np.kron(np.eye(groups), np.ones((2, 2)))
