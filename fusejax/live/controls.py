"""What can be changed while a live session runs, by its page or by a program."""

import dataclasses
import threading
from typing import Any, Literal, get_args

View = Literal["fused", "overlay", "edges", "infrared", "visible"]
VIEWS: tuple[View, ...] = get_args(View)


@dataclasses.dataclass(frozen=True)
class Slider:
    """A number that the page offers.

    Attributes:
        name: field of `Settings`.
        label: text beside it.
        low: lowest value.
        high: highest value.
        step: distance of values.
    """

    name: str
    label: str
    low: float
    high: float
    step: float


# A slider on the page is one line here and one field in `Settings`.
SLIDERS = (
    Slider("strength", "strength", 0.0, 2.0, 0.05),
    Slider("temporal", "settle over seconds", 0.0, 2.0, 0.1),
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of the next frame.

    Attributes:
        temporal: time constant in seconds, see `fusejax.inference.temporal`.
        strength: see `fusejax.fuse`.
        view: what is shown: a style of `fusejax.fuse`, or a source.
        recording: whether shown frames are recorded.
    """

    temporal: float = 0.0
    strength: float = 1.0
    view: View = "fused"
    recording: bool = False


class Controls:
    """Settings that one thread reads and others change."""

    def __init__(self, settings: Settings):
        """Starts with the given settings."""
        self._settings, self._lock = settings, threading.Lock()
        self.stop = threading.Event()

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self._settings

    def change(self, **values: Any) -> Settings:
        """Changes some settings.

        Args:
            values: new values by name.

        Returns:
            All settings.

        Raises:
            ValueError: for unknown names and for values that are not allowed.
        """
        for name, value in values.items():
            _check(name, value)
        with self._lock:
            self._settings = dataclasses.replace(self._settings, **values)
            return self._settings


def _check(name: str, value: Any) -> None:
    sliders = {slider.name: slider for slider in SLIDERS}
    if name in sliders:
        low, high = sliders[name].low, sliders[name].high
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{name} is {value!r}; give a number from {low:g} to {high:g}.")
    elif name == "view":
        if value not in VIEWS:
            raise ValueError(f"view is {value!r}; give one of {', '.join(VIEWS)}.")
    elif name == "recording":
        if not isinstance(value, bool):
            raise ValueError(f"recording is {value!r}; give true or false.")
    else:
        raise ValueError(f"there is no setting {name!r}; there are {', '.join(sliders)}, view and recording.")
