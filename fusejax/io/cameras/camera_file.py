"""What a thermal camera stores in one file, in one form for all makes."""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped, UInt

from fusejax.io.cameras.units import Unit

Size = tuple[int, int]


class CameraError(ValueError):
    """A camera's file cannot be used; the message names it and says what to do."""


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Where the infrared image lies in the visible one, as the camera states it.

    A point (x, y) of the infrared image, in pixels from its center, lies at
    (scale * x + offset_x, scale * y + offset_y) from the center of the visible image.

    Attributes:
        scale: visible pixels per infrared pixel.
        offset_x: shift to the right, in visible pixels.
        offset_y: shift downwards, in visible pixels.
    """

    scale: float
    offset_x: float
    offset_y: float

    def matrix(self, ir: Size, vi: Size) -> Float[np.ndarray, "3 3"]:
        """Maps homogeneous points (x, y, 1) of the infrared image to the visible one.

        Args:
            ir: height and width of the infrared image.
            vi: height and width of the visible image.

        Returns:
            float64; the centers of the top left pixels are at (0, 0).
        """
        center_ir, center_vi = (((width - 1) / 2, (height - 1) / 2) for height, width in (ir, vi))
        x = center_vi[0] + self.offset_x - self.scale * center_ir[0]
        y = center_vi[1] + self.offset_y - self.scale * center_ir[1]
        return np.array([[self.scale, 0, x], [0, self.scale, y], [0, 0, 1]])


@dataclasses.dataclass(frozen=True)
class Camera:
    """The camera that made the file; text is empty and numbers are None where it does not say.

    Attributes:
        make: maker.
        model: model.
        serial: serial number.
        lens: lens.
        emissivity: of the scene, as set in the camera, 0 to 1.
        distance: of the scene in meters, as set in the camera.
        span: lowest and highest temperature in degrees Celsius that the camera measures.
    """

    make: str = ""
    model: str = ""
    serial: str = ""
    lens: str = ""
    emissivity: float | None = None
    distance: float | None = None
    span: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class CameraLayout:
    """What a camera's file holds, without its pixels.

    Attributes:
        kind: "FLIR" or "DJI", the format.
        ir: height and width of the infrared image as stored.
        vi: height and width of the visible image as stored, if there is one.
        alignment: how the two lie, if the file says so.
        turned: EXIF orientation that applies to both images, 1 (upright) to 8.
        camera: the thermal camera.
        unplaced: why the visible image or its place cannot be used, where the file is wrong about
            them; the infrared image can be used all the same.
    """

    kind: Literal["FLIR", "DJI"]
    ir: Size
    vi: Size | None = None
    alignment: Alignment | None = None
    turned: int = 1
    camera: Camera = Camera()
    unplaced: str = ""


@dataclasses.dataclass(frozen=True)
class CameraFile:
    """Content of a camera's file.

    Attributes:
        layout: what it holds.
        thermal: [h, w, 1], uint16 counts, or float32 temperatures; as stored, not turned.
        unit: unit of `thermal`.
        visible: [H, W, 3] uint8 RGB, if the file holds a visible image; as stored.
    """

    layout: CameraLayout
    thermal: Shaped[np.ndarray, "h w 1"]
    unit: Unit
    visible: UInt[np.ndarray, "H W 3"] | None = None
