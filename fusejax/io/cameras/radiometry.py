"""Counts of a FLIR camera turned into temperatures.

The sensor's answer to a black body of temperature T is S = R1 / (R2 (exp(B / T) - F)) - O. What
arrives from an object also passes air and perhaps a window, and contains what the object reflects
and what air and window emit.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, UInt

# Polynomial of the water in the air in degrees Celsius, as in FLIR's documentation.
_WATER = (1.5587, 6.939e-2, -2.7816e-4, 6.8455e-7)
_ZERO_CELSIUS = 273.15
_OUTSIDE = 150.0  # kelvin beyond the camera's span that no whole image has


class RadiometryError(ValueError):
    """Parameters with which no temperature can be computed."""


@dataclasses.dataclass(frozen=True)
class Radiometry:
    """Parameters in the file. Temperatures are in kelvin.

    Attributes:
        r1: Planck constant R1.
        r2: Planck constant R2.
        b: Planck constant B, in kelvin.
        f: Planck constant F.
        o: Planck constant O, in counts.
        emissivity: of the object, 0 to 1.
        distance: of the object in meters.
        reflected: apparent temperature of what the object reflects.
        air: temperature of the air.
        window: temperature of the window.
        window_transmission: 1 without a window.
        humidity: relative humidity, 0 to 1.
        alpha1: constant of the air's transmission.
        alpha2: constant of the air's transmission.
        beta1: constant of the air's transmission.
        beta2: constant of the air's transmission.
        x: share of the first exponential in the air's transmission.
    """

    r1: float
    r2: float
    b: float
    f: float
    o: float
    emissivity: float
    distance: float
    reflected: float
    air: float
    window: float
    window_transmission: float
    humidity: float
    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float

    def check(self) -> None:
        """Raises RadiometryError, naming the parameter, for values no camera has."""
        values = dataclasses.asdict(self)
        if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
            raise RadiometryError(f"{wrong[0]} is not a number")
        limits = {
            "r1": (1, 1e7),
            "r2": (1e-6, 1e3),
            "b": (100, 1e4),
            "f": (-10, 1e3),
            "o": (-(2**17), 2**17),
            "emissivity": (1e-2, 1),
            "distance": (0, 1e5),
            "reflected": (0, 1e4),
            "air": (100, 1e3),
            "window": (0, 1e4),
            "window_transmission": (1e-2, 1),
            "humidity": (0, 1),
            "x": (-10, 10),
        }
        for name, (low, high) in limits.items():
            # The file holds float32: 1 may read 1.0000001.
            if not low * (1 - 1e-6) <= values[name] <= high * (1 + 1e-6):
                raise RadiometryError(f"{name} is {values[name]:g}, outside {low:g} to {high:g}")


def _air_transmission(p: Radiometry) -> float:
    celsius = p.air - _ZERO_CELSIUS
    water = math.sqrt(p.humidity * math.exp(sum(c * celsius**n for n, c in enumerate(_WATER))))
    way = math.sqrt(p.distance)
    first, second = (math.exp(-way * (a + b * water)) for a, b in ((p.alpha1, p.beta1), (p.alpha2, p.beta2)))
    return p.x * first + (1 - p.x) * second


def _counts(temperature: float, p: Radiometry) -> float:
    """Counts for a black body; 0 K radiates nothing."""
    radiance = p.r1 / (p.r2 * (math.exp(p.b / temperature) - p.f)) if temperature > 1 else 0.0
    return radiance - p.o


def to_kelvin(counts: UInt[np.ndarray, "*size"], parameters: Radiometry) -> Float[np.ndarray, "*size"]:
    """Temperatures of the objects in the image.

    The air is split into halves before and behind the window, as FLIR's tools do; without a window
    this is one path.

    Args:
        counts: values of the sensor.
        parameters: as stored beside them.

    Returns:
        float32 in kelvin. Objects that are colder than anything the formula can say (clear sky
        below the camera's offset) get the lowest temperature that it yields in this image.

    Raises:
        RadiometryError: if the parameters are absurd, or no pixel has a temperature.
    """
    p = parameters
    p.check()
    try:
        half = _air_transmission(dataclasses.replace(p, distance=p.distance / 2))
        if not 1e-3 < half <= 1.001:
            raise RadiometryError(f"the air would transmit {half:g} of the radiation")
        passed = p.emissivity * half * p.window_transmission * half
        foreign = (
            (1 - p.emissivity) / p.emissivity * _counts(p.reflected, p)
            + (1 - half) / (p.emissivity * half) * _counts(p.air, p)
            + (1 - p.window_transmission) / (p.emissivity * half * p.window_transmission) * _counts(p.window, p)
            + (1 - half) / passed * _counts(p.air, p)
        )
    except (OverflowError, ZeroDivisionError) as error:
        raise RadiometryError("the parameters of air, window and reflection are absurd") from error
    # One logarithm for each count that occurs instead of one for each pixel.
    least = int(counts.min())
    table = np.arange(least, int(counts.max()) + 1, dtype=np.float64)
    radiance = p.r2 * (table / passed - foreign + p.o)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(radiance > 0, p.r1 / radiance + p.f, np.nan)
        kelvin = np.where(inner > 1, p.b / np.log(inner), np.nan)
    image = kelvin[counts - least]
    valid = np.isfinite(image)
    if not valid.any():
        raise RadiometryError("no pixel has a temperature")
    lowest, highest = image[valid].min(), image[valid].max()
    if highest > 1e4:
        raise RadiometryError(f"some pixel would be at {highest:g} K")
    return np.where(valid, image, lowest).astype(np.float32)


def check_span(kelvin: Float[np.ndarray, "*size"], span: tuple[float, float] | None) -> None:
    """Checks that not the whole image is far outside of what the camera measures.

    A clear sky is below it, and a flame above, but not everything is.

    Args:
        kelvin: temperatures.
        span: lowest and highest temperature in degrees Celsius that the camera measures, if known.

    Raises:
        RadiometryError: if the image is by 150 K outside.
    """
    if span is None:
        return
    low, high = (float(x) - _ZERO_CELSIUS for x in (kelvin.min(), kelvin.max()))
    if low > span[1] + _OUTSIDE or high < span[0] - _OUTSIDE:
        raise RadiometryError(
            f"they would be from {low:.0f} to {high:.0f} degrees Celsius, but the camera measures from {span[0]:.0f} "
            f"to {span[1]:.0f}"
        )
