"""Units of infrared values: counts, and temperatures on four scales."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

Unit = Literal["counts", "k", "ck", "c", "f"]
"""Counts of the sensor, kelvin, hundredths of a kelvin, degrees Celsius, degrees Fahrenheit."""
Degrees = Literal["c", "k", "f"]
Stored = Literal["auto", "counts", "k", "ck", "c", "f"]
"""What a user says about the values of files; "auto" believes the files."""

SYMBOLS: dict[str, str] = {"counts": "counts", "k": "K", "ck": "hundredths of a kelvin", "c": "°C", "f": "°F"}
_ZERO_CELSIUS = 273.15


def convert(values: Shaped[np.ndarray, "*size"], unit: Unit, wanted: Degrees) -> Float[np.ndarray, "*size"]:
    """Converts temperatures.

    Args:
        values: temperatures in `unit`.
        unit: their unit; not counts.
        wanted: unit of the result.

    Returns:
        float32.

    Raises:
        ValueError: for counts, which only the camera's formula turns into temperatures.
    """
    if unit == "counts":
        raise ValueError("counts cannot be converted to degrees without the camera's formula.")
    if unit == wanted:
        return values.astype(np.float32)
    # In float64, because 300 K in float32 has steps of 3e-5 K.
    exact = values.astype(np.float64)
    if unit == "ck":
        exact = exact / 100
    elif unit == "c":
        exact = exact + _ZERO_CELSIUS
    elif unit == "f":
        exact = (exact - 32) / 1.8 + _ZERO_CELSIUS
    if wanted == "c":
        exact = exact - _ZERO_CELSIUS
    elif wanted == "f":
        exact = (exact - _ZERO_CELSIUS) * 1.8 + 32
    return exact.astype(np.float32)
