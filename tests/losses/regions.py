"""Images, boxes and masks for tests of object regions."""

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.ops.boxes import rasterize

HEIGHT, WIDTH = 17, 24


# Per image: three overlapping boxes, one of which extends beyond the image; one thin and one empty
# box; no valid box.
BOXES = np.array(
    [
        [[2, 3, 9, 8], [5.2, 4.7, 14.9, 12.1], [18, 10, 40, 30], [0, 0, 24, 17]],
        [[0, 0, 1, 17], [7, 7, 7, 9], [3.6, 2, 4.4, 5], [-9, -9, -1, -1]],
        [[0, 0, 24, 17], [1, 1, 2, 2], [np.nan, 0, np.nan, 9], [0, 0, 5, 5]],
    ],
    np.float32,
)


VALID = np.array([[True, True, True, False], [True] * 4, [False] * 4])


def luma(seed, *, size=(HEIGHT, WIDTH), batch=3):
    return jnp.asarray(np.random.default_rng(seed).random((batch, *size, 1)), jnp.float32)


def draw(boxes=BOXES, valid=VALID, *, soft_edge_sigma=0.0, area_balanced=False, size=(HEIGHT, WIDTH)):
    return jitted_rasterize(
        jnp.asarray(boxes, jnp.float32),
        jnp.asarray(valid),
        height=size[0],
        width=size[1],
        soft_edge_sigma=soft_edge_sigma,
        area_balanced=area_balanced,
    )


jitted_rasterize = jax.jit(rasterize, static_argnames=("height", "width", "soft_edge_sigma", "area_balanced"))


def planes(*images):
    return zip(*(np.asarray(p, np.float64)[..., 0] for p in images), strict=True)
