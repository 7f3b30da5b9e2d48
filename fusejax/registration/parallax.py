"""The shift of near scenes: two cameras beside each other agree at one distance only."""

import dataclasses

import numpy as np

from fusejax.registration.geometry import translation


@dataclasses.dataclass(frozen=True)
class Near:
    """How far the scene is, on top of a rig that was found on far scenes.

    A point at the distance Z moves in the infrared image by f b / Z pixels against where the rig
    has it, with the focal length f in pixels and the distance b of the cameras; the optical axes
    are taken as parallel.

    Attributes:
        distance: in meters; None if the shift is to be found in every pair.
        baseline: place of the infrared camera as seen from the visible one, in meters to the right
            and down.
        focal: focal length of the infrared camera, in pixels of the infrared images that the rig
            was found on.
    """

    distance: float | None = None
    baseline: tuple[float, float] = (0.0, 0.0)
    focal: float = 0.0

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: if a distance is given that is not positive, or without the numbers that
                turn it into pixels.
        """
        if self.distance is None:
            return
        if not self.distance > 0:
            raise ValueError(f"the distance is {self.distance:g} m; give a number above 0.")
        if not self.focal > 0 or not any(self.baseline):
            raise ValueError(
                "a distance in meters needs the baseline of the cameras in meters and the focal length of the infrared "
                "camera in pixels (focal length in mm / size of a pixel in mm); without them, have the shift found."
            )

    def shift(self, *, scale: float = 1.0) -> np.ndarray:
        """The matrix to apply after the rig's.

        Args:
            scale: width of the infrared images against those of the rig.

        Returns:
            [3, 3]; the identity if the shift is to be found.
        """
        if self.distance is None:
            return np.eye(3)
        x, y = (-self.focal * scale * b / self.distance for b in self.baseline)
        return translation(x, y)
