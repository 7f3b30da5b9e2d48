"""Files with the numbers of a lens: OpenCV's calibration, and the block of a rig."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fusejax.io.json_text import read_json
from fusejax.registration.lens import NO_LENS, Lens, Lenses

_LONGEST = 1 << 20  # characters of a file of numbers
_LARGEST = 10**15  # whole number, which a float still holds


def read_lens(path: str | Path) -> Lens:
    """Reads the numbers of a lens.

    Args:
        path: YAML, XML or JSON as OpenCV's calibration writes it (`camera_matrix`,
            `distortion_coefficients`, `image_width`, `image_height`), or JSON with `fx`, `fy`,
            `cx`, `cy`, `distortion`, `width` and `height`.

    Returns:
        The lens.

    Raises:
        ValueError: if it is damaged or lacks a number; names the file.
        OSError: if it cannot be read.
    """
    with Path(path).open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_LONGEST)
    try:
        if text.lstrip().startswith("{") and '"camera_matrix"' not in text:
            return lens_of(read_json(path))
        return lens_of(_calibrated(text))
    except cv2.error as error:
        why = "OpenCV cannot read it; give the file that its calibration writes, with matrices as OpenCV stores them"
        raise ValueError(f"{path} has no lens: {why} ({' '.join(str(error).split())}).") from error
    except ValueError as error:
        raise ValueError(f"{path} has no lens: {error}") from error


def _calibrated(text: str) -> dict[str, Any]:
    """The values of a file by OpenCV under the names of `Lens`."""
    storage = cv2.FileStorage()
    if not storage.open(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY):
        raise ValueError("OpenCV finds nothing in it; give the file that its calibration writes.")
    nodes = {
        name: storage.getNode(name)
        for name in ("camera_matrix", "distortion_coefficients", "image_width", "image_height")
    }
    if lacking := [name for name, node in nodes.items() if node.empty()]:
        raise ValueError(f"it lacks {lacking}; give the file that OpenCV's calibration writes.")
    camera, distortion = nodes["camera_matrix"].mat(), nodes["distortion_coefficients"].mat()
    if camera is None or distortion is None or camera.shape != (3, 3):
        shape = None if camera is None else list(camera.shape)
        raise ValueError(f"its camera_matrix is {shape}; expected OpenCV matrices, 3x3 and the distortion's.")
    (fx, _, cx), (_, fy, cy), _ = camera.astype(np.float64).tolist()
    size = {name: nodes[f"image_{name}"].real() for name in ("width", "height")}
    values = {"fx": fx, "fy": fy, "cx": cx, "cy": cy, "distortion": distortion.astype(np.float64).ravel().tolist()}
    return values | size


def lens_of(values: Any) -> Lens:
    """A lens from what a JSON file holds.

    Args:
        values: the fields of `Lens`.

    Returns:
        The lens.

    Raises:
        ValueError: if a field is missing or is no number, and see `Lens`.
    """
    names = [field.name for field in dataclasses.fields(Lens)]
    lacking = [name for name in names if name not in values] if isinstance(values, dict) else names
    if lacking:
        raise ValueError(f"it lacks {lacking}; give {', '.join(names)}.")
    distortion = values["distortion"]
    numbers = [*(values[name] for name in names if name != "distortion")]
    numbers += distortion if isinstance(distortion, list) else [distortion]
    if odd := [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | float)]:
        raise ValueError(f"{odd[0]!r} is no number; give numbers for {', '.join(names)}, a list for distortion.")
    if not isinstance(distortion, list):
        raise ValueError(f"distortion is {distortion!r}; give a list of numbers, [k1, k2, p1, p2, ...].")
    if odd := [n for n in numbers if isinstance(n, int) and abs(n) > _LARGEST]:
        raise ValueError(f"a number has {len(str(abs(odd[0])))} digits; expected pixels and coefficients.")
    sizes = values["width"], values["height"]
    if any(float(n) != math.floor(n) if math.isfinite(n) else True for n in sizes):
        raise ValueError(f"the size is {sizes[0]}x{sizes[1]}; give whole numbers of pixels.")
    focal = {name: float(values[name]) for name in ("fx", "fy", "cx", "cy")}
    width, height = map(int, sizes)
    return Lens(**focal, distortion=tuple(map(float, distortion)), width=width, height=height)


def lenses_of(values: Any) -> Lenses:
    """Both lenses from the block `lens` of a rig, see `lens_of`; none without the block."""
    if values is None:
        return NO_LENS
    if not isinstance(values, dict):
        raise ValueError(f"its lens is {values!r}; expected `ir` and `vi`.")
    return Lenses(**{name: None if values.get(name) is None else lens_of(values[name]) for name in ("ir", "vi")})
