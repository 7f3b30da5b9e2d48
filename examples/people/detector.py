"""A small detector of people without anchors: network, losses, training, and average precision.

It draws a heat map of the centers of people, and at each center its offset and the size of its box
(Zhou et al., "Objects as Points", 2019, equations 1 to 4), in 0.4 million parameters.
"""

import functools
from typing import Any

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

STRIDE = 4
"""Pixels per cell of the heat map."""

SMALLEST = 10
"""Height in pixels; lower people count neither as found nor as missed."""

BATCH, RATE, DETECTIONS = 8, 1e-3, 20

Hits = list[tuple[float, bool]]
"""Score of each detection of an image, and whether it is a person not found before."""


class Detector(nn.Module):
    """A U of residual blocks at strides 4, 8 and 16.

    Returns logits of centers [b, h, w], offsets and sizes [b, h, w, 4], at stride 4.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = (x - x.mean(axis=(1, 2), keepdims=True)) / (x.std(axis=(1, 2), keepdims=True) + 0.02)
        x = nn.relu(nn.Conv(16, (3, 3), strides=2, name="stem")(x))
        levels = []
        for width in (32, 64, 96):
            x = nn.relu(nn.Conv(width, (3, 3), strides=2, name=f"down{width}")(x))
            y = nn.relu(nn.Conv(width, (3, 3), name=f"first{width}")(x))
            x = nn.relu(x + nn.Conv(width, (3, 3), name=f"second{width}")(y))
            levels.append(x)
        for finer in levels[-2::-1]:
            width = finer.shape[-1]
            x = nn.Conv(width, (1, 1), name=f"up{width}")(x).repeat(2, axis=1).repeat(2, axis=2) + finer
            x = nn.relu(nn.Conv(width, (3, 3), name=f"merge{width}")(x))
        heat = nn.Conv(1, (1, 1), bias_init=nn.initializers.constant(-4.6), name="heat")(x)  # people are rare: 1 %
        return heat[..., 0], nn.Conv(4, (1, 1), name="shape")(x)


def targets(boxes: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What the detector should draw for one image.

    Args:
        boxes: [n, 4], (x1, y1, x2, y2) in pixels.
        size: height and width of the image in pixels.

    Returns:
        The heat map [h, w], 1 at the cells of centers and Gaussian around them, whose spread is a
        third of the shift of the corners that leaves an overlap (IoU) of 0.7; offsets and sizes [h,
        w, 4] in cells, (x, y, width, height), zero elsewhere.
    """
    h, w = size[0] // STRIDE, size[1] // STRIDE
    heat, shape, (y, x) = np.zeros((h, w), np.float32), np.zeros((h, w, 4), np.float32), np.mgrid[:h, :w]
    for x1, y1, x2, y2 in boxes / STRIDE:
        width, height, middle = x2 - x1, y2 - y1, ((x1 + x2) / 2, (y1 + y2) / 2)
        column, row = min(int(middle[0]), w - 1), min(int(middle[1]), h - 1)
        total = width + height
        radius = (total - np.sqrt(total**2 - 4 * width * height * 0.3 / 1.7)) / 2
        spread = max(radius / 3, 0.4)
        heat = np.maximum(heat, np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * spread**2)))
        shape[row, column] = middle[0] - column, middle[1] - row, width, height
    return heat.astype(np.float32), shape


def loss_of(params: Any, images: jax.Array, heat: jax.Array, shape: jax.Array) -> jax.Array:
    """Focal loss of the heat map, plus the absolute errors of offset and 0.1 size, per person."""
    outputs: Any = Detector().apply({"params": params}, images)
    logits, found = outputs
    p, log_p, log_not = jax.nn.sigmoid(logits), jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    focal = jnp.where(heat == 1, (1 - p) ** 2 * log_p, (1 - heat) ** 4 * p**2 * log_not)
    errors = (shape[..., 2:3] > 0) * jnp.abs(found - shape) * jnp.array([1, 1, 0.1, 0.1])
    return (errors.sum() - focal.sum()) / jnp.maximum((heat == 1).sum(), 1)


@functools.partial(jax.jit, static_argnames="tx")
def train_step(params: Any, state: Any, batch: Any, key: jax.Array, *, tx: Any) -> tuple[Any, Any]:
    """One step of Adam; noise of a random level makes the detector robust."""
    images, heat, shape = batch
    level, draw = jax.random.split(key)
    noise = jax.random.uniform(level, (len(images), 1, 1, 1), maxval=0.08)
    images = images + noise * jax.random.normal(draw, images.shape)
    updates, state = tx.update(jax.grad(loss_of)(params, images, heat, shape), state)
    return optax.apply_updates(params, updates), state


def window(
    image: np.ndarray, boxes: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random part of an image, mirrored or not, and the boxes in it of which half is visible.

    Made-up streets show size by position; parts of other zoom and aspect do not.
    """
    (h, w), share = image.shape[:2], rng.uniform(0.5, 1.0)
    high, wide = int(h * share), int(w * min(1.0, share * rng.uniform(0.9, 1.4)))
    top, left = rng.integers(h - high + 1), rng.integers(w - wide + 1)
    part = cv2.resize(image[top : top + high, left : left + wide], size[::-1], interpolation=cv2.INTER_AREA)
    scale = np.tile([size[1] / wide, size[0] / high], 2)
    moved = (boxes - [left, top, left, top]) * scale
    seen = moved.clip(0, [size[1], size[0], size[1], size[0]])
    areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (seen, moved)]
    seen = seen[areas[0] > 0.5 * areas[1]]
    part = part.reshape(*size, -1) ** rng.uniform(0.6, 1.6)
    if rng.random() < 0.5:
        part, seen = part[:, ::-1], (seen * [-1, 1, -1, 1] + [size[1], 0, size[1], 0])[:, [2, 1, 0, 3]]
    return part.astype(np.float32), seen


def train(
    params: Any, kinds: list[np.ndarray], truth: list[np.ndarray], size: tuple[int, int], steps: int, *, seed: int
) -> Any:
    """Trains on random parts of images, each of a random one of the kinds.

    Args:
        params: where to start; None draws them.
        kinds: images [n, h, w, c] in [0, 1], the same scenes in each array.
        truth: boxes of each scene in pixels.
        size: height and width of the parts once they are resized.
        steps: number of steps.
        seed: seed of the initial weights, parts and noise.

    Returns:
        The parameters.
    """
    rng, key, tx = np.random.default_rng(seed), jax.random.key(seed), _optimizer(steps)
    if params is None:
        params = jax.jit(Detector().init)(key, jnp.zeros((1, *size, kinds[0].shape[-1])))["params"]
    state = tx.init(params)
    for step in range(steps):
        chosen = [(kinds[rng.integers(len(kinds))], rng.integers(len(truth))) for _ in range(BATCH)]
        parts = [window(images[n], truth[n], size, rng) for images, n in chosen]
        heat, shape = (np.stack(x) for x in zip(*(targets(boxes, size) for _, boxes in parts), strict=True))
        batch = np.stack([part for part, _ in parts]), heat, shape
        params, state = train_step(params, state, batch, jax.random.fold_in(key, step), tx=tx)
    return params


@functools.cache  # the same object, so that one program serves all kinds
def _optimizer(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(RATE, steps))


@jax.jit
def detect(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scores [b, n] and boxes [b, n, 4] in pixels of the highest peaks of the heat maps."""
    outputs: Any = Detector().apply({"params": params}, images)
    logits, shape = outputs
    p, (b, h, w) = jax.nn.sigmoid(logits), logits.shape
    highest = jax.lax.reduce_window(p, -jnp.inf, jax.lax.max, (1, 3, 3), (1, 1, 1), "SAME")
    scores, places = jax.lax.top_k(jnp.where(p == highest, p, 0).reshape(b, -1), DETECTIONS)
    x, y, width, height = jnp.moveaxis(jnp.take_along_axis(shape.reshape(b, h * w, 4), places[..., None], axis=1), 2, 0)
    x, y = x + places % w, y + places // w
    return scores, STRIDE * jnp.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1)


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others [n, 4]."""
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    inside, areas = sides.prod(axis=1), [(b[..., 2:] - b[..., :2]).clip(0).prod(axis=-1) for b in (box, others)]
    return inside / np.maximum(areas[0] + areas[1] - inside, 1e-9)


def matched(scores: np.ndarray, boxes: np.ndarray, truth: np.ndarray) -> Hits:
    """Score of each detection of one image, and whether it is a person not found before (IoU 0.5).

    Detections of people lower than `SMALLEST`, and lower ones of nobody, are left out.
    """
    found, taken = [], np.zeros(len(truth), bool)
    small = truth[:, 3] - truth[:, 1] < SMALLEST
    for n in np.argsort(-scores, kind="stable"):
        shared = np.where(taken, 0, overlaps(boxes[n], truth)) if len(truth) else np.zeros(1)
        best = int(shared.argmax())
        if shared[best] >= 0.5:
            taken[best] = True
            if not small[best]:
                found.append((float(scores[n]), True))
        elif boxes[n, 3] - boxes[n, 1] >= SMALLEST:
            found.append((float(scores[n]), False))
    return found


def average_precision(found: list[Hits], people: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the curve of precision, made monotone, over recall.

    Args:
        found: scores and truth of the detections of each image.
        people: number of people in each image.
        times: how often each image counts, [draws, images].

    Returns:
        One value per draw; NaN without people.
    """
    flat = sorted(((score, hit, n) for n, each in enumerate(found) for score, hit in each), key=lambda x: -x[0])
    if not flat:
        return np.where(times @ people > 0, 0.0, np.nan)
    hits, image = np.array([hit for _, hit, _ in flat]), np.array([n for *_, n in flat])
    count = times[:, image]
    right, every = (count * hits).cumsum(axis=1), count.cumsum(axis=1)
    precision = np.maximum.accumulate((right / np.maximum(every, 1))[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(invalid="ignore"):
        return (count * hits * precision).sum(axis=1) / (times @ people)


def detections(params: Any, images: np.ndarray, truth: list[np.ndarray]) -> list[Hits]:
    """Detections of each image, see `matched`."""
    parts = [detect(params, images[n : n + 20]) for n in range(0, len(images), 20)]
    scores, boxes = (np.concatenate(x) for x in zip(*parts, strict=True))
    return [matched(*each) for each in zip(scores, boxes, truth, strict=True)]
