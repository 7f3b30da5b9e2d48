"""Images of known brightness for the tests of alignment."""

import numpy as np

from fusejax.data.alignment import (
    AlignConfig,
)
from fusejax.data.folders import PairFolder
from fusejax.io.images import write_image

CONFIG = AlignConfig(patch=8, stride=12, k=10)


SIZES = ((20, 32), (33, 21), (8, 8), (7, 40), (45, 30))


def image(seed, size=(20, 32), scale=255.0):
    """Smooth color patches, so that patch means differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, scale, (size[0] // 6 + 1, size[1] // 6 + 1, 3))
    fine = np.kron(coarse, np.ones((6, 6, 1)))[: size[0], : size[1]] + rng.normal(0, 6, (*size, 3))
    return np.clip(fine, 0, 255).astype(np.uint8)


def images_named(count, *, first=0, scale=255.0):
    return [(f"p{n:02d}", image(first + n, SIZES[n % len(SIZES)], scale)) for n in range(count)]


def write_folder(root, named):
    for seed, (name, vi) in enumerate(named):
        ir = np.random.default_rng(1000 + seed).integers(0, 256, (*vi.shape[:2], 1), np.uint8)
        write_image(root / "ir" / f"{name}.png", ir)
        write_image(root / "vi" / f"{name}.png", vi)
    return PairFolder(root)


def places(alignment):
    return [(p.name, p.top, p.left) for p in alignment.patches]
