"""The step before fusion that brings the infrared image onto the visible one's grid."""

import dataclasses
import zlib
from pathlib import Path

import cv2
import numpy as np

from fusejax.io.align import Aligned, AlignError, Pixels
from fusejax.io.cameras.frame import Grid
from fusejax.registration.estimation import Registration, estimate
from fusejax.registration.lens import NO_LENS, Lens, Lenses, sampling_map
from fusejax.registration.parallax import Near
from fusejax.registration.refinement import Model
from fusejax.registration.residual import displacement
from fusejax.registration.rig import Rig, read_rig

_LEAST_COMMON = 16  # pixels, shorter side of the common field
_ROWS = 64  # of the field that are tried as the borders of the common rectangle
_FADE, _LEAST_FADE = 0.02, 4  # of the longer side, and pixels, over which the field fades out
_FARTHEST = 0.1  # of the width: a larger shift of a near scene is taken for a wrong peak


class RegistrationError(AlignError):
    """A pair that cannot be registered, with the reason."""


@dataclasses.dataclass(frozen=True)
class RegisterInfrared:
    """Warps every infrared image onto the grid of its visible image; an `Aligner`.

    With a rig, all pairs share its transform; without one, each pair is registered on its own.
    Outside the infrared image's field the visible image is kept.

    Attributes:
        rig: the cameras' transform, or a file of it; None registers every pair.
        model: which transforms are allowed without a rig.
        grid: whose pixels the result has. On the infrared grid, the visible image is black where it
            shows nothing.
        near: the shift by parallax on top of a rig; None for scenes that are as far as those of the
            rig.
        lens: distortion of the cameras without a rig; with one, the rig's.
    """

    rig: Rig | str | Path | None = None
    model: Model = "homography"
    grid: Grid = "vi"
    near: Near | None = None
    lens: Lenses = NO_LENS
    any_size: bool = dataclasses.field(default=True, init=False)
    _known: dict[tuple, np.ndarray] = dataclasses.field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reads the rig.

        Raises:
            ValueError: if the rig cannot be read, if `near` is given without a rig, or `lens` with
                one.
        """
        if isinstance(self.rig, str | Path):
            object.__setattr__(self, "rig", read_rig(self.rig))
        if isinstance(self.rig, Rig):
            if self.lens not in (NO_LENS, self.rig.lens):
                raise ValueError(
                    "lenses are given beside a rig, whose matrix holds only for those that it was found with; find the "
                    "rig again with them (`fusejax register --rig --ir-lens FILE --vi-lens FILE`), which keeps them."
                )
            object.__setattr__(self, "lens", self.rig.lens)
        if self.near is not None and self.rig is None:
            raise ValueError("a distance needs a rig, on top of which it is the shift; without a rig, pairs have none.")

    def transform(self, ir: Pixels, vi: Pixels) -> np.ndarray:
        """The matrix from a visible to an infrared pixel.

        Args:
            ir: infrared image.
            vi: visible image.

        Returns:
            [3, 3]; with lenses, between pixels of images without distortion.

        Raises:
            RegistrationError: if the pair is refused.
            ValueError: if the rig or a lens is for images of another aspect ratio.
        """
        if isinstance(self.rig, Rig) and (self.near is None or self.near.distance is not None):
            matrix = self.rig.scaled(ir.shape[:2], vi.shape[:2]).matrix
            return matrix if self.near is None else self.near.shift(scale=ir.shape[1] / self.rig.ir_size[1]) @ matrix
        # The same pair is asked for again where it is first fused and then scored.
        key = (ir.shape, vi.shape, *(zlib.crc32(x.tobytes()) for x in (ir, vi)))
        if key not in self._known:
            self._known[key] = self._found(ir, vi)
        return self._known[key]

    def _found(self, ir: Pixels, vi: Pixels) -> np.ndarray:
        if isinstance(self.rig, Rig):
            matrix = self.rig.scaled(ir.shape[:2], vi.shape[:2]).matrix
            return found_shift(*self.lens.straight(ir, vi), matrix)
        found: Registration = estimate(*self.lens.straight(ir, vi), model=self.model)
        if found.refused:
            raise RegistrationError(f"the pair cannot be registered: {found.refused}.")
        return found.matrix

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """See `fusejax.inference.Aligner`; raises what `transform` raises, with the name."""
        try:
            matrix = self.transform(ir, vi)
            return on_grid(ir, vi, matrix, self.grid, lens=self.lens)
        except ValueError as error:
            if name is None:
                raise
            raise type(error)(f"{name}: {error}") from error


def found_shift(ir: Pixels, vi: Pixels, matrix: np.ndarray) -> np.ndarray:
    """A rig's matrix with the shift that this pair needs; as it is if none is found.

    Args:
        ir: infrared image.
        vi: visible image.
        matrix: from a visible to an infrared pixel.

    Returns:
        [3, 3].
    """
    warped, _ = warp_pixels(ir, matrix, vi.shape[:2])
    found = estimate(warped, vi, model="translation", scales=(0.97, 1.03), rotations=(-1.5, 1.5))
    size = vi.shape[:2]
    if found.refused or displacement(found.matrix, size, size) > _FARTHEST * size[1]:
        return matrix
    return matrix @ found.matrix


def on_grid(ir: Pixels, vi: Pixels, matrix: np.ndarray, grid: Grid, *, lens: Lenses = NO_LENS) -> Aligned:
    """A pair on one grid.

    Args:
        ir: infrared image.
        vi: visible image.
        matrix: from a visible to an infrared pixel.
        grid: see `fusejax.inference.options.Grid`.
        lens: distortion of the cameras; the image whose grid it is stays as taken, and the other
            one is distorted to it.

    Returns:
        The pair, with the field of the infrared image on the visible grid as `share`, see `faded`.

    Raises:
        RegistrationError: if there is no common field.
    """
    known = lens.scaled(ir.shape[:2], vi.shape[:2])
    if grid == "ir":
        back = np.linalg.inv(matrix)
        warped, mask = warp_pixels(vi, back, ir.shape[:2], source=known.vi, target=known.ir)
        return Aligned(ir, (warped * mask).astype(vi.dtype))
    warped, mask = warp_pixels(ir, matrix, vi.shape[:2], source=known.ir, target=known.vi)
    if grid == "vi":
        return Aligned(warped, vi, share=faded(mask))
    rows, columns = common_field(mask[..., 0])
    return Aligned(*(np.ascontiguousarray(x[rows, columns]) for x in (warped, vi)))


def faded(mask: np.ndarray) -> np.ndarray:
    """A field that fades out within its borders, which a network would take for edges otherwise.

    Args:
        mask: [h, w, 1], 1 inside the field and 0 outside.

    Returns:
        float32 [h, w, 1]: 0 outside, and rising to 1 over a fiftieth of the longer side, at least 4
        pixels. The border of the image itself is none of the field.
    """
    if mask.min() > 0:
        return mask
    distance = cv2.distanceTransform((mask[..., 0] > 0).astype(np.uint8), cv2.DIST_L2, 3)
    fade = max(_LEAST_FADE, _FADE * max(mask.shape[:2]))
    return np.clip(distance / fade, 0, 1).astype(np.float32)[..., None]


def common_field(mask: np.ndarray) -> tuple[slice, slice]:
    """The largest rectangle within a convex field; a large one if lenses bend its sides inward.

    Args:
        mask: [h, w], above 0 inside the field.

    Returns:
        Its rows and columns.

    Raises:
        RegistrationError: if it is narrower than 16 pixels.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows):
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, _ROWS).round().astype(int))]
        left = mask[rows].argmax(axis=1)
        right = mask.shape[1] - mask[rows][:, ::-1].argmax(axis=1)
        height = rows[None, :] - rows[:, None] + 1  # from an upper row to a lower one
        width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
        top, bottom = np.unravel_index(np.argmax(np.clip(height, 0, None) * np.clip(width, 0, None)), width.shape)
        edges = rows[top], rows[bottom] + 1, max(left[top], left[bottom]), min(right[top], right[bottom])
        found = _within(mask, *map(int, edges))
        if min(s.stop - s.start for s in found) >= _LEAST_COMMON:
            return found
    raise RegistrationError("the images have no common field of at least 16x16 pixels.")


def _within(mask: np.ndarray, top: int, bottom: int, left: int, right: int) -> tuple[slice, slice]:
    """A rectangle whose sides are moved inward, the emptiest first, until none leaves the field."""
    while top < bottom and left < right:
        part = mask[top:bottom, left:right] > 0
        full = [float(side.mean()) for side in (part[0], part[-1], part[:, 0], part[:, -1])]
        if min(full) == 1:
            break
        emptiest = full.index(min(full))
        top, bottom = top + (emptiest == 0), bottom - (emptiest == 1)
        left, right = left + (emptiest == 2), right - (emptiest == 3)
    return slice(top, bottom), slice(left, right)


def warp_pixels(
    image: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    *,
    source: Lens | None = None,
    target: Lens | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Warps an image in its own data type, without aliasing; for files rather than for training.

    Args:
        image: [h, w, c], uint8, uint16 or floats.
        matrix: from a pixel of the result to the pixel of `image`.
        size: height and width of the result.
        source: lens of the camera of `image`; the matrix then leads to pixels without distortion.
        target: lens of the camera whose pixels the result has; the matrix then starts from pixels
            without distortion.

    Returns:
        The warped image [h2, w2, c], the border repeated outside, and a float32 mask [h2, w2, 1] of
        the image's field.
    """
    x = image.astype(np.float32)
    area = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if area > 1.5:
        x = cv2.GaussianBlur(x, (0, 0), 0.5 * np.sqrt(area**2 - 1))
    interpolation = cv2.INTER_CUBIC if image.dtype.kind == "u" else cv2.INTER_LINEAR
    inside = np.ones(image.shape[:2], np.float32)
    if source is None and target is None:
        whole, shape, inverse = np.asarray(matrix, np.float64), size[::-1], cv2.WARP_INVERSE_MAP
        seen = cv2.warpPerspective(x, whole, shape, flags=inverse | interpolation, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpPerspective(inside, whole, shape, flags=inverse | cv2.INTER_LINEAR)
    else:
        columns, rows = np.moveaxis(sampling_map(matrix, size, source, target), -1, 0)
        seen = cv2.remap(x, columns, rows, interpolation, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.remap(inside, columns, rows, cv2.INTER_LINEAR)
    if image.dtype.kind == "u":
        seen = np.clip(np.round(seen), 0, np.iinfo(image.dtype).max)
    return seen.reshape(*size, -1).astype(image.dtype), (mask > 0.99).astype(np.float32)[..., None]
