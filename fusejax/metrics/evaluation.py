"""Scoring of batches: one compiled call for all metrics of a convention."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fusejax.metrics.conventions import CONVENTIONS, USUAL, Convention
from fusejax.metrics.table import METRICS
from fusejax.ops.backend import by_platform
from fusejax.ops.numerics import isolate_on_cpu, quantise
from fusejax.typing import PerImage


def evaluate(
    fused: Float[Array, "*m b h w c"],
    ir: Float[Array, "b h w 1"],
    vi: Float[Array, "b h w c2"],
    *,
    convention: str = "exact",
    metrics: Sequence[str] | None = None,
) -> dict[str, Float[Array, "*m b"]]:
    """Scores a batch of fused pictures in one compiled call: metric name -> one value per picture.

    Args:
        fused: [b, h, w, 1 or 3] in [0, 1]; or [m, b, h, w, c] for m methods on the same pairs, which computes what
            belongs to the sources once and returns [m, b].
        ir, vi: the sources in [0, 1]; vi grey or RGB. The convention says how colour becomes grey.
        convention: a name of `CONVENTIONS`.
        metrics: names that the convention defines; the nine usual ones that it defines if left out.
    Returns: NaN where a metric is undefined (`undefined_reason`), never an error inside a batch.
    Raises: ValueError for unequal sizes, an unknown convention or a metric that the convention lacks.
    """
    chosen = _convention(convention)
    names = tuple(name for name in USUAL if name in chosen.metrics) if metrics is None else tuple(metrics)
    _check(fused, ir, vi, chosen, names)
    score = partial(_score, convention=convention, metrics=names)
    return jax.vmap(score, in_axes=(0, None, None))(fused, ir, vi) if fused.ndim == 5 else score(fused, ir, vi)


def _convention(name: str) -> Convention:
    if name not in CONVENTIONS:
        raise ValueError(f"convention is {name!r}; expected one of {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]


def _check(fused: Array, ir: Array, vi: Array, convention: Convention, names: tuple[str, ...]) -> None:
    if fused.ndim not in (4, 5) or fused.shape[-4:-1] != ir.shape[:-1] or ir.shape[:-1] != vi.shape[:-1]:
        raise ValueError(f"fused is {fused.shape}, ir {ir.shape}, vi {vi.shape}; expected equal [b, h, w].")
    channels = (fused.shape[-1], ir.shape[-1], vi.shape[-1])
    if channels[0] not in (1, 3) or channels[1] != 1 or channels[2] not in (1, 3):
        raise ValueError(f"fused, ir, vi have {channels} channels; expected 1 or 3, 1, 1 or 3.")
    known = [*convention.metrics, *convention.colour]
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(
            f"convention {convention.name!r} does not define {', '.join(missing)}; it defines {', '.join(known)}."
        )


@partial(jax.jit, static_argnames=("convention", "metrics"))
def _score(fused: Array, ir: Array, vi: Array, *, convention: str, metrics: tuple[str, ...]) -> dict[str, PerImage]:
    """Compiled scoring. A CPU takes the pictures one by one, whose maps then stay in its cache (half the time)."""
    together = partial(_score_together, convention=CONVENTIONS[convention], metrics=metrics)

    def one_by_one(*images: Array) -> dict[str, PerImage]:
        scores = lax.map(lambda image: together(*(x[None] for x in image)), images)
        return jax.tree.map(lambda x: x[:, 0], scores)

    return by_platform(fused, ir, vi, cpu=one_by_one, accelerator=together)


def _score_together(
    fused: Array, ir: Array, vi: Array, *, convention: Convention, metrics: tuple[str, ...]
) -> dict[str, PerImage]:
    if convention.quantised:
        fused, ir, vi = quantise(fused), quantise(ir), quantise(vi)
    planes = _planes(fused, vi, convention)

    def score(name: str, fused: Array, ir: Array, vi: Array, *planes: tuple[Array, Array]) -> PerImage:
        if name in convention.metrics:
            return sum(convention.metrics[name](fused_y, ir, vi_y) for fused_y, vi_y in planes) / len(planes)
        if fused.shape[-1] == vi.shape[-1] == 3:
            return convention.colour[name](fused, vi)
        return jnp.full(fused.shape[0], jnp.nan, jnp.float32)

    scores = {}
    for family in dict.fromkeys(METRICS[name].family for name in metrics):
        names = [name for name in metrics if METRICS[name].family == family]
        scores |= isolate_on_cpu(
            lambda *args, names=names: {name: score(name, *args) for name in names}, fused, ir, vi, *planes
        )
    return {name: scores[name] for name in metrics}


def _planes(fused: Array, vi: Array, convention: Convention) -> list[tuple[Array, Array]]:
    """Grey pairs (fused, visible) to score; the mean over them counts.

    Without a grey conversion (VIFB) these are the colour channels; a grey fused picture meets the visible picture's
    first one. VIFB's SF alone runs over the three channels side by side; here it is the mean over channels as well.
    """
    if convention.grey is not None:
        return [tuple(convention.grey(x) if x.shape[-1] == 3 else x for x in (fused, vi))]
    channels = range(fused.shape[-1])
    return [(fused[..., i : i + 1], vi[..., min(i, vi.shape[-1] - 1)][..., None]) for i in channels]
