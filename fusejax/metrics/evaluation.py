"""Scoring of batches: one compiled call for all metrics of a convention."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from fusejax.metrics.conventions import CONVENTIONS, USUAL, Convention, luma
from fusejax.metrics.table import METRICS
from fusejax.ops.arrays import unit_image
from fusejax.ops.backend import by_platform
from fusejax.ops.numerics import isolate_on_cpu, quantize, sum_arrays
from fusejax.options import did_you_mean
from fusejax.typing import Luma, PerImage


def evaluate(
    fused: Any, ir: Any, vi: Any, *, convention: str = "exact", metrics: Sequence[str] | None = None
) -> dict[str, Float[Array, "*images"]]:
    """Scores fused images in one compiled call.

    Accepts everything that `fusejax.fuse` accepts and returns: NumPy and JAX arrays, lists and PIL
    images, as uint8, uint16 or float in [0, 1]. Values are scaled only by the range of their type:
    raw thermal values must first be mapped to [0, 1], in the same way as for fusing.

    Args:
        fused: [h, w], [h, w, 1] or [h, w, 3]; a batch of them, [b, h, w, c]; or [m, b, h, w, c] for
            m methods on the same pairs, which computes quantities of the sources only once.
        ir: infrared images of the same size; for RGB, the luma is used.
        vi: visible images of the same size, gray or RGB. The convention determines how color is
            converted to gray.
        convention: name of a convention in `CONVENTIONS`.
        metrics: names of metrics that the convention defines; by default those of the usual nine
            that it defines, or all if it defines none of them (`look`).

    Returns:
        Values by metric name: one per image, [b] or [m, b], or a scalar if there is no batch axis.
        Values are NaN where a metric is undefined (`undefined_reason`); this is never an error.

    Raises:
        ValueError: for unequal sizes, values that are not an image, an unknown convention, or
            metrics that the convention does not define.

    Example:
        >>> import numpy as np
        >>> ir, vi = np.zeros((32, 40), np.uint8), np.full((32, 40, 3), 255, np.uint8)
        >>> scores = evaluate(vi, ir, vi, metrics=["SD", "MSE"])
        >>> {name: float(value) for name, value in scores.items()}
        {'MSE': 32512.5, 'SD': 0.0}
    """
    names = chosen_metrics(convention, metrics)
    fused, ir, vi = (jnp.asarray(unit_image(x, name)) for x, name in ((fused, "fused"), (ir, "ir"), (vi, "vi")))
    ir = luma(ir) if ir.shape[-1] == 3 else ir
    _check_sizes(fused, ir, vi)
    if fused.ndim > 3:
        with _own_rules():
            return score_arrays(fused, ir, vi, convention=convention, metrics=names)
    with _own_rules():
        values = score_arrays(fused[None], ir[None], vi[None], convention=convention, metrics=names)
        return {name: value[0] for name, value in values.items()}


@contextlib.contextmanager
def _own_rules() -> Iterator[None]:
    """Strict modes of JAX are off: undefined values are NaN, which is no error here."""
    with jax.numpy_rank_promotion("allow"), jax.debug_nans(False), jax.debug_infs(False):
        yield


def chosen_metrics(convention: str, metrics: Sequence[str] | None) -> tuple[str, ...]:
    """Checks metric names before anything is computed.

    Args:
        convention: name of a convention in `CONVENTIONS`.
        metrics: names of metrics; None for those of the usual nine that the convention defines, or
            all if it defines none of them.

    Returns:
        The names.

    Raises:
        ValueError: for an unknown convention, no metric at all, or metrics that the convention does
            not define.
    """
    chosen = _convention(convention)
    if metrics is None:
        return tuple(name for name in USUAL if name in chosen.metrics) or defined_metrics(convention)
    if not metrics:
        raise ValueError("No metric given; give one or more (--metrics EN SSIM), or omit the option.")
    _check_names(convention, tuple(metrics))
    return tuple(metrics)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise ValueError(f"convention is {name!r}; expected one of {known}{did_you_mean(name, CONVENTIONS) or '.'}")
    return CONVENTIONS[name]


def defined_metrics(convention: str) -> tuple[str, ...]:
    """Names of all metrics that a convention defines.

    Args:
        convention: name of a convention in `CONVENTIONS`.

    Returns:
        The names.

    Raises:
        ValueError: for an unknown convention.
    """
    chosen = _convention(convention)
    return (*chosen.metrics, *chosen.color)


def _check_names(convention: str, names: tuple[str, ...]) -> None:
    known = defined_metrics(convention)
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"convention {convention!r} does not define {', '.join(missing)}; it defines {', '.join(known)}."
        )


def _check_sizes(fused: Array, ir: Array, vi: Array) -> None:
    batched = ir.ndim == 4 and fused.ndim in (4, 5)
    if not (batched or ir.ndim == fused.ndim == 3) or not fused.shape[-ir.ndim : -1] == ir.shape[:-1] == vi.shape[:-1]:
        raise ValueError(
            f"fused is {fused.shape}, ir {ir.shape}, vi {vi.shape}; expected equal sizes [h, w] or [b, h, w]."
        )


@partial(jax.jit, static_argnames=("convention", "metrics"))
def score_arrays(
    fused: Float[Array, "*m b h w c"],
    ir: Luma,
    vi: Float[Array, "b h w c2"],
    extents: Int[Array, "b 2"] | None = None,
    *,
    convention: str,
    metrics: tuple[str, ...],
) -> dict[str, Float[Array, "*m b"]]:
    """The compiled function behind `evaluate`; it does not check its arguments.

    Args:
        fused: images in [0, 1], with or without an axis of methods.
        ir: luma in [0, 1].
        vi: in [0, 1].
        extents: height and width of each image, at the top left of larger arrays; by default the
            arrays are the images. The padding does not change the values.
        convention: name of a convention in `CONVENTIONS`.
        metrics: names of metrics that it defines.

    Returns:
        Values by metric name.
    """
    score = partial(_score_batch, convention=CONVENTIONS[convention], metrics=metrics)
    score = jax.vmap(score, (0, None, None, None)) if fused.ndim == 5 else score
    return score(fused, ir, vi, extents)


def _score_batch(
    fused: Array, ir: Array, vi: Array, extents: Array | None, *, convention: Convention, metrics: tuple[str, ...]
) -> dict[str, PerImage]:
    """Scores one image at a time on CPU, where the maps then stay in the cache (half the time)."""
    together = partial(_score_together, convention=convention, metrics=metrics)

    def one(images: tuple[Array, Array, Array, Array | None]) -> dict[str, Array]:
        fused, ir, vi, extent = images
        return jax.tree.map(lambda x: x[0], together(fused[None], ir[None], vi[None], extent))

    batch = (fused, ir, vi, extents)
    every = jax.vmap(one) if extents is not None else lambda batch: together(*batch)
    return by_platform(batch, cpu=partial(lax.map, one), accelerator=every)


def _score_together(
    fused: Array, ir: Array, vi: Array, extent: Array | None, *, convention: Convention, metrics: tuple[str, ...]
) -> dict[str, PerImage]:
    if convention.quantized:
        fused, ir, vi = quantize(fused), quantize(ir), quantize(vi)
    planes = _planes(fused, vi, convention)

    def score(
        name: str, extent: Array | None, fused: Array, ir: Array, vi: Array, *planes: tuple[Array, Array]
    ) -> PerImage:
        if name in convention.metrics:
            metric = partial(convention.metrics[name], extent=extent)
            return sum_arrays(metric(fused_y, ir, vi_y) for fused_y, vi_y in planes) / len(planes)
        if fused.shape[-1] == vi.shape[-1] == 3:
            return convention.color[name](fused, vi, extent=extent)
        return jnp.full(fused.shape[0], jnp.nan, jnp.float32)

    scores = {}
    for family in dict.fromkeys(METRICS[name].family for name in metrics):
        names = [name for name in metrics if METRICS[name].family == family]
        scores |= isolate_on_cpu(
            lambda *args, names=names: {name: score(name, *args) for name in names}, extent, fused, ir, vi, *planes
        )
    return {name: scores[name] for name in metrics}


def _planes(fused: Array, vi: Array, convention: Convention) -> list[tuple[Array, Array]]:
    """Gray pairs (fused, visible) to score; the score is the mean over these pairs.

    Without a gray conversion (VIFB), these are the color channels; a gray fused image is paired
    with the first channel of the visible image. VIFB computes only SF over the three channels side
    by side; here SF is the mean over the channels, like the other metrics.
    """
    if convention.gray is not None:
        fused, vi = (convention.gray(x) if x.shape[-1] == 3 else x for x in (fused, vi))
        return [(fused, vi)]
    channels = range(fused.shape[-1])
    return [(fused[..., i : i + 1], vi[..., min(i, vi.shape[-1] - 1)][..., None]) for i in channels]
