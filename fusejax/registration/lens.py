"""Lens distortion of either camera, in OpenCV's model, and sampling maps that go through it."""

import dataclasses
import functools
import math

import cv2
import numpy as np
from jaxtyping import Float64, Real, Shaped

from fusejax.registration.geometry import map_points, resampling

_COUNTS = (4, 5, 8, 12, 14)  # numbers of OpenCV's model: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1..s4 [tx ty]]]]
_ASPECT = 0.01  # relative difference of aspect ratios that still counts as the same
_CHUNK = 1 << 16  # points at once: OpenCV also computes derivatives, of which a whole image's are gigabytes
_STEPS, _EXACT = 20, 1e-4  # of Newton's method, and pixels at which it ends
_WIDEST, _RADII, _DIRECTIONS = 8.0, 4097, 16  # tangent of the widest angle, and where the model is looked at
_OUTSIDE = -1e4  # pixels; for points that the camera does not see


@dataclasses.dataclass(frozen=True)
class Lens:
    """Focal lengths, principal point and distortion of a camera.

    Attributes:
        fx: focal length in pixels along x.
        fy: focal length in pixels along y.
        cx: column of the principal point; pixel centers are at integers.
        cy: row of the principal point.
        distortion: OpenCV's k1, k2, p1, p2, and k3 and further ones if the calibration has them.
        width: of the images that the numbers hold for, in pixels.
        height: likewise.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    width: int
    height: int

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: if a focal length or size is not positive, if a number is not finite, or if
                the model has no such count of numbers.
        """
        if len(self.distortion) not in _COUNTS:
            raise ValueError(
                f"the lens has {len(self.distortion)} distortion numbers; give k1 k2 p1 p2, or 5, 8, 12 or 14 numbers "
                "in OpenCV's order (0 for those that you do not have)."
            )
        values = {"fx": self.fx, "fy": self.fy, "cx": self.cx, "cy": self.cy}
        values |= {f"distortion[{n}]": value for n, value in enumerate(self.distortion)}
        if odd := {name: value for name, value in values.items() if not math.isfinite(value)}:
            raise ValueError(f"the lens has {odd}, which are no finite numbers; calibrate the camera again.")
        if not min(self.fx, self.fy) > 0:
            raise ValueError(
                f"the lens has focal lengths fx = {self.fx:g} and fy = {self.fy:g}; both must be above 0, in pixels "
                "(focal length in mm / size of a pixel in mm)."
            )
        if min(self.width, self.height) < 1:
            raise ValueError(f"the lens is for images of {self.width}x{self.height}; give their width and height.")

    @property
    def camera(self) -> np.ndarray:
        """OpenCV's camera matrix, float64 [3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def scaled(self, size: tuple[int, int]) -> "Lens":
        """The lens for images of the same camera at another resolution.

        Args:
            size: height and width of the images.

        Returns:
            The lens at this size.

        Raises:
            ValueError: if the aspect ratio differs, since the images were then cut, and how is
                unknown.
        """
        if abs(size[1] * self.height / (size[0] * self.width) - 1) > _ASPECT:
            raise ValueError(
                f"the lens is for images of {self.width}x{self.height} pixels and these have {size[1]}x{size[0]}, "
                "another aspect ratio; calibrate the camera with such images."
            )
        camera = resampling(size[1] / self.width, size[0] / self.height) @ self.camera
        (fx, _, cx), (_, fy, cy), _ = camera.tolist()
        return Lens(fx, fy, cx, cy, self.distortion, size[1], size[0])


@dataclasses.dataclass(frozen=True)
class Lenses:
    """The lenses of both cameras.

    Attributes:
        ir: of the infrared camera; None if it does not distort.
        vi: of the visible one, likewise.
    """

    ir: Lens | None = None
    vi: Lens | None = None

    def __bool__(self) -> bool:
        """Whether one of them is known."""
        return self.ir is not None or self.vi is not None

    def scaled(self, ir_size: tuple[int, int], vi_size: tuple[int, int]) -> "Lenses":
        """Both lenses for images at other resolutions.

        Args:
            ir_size: height and width of infrared images.
            vi_size: height and width of visible images.

        Returns:
            The lenses at these sizes.

        Raises:
            ValueError: if an aspect ratio differs.
        """
        sizes = {"ir": ir_size, "vi": vi_size}
        return Lenses(**{n: None if (one := getattr(self, n)) is None else one.scaled(s) for n, s in sizes.items()})

    def straight(
        self, ir: Shaped[np.ndarray, "h w *c"], vi: Shaped[np.ndarray, "H W *C"]
    ) -> tuple[Shaped[np.ndarray, "h w *c"], Shaped[np.ndarray, "H W *C"]]:
        """Both images as cameras without distortion see them, for finding transforms.

        Args:
            ir: infrared image [h, w] or [h, w, c].
            vi: visible image, likewise.

        Returns:
            Both in their shapes, float32, the border repeated where nothing was seen; an image
            without a lens as it is.

        Raises:
            ValueError: if a lens is for images of another aspect ratio.
        """
        known = self.scaled(ir.shape[:2], vi.shape[:2])
        return _undistorted(ir, known.ir), _undistorted(vi, known.vi)


NO_LENS = Lenses()
"""Cameras that do not distort."""


def lens_points(points: Real[np.ndarray, "n 2"], lens: Lens, *, inverse: bool = False) -> Float64[np.ndarray, "n 2"]:
    """Where a lens puts points.

    Args:
        points: [n, 2], x and y in pixels of an image without distortion, with the same camera
            matrix.
        lens: the lens.
        inverse: take points of the distorted image and undo the distortion.

    Returns:
        float64 [n, 2], in pixels; NaN where the model folds, that is, where it would show a second
        time what lies nearer to the center.
    """
    points = np.asarray(points, np.float64)
    one = _straight if inverse else _bent
    return np.concatenate([one(points[n : n + _CHUNK], lens) for n in range(0, max(len(points), 1), _CHUNK)])


def _bent(points: np.ndarray, lens: Lens) -> np.ndarray:
    rays = (points - (lens.cx, lens.cy)) / (lens.fx, lens.fy)
    seen = _projected(rays, lens)
    seen[~(np.linalg.norm(rays, axis=1) < _reach(lens))] = np.nan
    return seen


def _straight(points: np.ndarray, lens: Lens) -> np.ndarray:
    """Newton's method from OpenCV's answer, which is off by hundredths of a pixel far outside."""
    rays = cv2.undistortPoints(points[:, None], lens.camera, np.array(lens.distortion)).reshape(-1, 2)
    bad = ~(np.linalg.norm(rays, axis=1) < _reach(lens))
    rays[bad] = 0.0
    left, step = np.arange(len(points)), 1e-6
    for _ in range(_STEPS):
        at = _projected(rays[left], lens)
        off = points[left] - at
        far = ~(np.linalg.norm(off, axis=1) < _EXACT)
        left, at, off = left[far], at[far], off[far]
        if not len(left):
            break
        columns = [(_projected(rays[left] + step * np.eye(2)[k], lens) - at) / step for k in (0, 1)]
        (a, c), (b, d) = (column.T for column in columns)
        with np.errstate(all="ignore"):  # a point where the model folds has no answer, and becomes NaN
            rays[left] += (
                np.stack([d * off[:, 0] - b * off[:, 1], a * off[:, 1] - c * off[:, 0]], -1) / (a * d - b * c)[:, None]
            )
    rays[left] = np.nan
    rays[~(np.linalg.norm(rays, axis=1) < _reach(lens))] = np.nan
    return rays * (lens.fx, lens.fy) + (lens.cx, lens.cy)


def _projected(rays: np.ndarray, lens: Lens) -> np.ndarray:
    if not len(rays):
        return np.empty((0, 2))
    space = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)[:, None]
    seen, _ = cv2.projectPoints(space, np.zeros(3), np.zeros(3), lens.camera, np.array(lens.distortion))
    return seen.reshape(-1, 2)


@functools.lru_cache(maxsize=16)
def _reach(lens: Lens) -> float:
    """Tangent of the angle to the axis up to which points further out are seen further out."""
    radii, turns = np.linspace(0, _WIDEST, _RADII), np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    rays = radii[:, None, None] * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    seen = (_projected(rays.reshape(-1, 2), lens) - (lens.cx, lens.cy)) / (lens.fx, lens.fy)
    distance = np.linalg.norm(seen, axis=1).reshape(_RADII, _DIRECTIONS)
    rising = (np.diff(distance, axis=0) > 0).all(axis=1)
    return math.inf if rising.all() else float(radii[rising.argmin()])


def sampling_map(
    matrix: np.ndarray, size: tuple[int, int], source: Lens | None = None, target: Lens | None = None
) -> np.ndarray:
    """Which point of one camera's image every pixel of another camera's shows.

    The pixel's distortion is undone, the matrix applied, and the other camera's distortion done, so
    that the image is resampled only once.

    Args:
        matrix: from a pixel of the result to a pixel of the other image, both without distortion.
        size: height and width of the result.
        source: lens of the camera that is sampled, for its image's size.
        target: lens of the camera whose pixels the result has, for this size.

    Returns:
        float32 [h, w, 2], x and y; far outside where the lenses show nothing. Kept for the next
        image and not to be written to.
    """
    return _sampling_map(np.asarray(matrix, np.float64).tobytes(), size, source, target)


@functools.lru_cache(maxsize=4)
def _sampling_map(matrix: bytes, size: tuple[int, int], source: Lens | None, target: Lens | None) -> np.ndarray:
    points = map_points(np.frombuffer(matrix).reshape(3, 3), _grid(size, target))
    if source is not None:
        points = lens_points(points, source)
    found = np.nan_to_num(points, nan=_OUTSIDE).reshape(*size, 2).astype(np.float32)
    found.setflags(write=False)
    return found


@functools.lru_cache(maxsize=2)
def _grid(size: tuple[int, int], lens: Lens | None) -> np.ndarray:
    """All pixels, row by row, without the distortion of their camera: float32 [n, 2]."""
    y, x = np.mgrid[: size[0], : size[1]]
    points = np.stack([x.ravel(), y.ravel()], axis=-1)
    return (points if lens is None else lens_points(points, lens, inverse=True)).astype(np.float32)


def _undistorted(image: np.ndarray, lens: Lens | None) -> np.ndarray:
    if lens is None:
        return image
    x, y = np.moveaxis(sampling_map(np.eye(3), image.shape[:2], source=lens), -1, 0)
    seen = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.reshape(image.shape)
