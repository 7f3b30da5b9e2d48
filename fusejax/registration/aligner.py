"""The step before fusion that brings the infrared image onto the visible one's grid."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from fusejax.inference.align import Aligned, AlignError, Pixels
from fusejax.registration.estimation import Registration, estimate
from fusejax.registration.refinement import Model
from fusejax.registration.rig import Rig, read_rig


class RegistrationError(AlignError):
    """A pair that cannot be registered, with the reason."""


@dataclasses.dataclass(frozen=True)
class RegisterInfrared:
    """Warps every infrared image onto the grid of its visible image; an `Aligner`.

    With a rig, all pairs share its transform; without one, each pair is registered on its own.
    Outside the infrared image's field the mask is 0, so that the visible image is kept.

    Attributes:
        rig: the cameras' transform, or a file of it; None registers every pair.
        model: which transforms are allowed without a rig.
    """

    rig: Rig | str | Path | None = None
    model: Model = "homography"
    any_size: bool = dataclasses.field(default=True, init=False)

    def __post_init__(self) -> None:
        """Reads the rig."""
        if isinstance(self.rig, str | Path):
            object.__setattr__(self, "rig", read_rig(self.rig))

    def transform(self, ir: Pixels, vi: Pixels) -> np.ndarray:
        """The matrix from a visible to an infrared pixel.

        Args:
            ir: infrared image.
            vi: visible image.

        Returns:
            [3, 3].

        Raises:
            RegistrationError: if the pair is refused.
            ValueError: if the rig is for images of another aspect ratio.
        """
        if isinstance(self.rig, Rig):
            return self.rig.scaled(ir.shape[:2], vi.shape[:2]).matrix
        found: Registration = estimate(ir, vi, model=self.model)
        if found.refused:
            raise RegistrationError(f"the pair cannot be registered: {found.refused}.")
        return found.matrix

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """See `fusejax.inference.Aligner`; raises what `transform` raises, with the name."""
        try:
            matrix = self.transform(ir, vi)
        except ValueError as error:
            if name is None:
                raise
            raise type(error)(f"{name}: {error}") from error
        warped, mask = warp_pixels(ir, matrix, vi.shape[:2])
        return Aligned(warped, vi, mask)


def warp_pixels(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Warps an image in its own data type, without aliasing; for files rather than for training.

    Args:
        image: [h, w, c], uint8, uint16 or floats.
        matrix: from a pixel of the result to the pixel of `image`.
        size: height and width of the result.

    Returns:
        The warped image [h2, w2, c], the border repeated outside, and a float32 mask [h2, w2, 1] of
        the image's field.
    """
    x = image.astype(np.float32)
    area = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if area > 1.5:
        x = cv2.GaussianBlur(x, (0, 0), 0.5 * np.sqrt(area**2 - 1))
    flags, (h, w) = cv2.WARP_INVERSE_MAP, size
    interpolation = cv2.INTER_CUBIC if image.dtype.kind == "u" else cv2.INTER_LINEAR
    whole = np.asarray(matrix, np.float64)
    seen = cv2.warpPerspective(x, whole, (w, h), flags=flags | interpolation, borderMode=cv2.BORDER_REPLICATE)
    inside = np.ones(image.shape[:2], np.float32)
    mask = cv2.warpPerspective(inside, whole, (w, h), flags=flags | cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if image.dtype.kind == "u":
        seen = np.clip(np.round(seen), 0, np.iinfo(image.dtype).max)
    return seen.reshape(*size, -1).astype(image.dtype), (mask > 0.99).astype(np.float32)[..., None]
