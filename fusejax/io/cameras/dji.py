"""DJI's radiometric JPEG: 16-bit counts in segments of the application.

The segments of one number, joined in the order of the file, are the sensor's values in rows,
little-endian. Newer cameras use APP3, the Zenmuse XT S uses APP4, and shorter segments with other
numbers hold calibration, so the length decides and no camera is known by its name.
"""

import numpy as np
from jaxtyping import UInt

from fusejax.io.cameras.segments import Segment, app, frame_size

_NUMBERS = (3, 4, 5)
# Calibration tables are shorter than the counts of the smallest sensor (160x120).
_LEAST_BYTES = 2 * 160 * 120
# The picture may be enlarged ("super resolution") while the counts keep the sensor's size.
_ENLARGED = range(1, 9)


class DjiError(ValueError):
    """Damaged counts; the message says what is wrong, without the file's name."""


def joined(found: list[Segment]) -> dict[int, bytes]:
    """Content of the segments APP3 to APP5 by number, joined in the order of the file."""
    return {n: b"".join(s.data for s in found if s.marker == app(n)) for n in _NUMBERS}


def find_counts(found: list[Segment], *, by_dji: bool) -> UInt[np.ndarray, "h w 1"] | None:
    """The sensor's values, or None if the file holds none.

    Args:
        found: segments of the file.
        by_dji: whether the file says that DJI made it; other files that hold segments of another
            length are ordinary pictures.

    Raises:
        DjiError: if a file by DJI holds counts of another number than its picture's size asks for.
    """
    size = frame_size(found)
    if size is None:
        return None
    parts = joined(found)
    for data in parts.values():
        for factor in _ENLARGED:
            height, width = size[0] // factor, size[1] // factor
            if len(data) == 2 * height * width >= _LEAST_BYTES:
                return np.frombuffer(data, "<u2").astype(np.uint16).reshape(height, width, 1)
    longest = max(parts.values(), key=len)
    if by_dji and len(longest) >= _LEAST_BYTES:
        raise DjiError(
            f"its picture is {size[1]}x{size[0]}, so {2 * size[0] * size[1]} bytes of counts are expected, but the "
            f"file holds {len(longest)}"
        )
    return None
