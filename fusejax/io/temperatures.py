"""Temperatures as float32 TIFF files."""

import os

import numpy as np
from jaxtyping import Shaped

from fusejax.io.cameras import Unit
from fusejax.io.metadata import Metadata
from fusejax.io.metadata.embedding import encode_tiff
from fusejax.io.outputs import write_complete

_NAMES = {"c": "degrees Celsius", "k": "kelvin", "f": "degrees Fahrenheit"}


def write_temperatures(
    path: str | os.PathLike, values: Shaped[np.ndarray, "h w 1"], unit: Unit, found: Metadata | None = None
) -> None:
    """Writes temperatures; the description of the file names the unit.

    Args:
        path: TIFF file to write; its folder is created if needed.
        values: temperatures.
        unit: "c", "k" or "f".
        found: metadata of the picture, of which position and GeoTIFF tags matter to maps.

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    kept = Metadata(exif=found.exif, geo=found.geo) if found else Metadata()
    content, _ = encode_tiff(values.astype(np.float32), kept, description=f"temperature in {_NAMES[unit]}")
    write_complete(path, content)
