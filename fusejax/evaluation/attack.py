"""Adversarial noise: the small change of both sources that changes the fused image most.

Projected gradient ascent in the maximum norm (Madry et al. 2018) on the squared distance between
the fused luma of the perturbed pair and that of the original pair. It takes `STEPS` steps of 2.5 *
epsilon / `STEPS` along the sign of the gradient, from a random start. After each step, both images
are projected back to within epsilon of the originals and to [0, 1].
"""

import os
import zlib
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from fusejax.evaluation.conditions import SEED, Condition
from fusejax.inference.backend import Differentiable
from fusejax.inference.extent import apply_within, extension_index
from fusejax.io.images import from_float, to_float
from fusejax.ops.color import rgb_to_luma
from fusejax.ops.extent import bucket
from fusejax.typing import Luma, Params

STEPS = 10
_REACH = 2.5  # total length of all steps, in epsilons

Pixels = UInt8[np.ndarray, "h w _"]
AnyArray = np.ndarray | Array
Images = tuple[Float[AnyArray, "1 h w 1"], Float[AnyArray, "1 h w c"]]


def adversarial_pair(
    network: Differentiable, ir: Pixels, vi: Pixels, condition: Condition, *, name: str
) -> tuple[Pixels, Pixels]:
    """The pair within epsilon of the given one that changes a network's output most.

    Images are attacked as a whole, never in tiles, which needs about three times the
    memory of fusing them. Rounding to 8 bits moves a pixel by at most half a level; epsilons are
    whole levels, so the result stays within epsilon.

    Args:
        network: network that is attacked, see `Backend.network`.
        ir: infrared image, [h, w, 1].
        vi: visible image, [h, w, 1] or [h, w, 3].
        condition: condition whose strength is epsilon.
        name: name of the pair, which determines the random start.

    Returns:
        Infrared and visible image.
    """
    multiple, sides = network.model.multiple, ir.shape[:2]
    rows, columns = (extension_index(side, multiple, bucket(side, multiple)) for side in sides)
    place = Place(
        rows,
        columns,
        extent=np.array([-(-side // multiple) * multiple for side in sides], np.int32),
        sides=np.array(sides, np.int32),
    )
    key = jax.random.fold_in(jax.random.key(SEED), zlib.crc32(os.fsencode(f"{name} {condition.kind}")))
    given = to_float(ir)[rows][:, columns][None], to_float(vi)[rows][:, columns][None]
    epsilon = np.float32(condition.strength)
    clean = _fuse(network.params, given, place.extent, model=network.model)
    images = _start(key, given, epsilon, place)
    for _ in range(STEPS):
        images = _ascend(network.params, images, given, clean, place, epsilon, model=network.model, steps=STEPS)
    h, w = sides
    changed_ir, changed_vi = (from_float(np.asarray(x)[0, :h, :w], np.uint8) for x in images)
    return changed_ir, changed_vi


class Place(NamedTuple):
    """Where the image lies in its array, as in fusing.

    Attributes:
        rows: for each row of the array, the row of the image that it shows.
        columns: likewise for columns.
        extent: height and width that the network may use.
        sides: height and width of the image.
    """

    rows: Int[AnyArray, " h"]
    columns: Int[AnyArray, " w"]
    extent: Int[AnyArray, " 2"]
    sides: Int[AnyArray, " 2"]


@partial(jax.jit, static_argnames="model")
def _fuse(params: Params, images: Images, extent: Int[Array, " 2"], *, model: nn.Module) -> Luma:
    ir, vi = (jnp.asarray(x) for x in images)
    vi_y = rgb_to_luma(vi) if vi.shape[-1] == 3 else vi
    return jnp.clip(apply_within(model, params, ir, vi_y, extent=extent)[0], 0.0, 1.0)


@jax.jit
def _start(key: jax.Array, given: Images, epsilon: Float[Array, ""], place: Place) -> Images:
    keys = jax.random.split(key)
    ir, vi = (x + epsilon * jax.random.uniform(k, x.shape, minval=-1.0) for k, x in zip(keys, given, strict=True))
    return _within((ir, vi), given, epsilon, place)


def _within(images: Images, given: Images, epsilon: Float[Array, ""], place: Place) -> Images:
    """Projects to within epsilon of the given images and to [0, 1], and pads as in fusing."""
    near = (jnp.clip(x, g - epsilon, g + epsilon) for x, g in zip(images, given, strict=True))
    ir, vi = (jnp.clip(x, 0.0, 1.0)[:, place.rows][:, :, place.columns] for x in near)
    return ir, vi


# Not a loop inside one compiled function, because XLA's convolutions are several times slower in
# loops on CPU.
@partial(jax.jit, static_argnames=("model", "steps"))
def _ascend(
    params: Params,
    images: Images,
    given: Images,
    clean: Luma,
    place: Place,
    epsilon: Float[Array, ""],
    *,
    model: nn.Module,
    steps: int,
) -> Images:
    """Takes one step.

    Pixels beyond the image are padded from it. Their part of the gradient, that of a margin of less
    than `model.multiple` pixels, is ignored.
    """
    rows, columns = (jnp.arange(n) < side for n, side in zip(clean.shape[1:3], place.sides, strict=True))
    inside = rows[:, None, None] & columns[:, None]

    def objective(images: Images) -> Float[Array, ""]:
        return jnp.where(inside, jnp.square(_fuse(params, images, place.extent, model=model) - clean), 0.0).sum()

    gradients = jax.grad(objective)(images)
    ir, vi = (x + _REACH * epsilon / steps * jnp.sign(g) for x, g in zip(images, gradients, strict=True))
    return _within((ir, vi), given, epsilon, place)
