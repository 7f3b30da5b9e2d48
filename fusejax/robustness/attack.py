"""Adversarial noise: the small change of both sources that changes the fused image most.

Projected gradient ascent in the maximum norm (Madry et al. 2018) on the squared distance between
the fused luma of the changed and of the given pair. `STEPS` steps of 2.5 * epsilon / `STEPS` along
the sign of the gradient, from a random start; after each, both images are brought back to within
epsilon of the given ones and to [0, 1].
"""

import zlib
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from fusejax.data.images import from_float, to_float
from fusejax.inference.extent import apply_within, extension_index
from fusejax.inference.fuser import Fuser, bucket
from fusejax.ops.color import rgb_to_luma
from fusejax.robustness.conditions import SEED, Condition
from fusejax.typing import Params

STEPS = 10
_REACH = 2.5  # epsilons that all steps together could go

Pixels = UInt8[np.ndarray, "h w c"]


def adversarial_pair(fuser: Fuser, ir: Pixels, vi: Pixels, condition: Condition, *, name: str) -> tuple[Pixels, Pixels]:
    """The pair that a network bears worst within epsilon of the given one.

    Images are attacked whole, whatever `fuser.tile` says, and need some three times the memory of
    fusing them. Rounding to 8 bit moves a pixel by half a level at most; epsilons are whole levels,
    so the result stays within them.

    Args:
        fuser: whose network is attacked.
        ir: infrared image, [h, w, 1].
        vi: visible image, [h, w, 1] or [h, w, 3].
        condition: holds the strength, epsilon.
        name: of the pair; the random start follows from it.

    Returns:
        Infrared and visible image.
    """
    multiple, sides = fuser.model.multiple, ir.shape[:2]
    index = [extension_index(side, multiple, bucket(side, multiple)) for side in sides]
    extent = np.array([-(-side // multiple) * multiple for side in sides], np.int32)
    rows, columns = (len(i) for i in index)
    images = [_at_top_left(to_float(x), (rows, columns))[None] for x in (ir, vi)]
    key = jax.random.fold_in(jax.random.key(SEED), zlib.crc32(f"{name} {condition.kind}".encode()))
    epsilon = np.float32(condition.strength)
    found = _attack(
        fuser.params, key, *images, *index, extent, np.array(sides, np.int32), epsilon, model=fuser.model, steps=STEPS
    )
    h, w = sides
    changed_ir, changed_vi = (from_float(np.asarray(x)[0, :h, :w], np.uint8) for x in found)
    return changed_ir, changed_vi


def _at_top_left(image: Float[np.ndarray, "h w c"], size: tuple[int, int]) -> Float[np.ndarray, "h2 w2 c"]:
    return np.pad(image, ((0, size[0] - image.shape[0]), (0, size[1] - image.shape[1]), (0, 0)))


@partial(jax.jit, static_argnames=("model", "steps"))
def _attack(
    params: Params,
    key: jax.Array,
    ir: Float[Array, "1 h w 1"],
    vi: Float[Array, "1 h w c"],
    rows: Int[Array, " h"],
    columns: Int[Array, " w"],
    extent: Int[Array, " 2"],
    sides: Int[Array, " 2"],
    epsilon: Float[Array, ""],
    *,
    model: nn.Module,
    steps: int,
) -> tuple[Float[Array, "1 h w 1"], Float[Array, "1 h w c"]]:
    """`rows` and `columns` say which pixel each place of the array shows, as fusing does."""

    def fused(images: tuple[Array, Array]) -> Array:
        extended = [x[:, rows][:, :, columns] for x in images]
        vi_y = rgb_to_luma(extended[1]) if extended[1].shape[-1] == 3 else extended[1]
        return jnp.clip(apply_within(model, params, extended[0], vi_y, extent=extent)[0], 0.0, 1.0)

    given = ir, vi
    inside = (jnp.arange(ir.shape[1])[:, None, None] < sides[0]) & (jnp.arange(ir.shape[2])[:, None] < sides[1])
    clean = fused(given)

    def objective(images: tuple[Array, Array]) -> Array:
        return jnp.where(inside, jnp.square(fused(images) - clean), 0.0).sum()

    def within(images: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(
            jnp.clip(jnp.clip(x, clean_x - epsilon, clean_x + epsilon), 0.0, 1.0)
            for x, clean_x in zip(images, given, strict=True)
        )

    def step(_: int, images: tuple[Array, ...]) -> tuple[Array, ...]:
        slopes = jax.grad(objective)(images)
        return within(tuple(x + _REACH * epsilon / steps * jnp.sign(g) for x, g in zip(images, slopes, strict=True)))

    keys = jax.random.split(key)
    start = (x + epsilon * jax.random.uniform(k, x.shape, minval=-1.0) for x, k in zip(given, keys, strict=True))
    return jax.lax.fori_loop(0, steps, step, within(tuple(start)))
