"""Registers and fuses in one step that is differentiated as a whole.

    python examples/register_and_fuse.py [--pairs 4] [--steps 150] [--out FILE.png]

Synthetic pairs are moved by small homographies that are then unknown. One jitted step warps the
infrared images by the transforms so far, fuses them with the network, and follows the gradient of
one objective both to the transforms, through `fusejax.registration.warp`, and to the network's
parameters: how well the descriptors of both images agree, and how well the fused image fits them.
It starts near the truth (a few pixels), as after `fusejax.registration.estimate`.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jaxtyping import Array, Float

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.loading import load
from fusejax.io.images import from_float, to_float, write_image
from fusejax.losses import maximum_intensity_loss, ssim_loss
from fusejax.ops.color import rgb_to_luma
from fusejax.registration import corner_error, warp
from fusejax.registration.descriptors import self_similarity
from fusejax.registration.geometry import to_unit

Params = Any
Pairs = tuple[Float[Array, "b h w 1"], Float[Array, "b h w 1"]]

# Of one unit of each parameter: shifts, similarity, affine, perspective, so that all move points by
# similar distances.
SCALES = jnp.array([1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.2, 0.2]) * 0.05


@dataclasses.dataclass(frozen=True)
class JointOptions:
    """What to do.

    Attributes:
        pairs: number of synthetic pairs.
        size: height and width in pixels.
        corner: largest displacement of a corner along each axis, in pixels.
        steps: number of steps.
        out: image of the pairs before and after.
    """

    pairs: int = 4
    size: int = 128
    corner: float = 4.0
    steps: int = 150
    out: Path | None = None


def matrices(p: Float[Array, "b 8"], unit: Float[Array, "3 3"]) -> Float[Array, "b 3 3"]:
    """Homographies on pixels from small parameters; zeros are the identity."""

    def one(p: Float[Array, " 8"]) -> Float[Array, "3 3"]:
        x, y, scale, turn, stretch, shear, u, v = p * SCALES
        small = jnp.array([[scale + stretch, shear - turn, x], [shear + turn, scale - stretch, y], [u, v, 0.0]])
        return jnp.linalg.inv(unit) @ (jnp.eye(3) + small) @ unit

    return jax.vmap(one)(p)


def agreements(vi: Array, ir: Array, mask: Array) -> Float[Array, " b"]:
    """Correlation of the descriptors of each pair, from -1 to 1."""
    described = jax.vmap(lambda x, m: self_similarity(x[..., 0], m[..., 0]))
    a, b = described(vi, mask), described(ir, mask)
    cross, of_a, of_b = ((x * y).sum(axis=(1, 2, 3)) for x, y in ((a, b), (a, a), (b, b)))
    return cross / jnp.sqrt(of_a * of_b + 1e-9)


def halved(x: Array) -> Array:
    """Half the size: descriptors of it still see what is twice as far off."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


def objective(network: Params, p: Array, pairs: Pairs, *, model: Any, unit: Array) -> tuple[Array, dict[str, Array]]:
    """The mean over the pairs of disagreement and of the fused image's losses."""
    ir, vi = pairs
    size = vi.shape[1:3]
    warped, mask = warp(ir, matrices(p, unit), size=size)
    agreement = (agreements(vi, warped, mask) + agreements(*(halved(x) for x in (vi, warped, mask)))) / 2
    seen = vi + mask * (warped - vi)  # where infrared shows nothing, the network sees the visible image twice
    fused = model.apply({"params": network}, seen, vi)
    looks = maximum_intensity_loss(fused, seen, vi) + 0.5 * ssim_loss(fused, seen, vi)
    return (1 - agreement + looks).mean(), {"agreement": agreement.mean(), "fusion": looks.mean()}


@functools.partial(jax.jit, static_argnames=("model", "optimizers"))
def step(
    network: Params, p: Array, states: Any, pairs: Pairs, unit: Array, *, model: Any, optimizers: Any
) -> tuple[Params, Array, Any, dict[str, Array]]:
    """One step of both, from one gradient."""
    gradient = jax.grad(objective, argnums=(0, 1), has_aux=True)
    slopes, parts = gradient(network, p, pairs, model=model, unit=unit)
    moved = [o.update(g, s) for o, g, s in zip(optimizers, slopes, states, strict=True)]
    (of_network, _), (of_p, _) = moved
    network, p = optax.apply_updates(network, of_network), p + of_p
    return network, p, tuple(state for _, state in moved), parts


def moved_pairs(options: JointOptions) -> tuple[Pairs, list[np.ndarray]]:
    """Synthetic pairs whose infrared image is moved, and the true matrices to it."""
    rng, infrared, visible, truths = np.random.default_rng(0), [], [], []
    side = options.size
    frame = np.array([[0, 0], [side - 1, 0], [side - 1, side - 1], [0, side - 1]], np.float32)
    for n in range(options.pairs):
        pair = synthetic_pair(2 * n, size=(side, side))  # by day; at night the images share too little
        there = frame + rng.uniform(-options.corner, options.corner, (4, 2)).astype(np.float32)
        truth = cv2.getPerspectiveTransform(frame, there)
        infrared.append(cv2.warpPerspective(to_float(pair["ir"]), truth, (side, side), borderMode=cv2.BORDER_REFLECT))
        visible.append(rgb_to_luma(to_float(pair["vi"])))
        truths.append(truth)
    return (jnp.asarray(np.stack(infrared))[..., None], jnp.asarray(np.stack(visible))), truths


def run(options: JointOptions) -> tuple[np.ndarray, np.ndarray]:
    """Trains both and prints what it does.

    Returns:
        Corner errors of the pairs in pixels, before and after.
    """
    pairs, truths = moved_pairs(options)
    differentiable = load("light").network
    assert differentiable is not None
    model, network = differentiable.model, differentiable.params
    size = options.size, options.size
    unit = jnp.asarray(to_unit(size), jnp.float32)
    p = jnp.zeros((options.pairs, 8))
    optimizers = optax.adam(1e-5), optax.adam(optax.cosine_decay_schedule(0.1, options.steps, 0.05))
    states = tuple(o.init(x) for o, x in zip(optimizers, (network, p), strict=True))

    def errors() -> np.ndarray:
        found = np.asarray(matrices(p, unit), np.float64)
        return np.array([corner_error(m / m[2, 2], truth, size=size) for m, truth in zip(found, truths, strict=True)])

    before = errors()
    for n in range(options.steps):
        network, p, states, parts = step(network, p, states, pairs, unit, model=model, optimizers=optimizers)
        if n % 50 == 0 or n == options.steps - 1:
            shown = ", ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
            print(f"step {n}: {shown}, corner error {errors().mean():.2f} pixels", flush=True)
    if options.out is not None:
        warped, _ = warp(pairs[0], matrices(p, unit), size=size)
        rows = [np.concatenate([pairs[0][n], pairs[1][n], warped[n]], axis=1) for n in range(options.pairs)]
        fused = [np.asarray(model.apply({"params": network}, x, pairs[1])) for x in (pairs[0], warped)]
        rows = [np.concatenate([row, fused[0][n], fused[1][n]], axis=1) for n, row in enumerate(rows)]
        write_image(options.out, from_float(np.concatenate(rows), np.uint8))
        print(f"infrared, visible, registered infrared, fused before and after: {options.out}")
    return before, errors()


if __name__ == "__main__":
    run(tyro.cli(JointOptions, description=__doc__))
