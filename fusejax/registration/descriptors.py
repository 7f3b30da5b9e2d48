"""Descriptors in which an infrared and a visible image of the same scene look alike.

Gray values of the two cameras have no fixed relation: a warm person is bright in one image and dark
in the other. What both share is the place and the direction of structure, so images are compared by
how every pixel resembles its neighbors, never by their values.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_DISTANCE = 2  # of the neighbors, in pixels of the working image
_PATCH_SIGMA = 1.2  # of the window over which patches are compared, likewise
_NEIGHBORS = ((-_DISTANCE, 0), (0, _DISTANCE), (_DISTANCE, 0), (0, -_DISTANCE))
_MARGIN = 2  # beside invalid pixels, which the descriptors would see
_WEAK = 0.3  # variance with half the weight, in units of the image's mean


def blur(x: Float[Array, "h w c"], sigma: float) -> Float[Array, "h w c"]:
    """Blurs one image with a Gaussian, truncated at 3 sigma; border pixels repeat.

    Args:
        x: in any range.
        sigma: standard deviation in pixels, known while tracing.

    Returns:
        The blurred image.
    """
    radius = max(1, int(np.ceil(3 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps = [float(tap) for tap in taps / taps.sum()]
    for axis in (0, 1):
        n = x.shape[axis]
        padded = jnp.pad(x, [(radius, radius) if axis == k else (0, 0) for k in range(3)], mode="edge")
        shifted = [padded[i : i + n] if axis == 0 else padded[:, i : i + n] for i in range(2 * radius + 1)]
        x = sum((tap * part for tap, part in zip(taps[1:], shifted[1:], strict=True)), taps[0] * shifted[0])
    return x


def erode(mask: Float[Array, "h w"], radius: int) -> Float[Array, "h w"]:
    """Shrinks a mask of zeros and ones by a square of that radius; the border does not count."""
    for axis in (0, 1):
        n = mask.shape[axis]
        padded = jnp.pad(mask, [(radius, radius) if axis == k else (0, 0) for k in range(2)], mode="edge")
        for i in range(2 * radius + 1):
            mask = jnp.minimum(mask, padded[i : i + n] if axis == 0 else padded[:, i : i + n])
    return mask


def self_similarity(image: Float[Array, "h w"], mask: Float[Array, "h w"]) -> Float[Array, "h w c"]:
    """Self-similarity of every pixel's neighborhood, weighted by the strength of its structure.

    The eight distances are those of MIND's self-similarity context in two dimensions (Heinrich et
    al. 2012, 2013): between adjacent ones of the four neighbors, and between each of them and the
    center, each the mean squared difference of two patches. Different from the papers: exp(-d / v),
    with the mean distance v of the pixel, has its mean over the channels removed, so that a sum of
    products is a correlation, and is multiplied by a strength that saturates, so that flat areas
    (sky, road), where only noise would be compared, carry little weight.

    Args:
        image: gray values, logarithmic or linear, in any range.
        mask: 1 where the image is valid.

    Returns:
        [h, w, 8], zero outside the mask shrunk by two pixels.
    """
    h, w = image.shape
    padded = jnp.pad(image, _DISTANCE, mode="edge")
    near = [padded[_DISTANCE + dy :][:h, _DISTANCE + dx :][:, :w] for dy, dx in _NEIGHBORS]
    pairs = [(near[i], near[(i + 1) % 4]) for i in range(4)] + [(x, image) for x in near]
    distances = blur(jnp.stack([(a - b) ** 2 for a, b in pairs], axis=-1), _PATCH_SIGMA)
    valid = erode(mask, _MARGIN)[..., None]
    variance = distances.mean(axis=-1, keepdims=True)
    typical = (variance * valid).sum() / (valid.sum() + 1e-6)
    alike = jnp.exp(-distances / (variance + 0.01 * typical + 1e-9))
    alike = alike - alike.mean(axis=-1, keepdims=True)
    return alike * valid * variance / (variance + _WEAK * typical + 1e-9)


def described(descriptors: Float[Array, "h w c"]) -> Float[Array, "h w"]:
    """1 where a pixel has a descriptor, 0 where it is masked."""
    return (jnp.abs(descriptors).sum(axis=-1) > 0).astype(descriptors.dtype)
