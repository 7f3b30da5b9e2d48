"""Images for testing metrics."""

import jax.numpy as jnp
import numpy as np

from fusejax.metrics import CONVENTIONS

SMALL = tuple(name for name in CONVENTIONS["exact"].metrics if name != "MS-SSIM")


def levels(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth random 8-bit levels with a flat, saturated corner, where cancellation in variances
    would be noticed.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(*shape[:-2], -(-shape[-2] // 6), -(-shape[-1] // 6)))
    x = np.kron(coarse, np.ones((6, 6)))[..., : shape[-2], : shape[-1]] * 45 + 120 + 6 * rng.normal(size=shape)
    x[..., :14, :20] = 255
    return np.clip(np.rint(x), 0, 255)


def arrays(*images: np.ndarray) -> list[jnp.ndarray]:
    return [jnp.asarray(x[..., None] / 255.0, jnp.float32) for x in images]


SHAPE = (2, 44, 47)


IR, VI = levels(1, SHAPE), levels(2, SHAPE)


FUSED = np.rint(0.6 * IR + 0.4 * VI) + (np.arange(47) % 3)[None, None, :]


FUSED = np.clip(FUSED, 0, 255)
