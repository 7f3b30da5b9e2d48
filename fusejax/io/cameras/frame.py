"""The common field of an infrared and a visible image that lie differently, in one frame."""

import dataclasses
import math
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.cameras.camera_file import Alignment, Size

Frame = Literal["ir", "vi"]
Grid = Literal["vi", "ir", "common"]
"""Whose pixels a result has: those of the visible image, of the infrared one, or the rectangle of
the visible image that both cameras see."""
_LEAST_SIDE = 8


@dataclasses.dataclass(frozen=True)
class Field:
    """The part that both images show, on the pixel grid of one of them.

    Attributes:
        frame: image whose pixels are kept.
        top: first row of that image.
        left: first column of that image.
        size: height and width.
        matrix: maps homogeneous points (x, y, 1) of the field to the other image.
    """

    frame: Frame
    top: int
    left: int
    size: Size
    matrix: Float[np.ndarray, "3 3"]

    def place(
        self, ir: Shaped[np.ndarray, "h w c"], vi: Shaped[np.ndarray, "h2 w2 c2"]
    ) -> tuple[Shaped[np.ndarray, "H W c"], Shaped[np.ndarray, "H W c2"]]:
        """Both images in the field."""
        return (self.cut(ir), self.warp(vi)) if self.frame == "ir" else (self.warp(ir), self.cut(vi))

    def moved(self, shift: tuple[float, float], vi: Size) -> "Field":
        """The field, in equal size, of an infrared image that lies elsewhere.

        Args:
            shift: how far it lies to the right and down, in pixels of the field.
            vi: height and width of the visible image, in which the field moves along with the
                infrared image as far as there are pixels.
        """
        x, y = shift
        if self.frame == "ir":
            return dataclasses.replace(self, matrix=self.matrix @ _translation(x, y))
        top = min(max(self.top + round(y), 0), vi[0] - self.size[0])
        left = min(max(self.left + round(x), 0), vi[1] - self.size[1])
        matrix = self.matrix @ _translation(left - self.left - x, top - self.top - y)
        return dataclasses.replace(self, top=top, left=left, matrix=matrix)

    def cut(self, pixels: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "H W c"]:
        """The field of the image whose frame this is, unchanged."""
        return pixels[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def warp(self, pixels: Shaped[np.ndarray, "h w c"]) -> Shaped[np.ndarray, "H W c"]:
        """The field of the other image, resampled.

        Bicubic where it is enlarged. Where it shrinks, a Gaussian first removes what the coarser
        grid cannot hold.

        Args:
            pixels: uint8, uint16 or float32.

        Returns:
            The same type; overshoot of the interpolation is kept within the values of the image.
        """
        step = math.sqrt(abs(np.linalg.det(self.matrix[:2, :2])))
        if step > 1:
            pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 * math.sqrt(step**2 - 1), borderType=cv2.BORDER_REPLICATE)
        method = cv2.INTER_LINEAR if step > 1 else cv2.INTER_CUBIC
        warped = cv2.warpAffine(
            pixels,
            self.matrix[:2],
            self.size[::-1],
            flags=method | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.clip(warped, pixels.min(), pixels.max()).reshape(*self.size, -1)


def common_field(alignment: Alignment, ir: Size, vi: Size, frame: Frame) -> Field:
    """The rows and columns of one image that the other one shows as well.

    Args:
        alignment: where the infrared image lies in the visible one.
        ir: height and width of the infrared image.
        vi: height and width of the visible image.
        frame: image whose pixels are kept.

    Returns:
        The field. A pixel belongs to it if its center lies inside the other image.

    Raises:
        ValueError: if the two have less than 8 pixels in common.
    """
    to_vi = alignment.matrix(ir, vi)
    to_other, own, other = (to_vi, ir, vi) if frame == "ir" else (np.linalg.inv(to_vi), vi, ir)
    scale = to_other[0, 0]
    first, size = [], []
    for axis, shift in ((0, to_other[1, 2]), (1, to_other[0, 2])):
        # Rounding must not decide whether an edge that coincides is inside.
        low = max(0, math.ceil((-0.5 - shift) / scale - 1e-6))
        high = min(own[axis] - 1, math.floor((other[axis] - 0.5 - shift) / scale + 1e-6))
        first.append(low)
        size.append(high - low + 1)
    if min(size) < _LEAST_SIDE:
        raise ValueError("its alignment leaves no common field")
    start = _translation(first[1], first[0])
    return Field(frame, first[0], first[1], (size[0], size[1]), to_other @ start)


def _translation(x: float, y: float) -> Float[np.ndarray, "3 3"]:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)
