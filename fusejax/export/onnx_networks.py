"""The networks as ONNX graphs: one function per network, from parameters and luma to fused luma."""

import functools
from collections.abc import Callable

import numpy as np

from fusejax.export import onnx_blocks as blocks
from fusejax.export.onnx_graph import OnnxGraph
from fusejax.models.config import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig

Tree = blocks.Tree


def angularfuse(graph: OnnxGraph, p: Tree, config: AngularFuseConfig, ir: str, vi_y: str) -> str:
    """`fusejax.models.AngularFuse`; sides are multiples of 2 ** (levels - 1)."""
    levels = len(config.widths)

    def block(name: str, level: int, *inputs: str) -> str:
        # Only at the coarsest level can a side be a single pixel.
        return _restormer_cnn(graph, p[name], config.heads_at(config.widths[level]), level == levels - 1, *inputs)

    streams = {"shared": [ir, vi_y]} if config.shared_encoder else {"ir": [ir], "vi": [vi_y]}
    features = []
    for n in range(levels):
        if n:
            streams = {k: [blocks.conv(graph, p[f"{k}_down{n}"], *x, stride=2)] for k, x in streams.items()}
        streams = {k: [block(f"{k}_encoder{n + 1}", n, *x)] for k, x in streams.items()}
        encoded = [x for (x,) in streams.values()]
        features.append(encoded[0] if config.shared_encoder else block(f"fusion{n + 1}", n, *encoded))
    y = block(f"decoder{levels}", levels - 1, features[-1])
    for n in range(levels - 2, -1, -1):
        up = graph.add("Relu", blocks.upsample_conv(graph, p[f"up{n + 1}"], y))
        y = block(f"decoder{n + 1}", n, up, features[n])
    return graph.add("Sigmoid", blocks.conv(graph, p["head"], y, tiny=levels == 1))


def _restormer_cnn(graph: OnnxGraph, p: Tree, heads: int, tiny: bool, *inputs: str) -> str:
    x = blocks.conv(graph, p["embed"], blocks.concat(graph, *inputs), tiny=tiny)
    if "attention" not in p:
        for n in range(sum(name.startswith("local") for name in p)):
            x = blocks.residual_convs(graph, p[f"local{n + 1}"], x, tiny=tiny)
        return blocks.conv(graph, p["merge"], x, tiny=tiny)
    normed = blocks.layer_norm(graph, p["norm1"], x)
    y = graph.residual(x, blocks.attention(graph, p["attention"], normed, heads=heads))
    normed = blocks.layer_norm(graph, p["norm2"], y)
    y = graph.residual(y, blocks.feed_forward(graph, p["feed_forward"], normed, padding="reflect", tiny=tiny))
    for n in range(sum(name.startswith("local") for name in p)):
        x = blocks.residual_convs(graph, p[f"local{n + 1}"], x, tiny=tiny)
    return blocks.conv(graph, p["merge"], blocks.concat(graph, y, x), tiny=tiny)


def crossfuse(graph: OnnxGraph, p: Tree, config: CrossFuseConfig, ir: str, vi_y: str) -> str:
    """`fusejax.models.CrossFuse`.

    Raises:
        ValueError: if one of its paths is left out or exchanged, as in ablations.
    """
    if config.paths != "both":
        raise ValueError(f"CrossFuse with paths {config.paths!r} has no ONNX form; export stablehlo instead.")
    base_ir, detail_ir = _crossfuse_encoder(graph, p["encoder"], config, ir)
    base_vi, detail_vi = _crossfuse_encoder(graph, p["encoder"], config, vi_y)
    base = _transformer(graph, p["base_fusion"], config, graph.add("Add", base_ir, base_vi))
    detail = _short_scale(graph, p["detail_fusion"], 1, graph.add("Add", detail_ir, detail_vi))
    p = p["decoder"]
    x = blocks.pointwise(graph, p["reduce"], blocks.concat(graph, base, detail))
    for n in range(config.decoder_blocks):
        x = _transformer(graph, p[f"block{n + 1}"], config, x, is_depthwise=True)
    x = graph.add("LeakyRelu", blocks.conv(graph, p["head1"], x, padding="constant"), alpha=0.01)
    return graph.add("Sigmoid", graph.residual(blocks.conv(graph, p["head2"], x, padding="constant"), vi_y))


def _crossfuse_encoder(graph: OnnxGraph, p: Tree, config: CrossFuseConfig, y: str) -> tuple[str, str]:
    x = blocks.conv(graph, p["embed"], y, padding="constant")
    for n in range(config.encoder_blocks):
        x = _transformer(graph, p[f"block{n + 1}"], config, x, is_depthwise=True)
    return _transformer(graph, p["base"], config, x), _short_scale(graph, p["detail"], config.coupling_layers, x)


def _transformer(graph: OnnxGraph, p: Tree, config: CrossFuseConfig, x: str, *, is_depthwise: bool = False) -> str:
    """`RestormerBlock` if depthwise, otherwise `LongScale`."""
    normed = blocks.layer_norm(graph, p["norm1"], x)
    y = blocks.attention(graph, p["attention"], normed, heads=config.heads, is_depthwise=is_depthwise)
    x = graph.residual(x, y)
    normed = blocks.layer_norm(graph, p["norm2"], x)
    y = blocks.feed_forward(graph, p["feed_forward"], normed, padding="constant", is_depthwise=is_depthwise)
    return graph.residual(x, y)


def _short_scale(graph: OnnxGraph, p: Tree, layers: int, x: str) -> str:
    for n in range(layers):
        part = p[f"coupling{n + 1}"]
        z1, z2 = graph.add_many("Split", 2, blocks.pointwise(graph, part["mix"], x), axis=1, num_outputs=2)
        z2 = graph.residual(z2, _coupling_branch(graph, part["phi"], z1))
        grown = graph.add("Mul", z1, graph.add("Exp", _coupling_branch(graph, part["rho"], z2)))
        x = blocks.concat(graph, graph.residual(grown, _coupling_branch(graph, part["eta"], z2)), z2)
    return x


def _coupling_branch(graph: OnnxGraph, p: Tree, x: str) -> str:
    limits = graph.constant(0.0), graph.constant(6.0)
    y = graph.add("Clip", blocks.pointwise(graph, p["expand"], x), *limits)
    y = graph.add("Clip", blocks.depthwise(graph, p["mix"], y, padding="reflect"), *limits)
    return blocks.pointwise(graph, p["reduce"], y)


def fusionnet(graph: OnnxGraph, p: Tree, config: FusionNetConfig, ir: str, vi_y: str) -> str:
    """`fusejax.models.FusionNet`; sides are even.

    Raises:
        ValueError: if it has no attention or a fixed alpha, as in ablations.
    """
    if not config.attention or config.fixed_alpha is not None:
        raise ValueError("FusionNet without attention or alpha map has no ONNX form; export stablehlo instead.")
    (ir_skip, ir_half), (vi_skip, vi_half) = (
        _fusionnet_encoder(graph, p[f"{kind}_encoder"], len(config.widths) - 1, x)
        for kind, x in (("ir", ir), ("vi", vi_y))
    )
    ir_half, vi_half = _modality_attention(graph, p["attention"], ir_half, vi_half)
    hidden = graph.add("Relu", blocks.conv(graph, p["alpha"]["mix"], blocks.concat(graph, ir_half, vi_half), tiny=True))
    alpha = graph.add("Sigmoid", blocks.conv(graph, p["alpha"]["logit"], hidden, tiny=True))
    full_alpha, p = graph.upsample(alpha, 2), p["decoder"]
    x = _blend(graph, alpha, ir_half, vi_half)
    for n in range(2):
        x = blocks.residual_convs(graph, p[f"block{n + 1}"], x, tiny=True)
    skip = _blend(graph, full_alpha, ir_skip, vi_skip)
    x = blocks.conv(graph, p["merge"], blocks.concat(graph, graph.upsample(x, 2), skip))
    decoded = blocks.conv(graph, p["out"], blocks.residual_convs(graph, p["block3"], x))
    if config.image_space_alpha:
        return graph.residual(_blend(graph, full_alpha, ir, vi_y), decoded)
    return graph.add("Sigmoid", decoded)


def _fusionnet_encoder(graph: OnnxGraph, p: Tree, half_blocks: int, y: str) -> tuple[str, str]:
    skip = blocks.residual_convs(graph, p["block1"], blocks.conv(graph, p["stem"], y))
    x = blocks.conv(graph, p["down"], skip, stride=2)
    for n in range(half_blocks):
        x = blocks.residual_convs(graph, p[f"block{n + 2}"], x, tiny=True)
    return skip, x


def _modality_attention(graph: OnnxGraph, p: Tree, ir: str, vi: str) -> list[str]:
    both = blocks.concat(graph, ir, vi)
    hidden = graph.add("Relu", blocks.pointwise(graph, p["mix"], both))
    weights = graph.add("Softmax", blocks.conv(graph, p["logits"], hidden, tiny=True), axis=1)
    factors = graph.add_many("Split", 2, graph.add("Add", weights, graph.constant(1.0)), axis=1, num_outputs=2)
    attended = [graph.add("Mul", x, factor) for x, factor in zip((ir, vi), factors, strict=True)]
    if "gate_squeeze" not in p:
        return attended
    squeezed = blocks.pointwise(graph, p["gate_squeeze"], graph.add("GlobalAveragePool", both))
    gates = graph.add("Sigmoid", blocks.pointwise(graph, p["gate_expand"], graph.add("Relu", squeezed)))
    parts = graph.add_many("Split", 2, gates, axis=1, num_outputs=2)
    return [graph.add("Mul", x, gate) for x, gate in zip(attended, parts, strict=True)]


def _blend(graph: OnnxGraph, alpha: str, ir: str, vi: str) -> str:
    """alpha * ir + (1 - alpha) * vi."""
    return graph.add("Add", vi, graph.add("Mul", alpha, graph.add("Sub", ir, vi)))


def light(graph: OnnxGraph, p: Tree, config: LightConfig, ir: str, vi_y: str) -> str:
    """`fusejax.models.Light`, sides multiples of the cell."""
    maps = _steering(graph, p, config, config.cell, ir, vi_y)
    if config.coarse_cell:
        maps = graph.add("Add", maps, _steering(graph, p["coarse"], config, config.coarse_cell, ir, vi_y))
    share, guide, ir_gain, vi_gain, offset = graph.add_many("Split", 5, maps, axis=1, num_outputs=5)
    difference = graph.add("Sub", ir, vi_y)
    if config.contrast_guide:
        slope = graph.add("Mul", graph.add("Add", guide, graph.constant(1.0)), graph.constant(10.0))
        share = graph.add("Add", share, graph.add("Mul", slope, difference))
    blend = graph.add("Mul", graph.add("Sigmoid", share), difference)
    fused = graph.residual(vi_y, blend, _bounded(graph, offset, config.offset))
    if config.detail:
        # Blurs both at once: onnxruntime needs the same time for two channels as for one.
        gains = _bounded(graph, blocks.concat(graph, ir_gain, vi_gain), config.detail)
        details = graph.add("Mul", gains, _fine(graph, blocks.concat(graph, ir, vi_y)))
        fused = graph.residual(fused, *graph.add_many("Split", 2, details, axis=1, num_outputs=2))
    return fused


def _steering(graph: OnnxGraph, p: Tree, config: LightConfig, cell: int, ir: str, vi_y: str) -> str:
    """`fusejax.models.light.steer`: the five coefficients per pixel as channels."""
    conv = _separable if config.depthwise else functools.partial(blocks.conv, tiny=True)
    half = graph.constant(0.5)
    cells = [graph.add("SpaceToDepth", graph.add("Sub", x, half), blocksize=cell) for x in (ir, vi_y)]
    x = graph.add("Relu", blocks.conv(graph, p["stem"], blocks.concat(graph, *cells), tiny=True))
    for n in range(config.blocks):
        part = p[f"block{n + 1}"]
        y = conv(graph, part["conv1"], x)
        if config.pooled:
            y = graph.add("Add", y, blocks.pointwise(graph, part["pool"], graph.add("GlobalAveragePool", x)))
        x = graph.residual(x, conv(graph, part["conv2"], graph.add("Relu", y)))
    return graph.upsample(blocks.conv(graph, p["coefficients"], x, tiny=True), cell)


def _separable(graph: OnnxGraph, p: Tree, x: str) -> str:
    """`fusejax.models.light.SeparableConv3x3`."""
    return blocks.pointwise(graph, p["channels"], blocks.depthwise(graph, p["spatial"], x, padding="reflect"))


def _bounded(graph: OnnxGraph, x: str, limit: float) -> str:
    return graph.add("Mul", graph.add("Tanh", x), graph.constant(limit))


def _fine(graph: OnnxGraph, x: str) -> str:
    """Two channels minus their 5x5 binomial blur, with borders repeated."""
    taps = np.tile(np.array([1, 4, 6, 4, 1], np.float32)[:, None, None, None] / 16, (1, 1, 1, 2))
    rows = graph.convolve(x, taps, padding="edge", groups=2)
    return graph.add("Sub", x, graph.convolve(rows, taps.swapaxes(0, 1), padding="edge", groups=2))


WRITERS: dict[type, Callable[..., str]] = {
    AngularFuseConfig: angularfuse,
    CrossFuseConfig: crossfuse,
    FusionNetConfig: fusionnet,
    LightConfig: light,
}
