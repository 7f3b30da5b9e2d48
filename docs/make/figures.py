"""Draws, for every loss term and metric, what it rewards and its gradient, on a made-up pair."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import optax

import fusejax
from fusejax.data.synthetic import synthetic_pair
from fusejax.losses import ObjectiveConfig, Progress, TermConfig, evaluate_objective
from fusejax.losses.objective import term_needs
from fusejax.metrics import CONVENTIONS, higher_is_better, merit
from fusejax.ops.color import rgb_to_luma

mpl.use("Agg")

import matplotlib.pyplot as plt

# Inputs that an image has without a network.
OF_IMAGES = {"fused_y", "ir", "vi_y", "reference", "resolved", "mask", "key"}
STEPS = 200
SIZE = 176, 208  # MS-SSIM needs sides of at least 161
_ADAM = optax.adam(0.01)


@functools.cache
def scene() -> dict[str, Any]:
    """A made-up night street: luma [1, h, w, 1] in [0, 1], RGB, and boxes of its people."""
    pair = synthetic_pair(1, size=SIZE)
    ir, vi = jnp.asarray(pair["ir"][None] / 255, jnp.float32), jnp.asarray(pair["vi"][None] / 255, jnp.float32)
    vi_y = rgb_to_luma(vi)
    boxes = jnp.asarray(pair["boxes"], jnp.float32)[None]
    return {"ir": ir, "vi_y": vi_y, "vi": vi, "boxes": boxes, "boxes_valid": jnp.ones(boxes.shape[:2], bool)}


@functools.cache
def candidates() -> dict[str, Any]:
    """Images to be scored, luma [1, h, w, 1] in [0, 1]."""
    pair = scene()
    ir, vi_y = pair["ir"], pair["vi_y"]
    light = fusejax.load("light").fuse(np.asarray(ir), np.asarray(vi_y), ir_range="full")
    noise = 0.08 * jax.random.normal(jax.random.key(0), ir.shape)
    return {
        "infrared": ir,
        "visible": vi_y,
        "average": (ir + vi_y) / 2,
        "maximum": jnp.maximum(ir, vi_y),
        "light": jnp.asarray(light).reshape(ir.shape),
        "average + noise": jnp.clip((ir + vi_y) / 2 + noise, 0, 1),
    }


def draw(panels: list[tuple[str, Any, str]], path: Path, columns: int) -> None:
    """Writes panels (title, values [h, w], "gray" or "signed") as one PNG."""
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.5 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, values, kind) in zip(axes.flat, panels, strict=False):
        top = 1.0 if kind == "gray" else float(np.percentile(np.abs(values), 99)) or 1.0
        low, colors = (0.0, "gray") if kind == "gray" else (-top, "RdBu_r")
        axis.imshow(values, cmap=colors, vmin=low, vmax=top, interpolation="nearest")
        axis.set_title(title, fontsize=9)
    figure.savefig(path, dpi=80)
    plt.close(figure)


@jax.jit
def _follow(fused: Any, state: Any, slope: Any) -> Any:
    updates, state = _ADAM.update(slope, state)
    return jnp.clip(optax.apply_updates(fused, updates), 0, 1), state


def plane(x: Any) -> np.ndarray:
    """The image [h, w] of an array [1, h, w, 1]."""
    return np.asarray(x)[0, ..., 0]


def draw_loss(name: str, path: Path) -> str | None:
    """Draws a term; returns why not if it needs more than images.

    The image that it rewards is found by Adam on the pixels of F, from the average of the sources.
    """
    if missing := [need for need in term_needs(name) if need not in OF_IMAGES]:
        return f"It needs {', '.join(missing)} of a network, so no image alone has a value."
    pair = {name: scene()[name] for name in ("ir", "vi_y", "boxes", "boxes_valid")}
    objective = ObjectiveConfig((TermConfig(name),))

    # The pair is an argument, since XLA would spend minutes on computing with constants.
    def value(fused: Any, pair: Any) -> Any:
        given = {**pair, "fused_y": fused, "key": jax.random.key(0)}
        return evaluate_objective(objective, given, Progress(0, 0, 1.0))[0].sum()

    start = (pair["ir"] + pair["vi_y"]) / 2
    gradient = jax.jit(jax.value_and_grad(value))  # the only program of this term
    first, slope = gradient(start, pair)
    fused, state = start, _ADAM.init(start)
    for _ in range(STEPS):
        fused, state = _follow(fused, state, gradient(fused, pair)[1])
    last = float(gradient(fused, pair)[0])
    panels = [
        ("infrared I", plane(pair["ir"]), "gray"),
        ("visible V", plane(pair["vi_y"]), "gray"),
        (f"average, {float(first):.3f}", plane(start), "gray"),
        (f"{STEPS} steps down, {last:.3f}", plane(fused), "gray"),
        ("-dL/dF at the average", -plane(slope), "signed"),
    ]
    draw(panels, path, columns=5)
    return None


def draw_metric(name: str, path: Path) -> str:
    """Draws what a metric thinks of candidates, and its gradient; returns a sentence on it."""
    pair, images = scene(), candidates()
    exact = CONVENTIONS["exact"]
    metric: Callable = exact.metrics[name]

    # It runs seven times, so that compiling is what takes time.
    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def value_and_slope(fused: Any, ir: Any, vi_y: Any) -> Any:
        return jax.value_and_grad(lambda f: metric(f, ir, vi_y).sum())(fused)

    sources = pair["ir"], pair["vi_y"]
    scores = {title: float(value_and_slope(image, *sources)[0]) for title, image in images.items()}
    ranked = [list(scores)[n] for n in np.argsort(-merit(name, np.array(list(scores.values()))), kind="stable")]
    panels = [(f"{place + 1}. {t}, {scores[t]:.4g}", plane(images[t]), "gray") for place, t in enumerate(ranked)]
    slope = value_and_slope(images["average"], *sources)[1]
    best = f"Best of the six here: {ranked[0]}; worst: {ranked[-1]}."
    if not np.isfinite(slope).all() or not np.any(np.asarray(slope)):
        draw(panels, path, columns=3)
        return f"{best} It counts gray levels, so its gradient is zero; it cannot be a training term as it is."
    sign = 1 if higher_is_better(name) else -1
    panels.append(("toward better, at the average", sign * plane(slope), "signed"))
    draw(panels, path, columns=4)
    return best
