"""Made-up pairs of other tasks, drawn from a seed, with the truth where there is one.

Defocus and exposure are computed from one synthetic street: two depths, of which either is sharp,
and two exposures, of which either loses something. Phantoms of a head are ellipses: anatomy with
fine structure, and uptake of a tracer, which is colored and coarse.
"""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from fusejax.data.synthetic import synthetic_pair
from fusejax.data.task import TASKS, TaskName
from fusejax.io.images import from_float, to_float, write_image
from fusejax.ops.color import rgb_to_luma

Rgb = Float[np.ndarray, "h w 3"]

_DEFOCUS = (2.0, 3.5)  # sigma in pixels
_EXPOSURES = (4.0, 0.3)  # of the radiance
_GAMMA = 2.2


def made_up_pair(task: TaskName, seed: int, *, size: tuple[int, int] = (128, 160)) -> dict[str, Rgb]:
    """Draws a pair.

    Args:
        task: multi-focus, multi-exposure or mri-color.
        seed: seed of the pair.
        size: height and width in pixels.

    Returns:
        `first` and `second`, RGB in [0, 1], and for focus and exposure `truth`, the scene that is
        sharp everywhere, or at a medium exposure without clipping.

    Raises:
        ValueError: for other tasks.
    """
    rng = np.random.default_rng(seed)
    if task == "multi-focus":
        return _focus_pair(rng, to_float(synthetic_pair(2 * seed, size=size)["vi"]))
    if task == "multi-exposure":
        return _exposure_pair(to_float(synthetic_pair(2 * seed, size=size)["vi"]))
    if task == "mri-color":
        return _phantom(rng, size)
    raise ValueError(f"There are no made-up pairs of {task!r} here; draw them with `synthetic_pair`.")


def write_made_up_pairs(root: Path, task: TaskName, *, count: int, size: tuple[int, int], first_seed: int) -> None:
    """Writes pairs into the folders that the task names, and the truth into `truth`.

    Args:
        root: folder to write to.
        task: see `made_up_pair`.
        count: number of pairs.
        size: height and width in pixels.
        first_seed: seed of the first pair; the others follow.
    """
    folders = {"first": TASKS[task].first[0], "second": TASKS[task].second[0], "truth": "truth"}
    for seed in range(first_seed, first_seed + count):
        for name, image in made_up_pair(task, seed, size=size).items():
            write_image(root / folders[name] / f"{seed:06d}.png", from_float(image, np.uint8))


def _focus_pair(rng: np.random.Generator, scene: Rgb) -> dict[str, Rgb]:
    """Everything below a slanted, wavy line is near, the rest far."""
    h, w = scene.shape[:2]
    x = np.arange(w)
    line = h * (rng.uniform(0.35, 0.65) + rng.uniform(-0.2, 0.2) * (x / w - 0.5))
    line = line + 0.06 * h * np.sin(2 * np.pi * (x / w * rng.integers(1, 4) + rng.random()))
    near = (np.arange(h)[:, None] > line).astype(np.float32)
    near = cv2.GaussianBlur(near, (0, 0), 1.0)[..., None]
    blurred = cv2.GaussianBlur(scene, (0, 0), rng.uniform(*_DEFOCUS))
    return {
        "first": near * blurred + (1 - near) * scene,
        "second": near * scene + (1 - near) * blurred,
        "truth": scene,
    }


def _exposure_pair(scene: Rgb) -> dict[str, Rgb]:
    radiance = np.clip(scene, 0, 1) ** _GAMMA
    over, under = (np.clip(radiance * factor, 0, 1) ** (1 / _GAMMA) for factor in _EXPOSURES)
    # As eight bits of a camera: what is dark in the under-exposed image is lost.
    return {"first": np.round(over * 255) / 255, "second": np.round(under * 63) / 63, "truth": scene}


def _phantom(rng: np.random.Generator, size: tuple[int, int]) -> dict[str, Rgb]:
    h, w = size
    y, x = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-w / h, w / h, w), indexing="ij")

    def ellipse(cx: float, cy: float, a: float, b: float, angle: float) -> np.ndarray:
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        return ((u / a) ** 2 + (v / b) ** 2 < 1).astype(np.float32)

    tilt = rng.uniform(-0.1, 0.1)
    head, brain = ellipse(0, 0, 0.72, 0.92, tilt), ellipse(0, 0, 0.64, 0.84, tilt)
    folds = 0.5 + 0.5 * np.sin(18 * np.hypot(x, 0.8 * y) + 3 * np.sin(7 * np.arctan2(y, x) + rng.uniform(0, 6)))
    anatomy = 0.85 * (head - brain) + brain * (0.35 + 0.25 * folds)
    uptake = np.zeros((h, w), np.float32)
    for _ in range(rng.integers(2, 5)):
        cx, cy = rng.uniform(-0.35, 0.35), rng.uniform(-0.5, 0.5)
        spot = ellipse(cx, cy, rng.uniform(0.06, 0.2), rng.uniform(0.06, 0.2), rng.uniform(0, 3)) * brain
        uptake = np.maximum(uptake, rng.uniform(0.5, 1.0) * spot)
        anatomy = anatomy * (1 - 0.3 * spot)
    for side in (-1, 1):  # the ventricles
        anatomy = anatomy * (1 - 0.8 * ellipse(0.12 * side, -0.05, 0.06, 0.25, 0.25 * side))
    uptake = cv2.GaussianBlur(0.35 * brain + 0.65 * uptake, (0, 0), 0.03 * h)
    colored = np.stack([np.clip(2.2 * uptake, 0, 1), np.clip(2.2 * uptake - 0.7, 0, 1), 0.3 * (1 - uptake) * brain], -1)
    anatomy = np.clip(anatomy + rng.normal(0, 0.015, (h, w)), 0, 1).astype(np.float32)
    return {"first": np.repeat(anatomy[..., None], 3, axis=-1), "second": colored.astype(np.float32)}


def truth_psnr(fused: Rgb, truth: Rgb) -> float:
    """Peak signal-to-noise ratio of the luma against the truth, in dB."""
    error = np.square(rgb_to_luma(fused) - rgb_to_luma(truth)).mean()
    return float(-10 * np.log10(max(error, 1e-10)))
