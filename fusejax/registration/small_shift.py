"""A small correction of where a camera's file says that its infrared image lies.

The numbers in such a file are right at one distance; at others, parallax moves the images against
each other, and some cameras are off everywhere.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable

import numpy as np

from fusejax.io.pair_images import Pixels, SourceOptions, read_pair
from fusejax.io.pairing import PairPaths
from fusejax.registration.fitting import FAR, MIDDLE, NEAR, Surfaces, contrast, fit, halves, surfaces
from fusejax.registration.geometry import translation
from fusejax.registration.inputs import unusable
from fusejax.registration.trust import relative_contrast
from fusejax.registration.views import Pyramid, gray

_SMALLEST = 32  # pixels
# Shares of the width: what files and this measure are off by, and what is taken for a wrong peak.
_LEAST, _MOST = 0.007, 0.04
_GAIN = 1.02  # of the correlation of the descriptors
_WIDE = FAR[-1]
# Files of a folder that are looked at, from how many files on, and how many of them decide.
_SAMPLED, _MANY, _DECIDE = 5, 8, 2


_ONE_LOOKS = threading.Lock()


@dataclasses.dataclass(frozen=True)
class SmallShift:
    """Corrects files of cameras that hold both images, see `find_small_shift` and `AsRead`.

    Looking at a file costs several times its fusion. Of eight or more files, five that are spread
    over them are therefore looked at first, and the others only if two of these need it.

    Attributes:
        files: all files of the call; none if every file is to be looked at.
        say: takes one line about the first file that is corrected; none by default.
    """

    files: tuple[PairPaths, ...] = ()
    say: Callable[[str], None] | None = None
    _said: list[str] = dataclasses.field(default_factory=list, init=False, repr=False, compare=False)

    def __call__(self, ir: Pixels, vi: Pixels, name: str) -> tuple[float, float] | None:
        """See `fusejax.io.pair_images.Correct`."""
        with _ONE_LOOKS:
            needed = self._needed
        shift = find_small_shift(ir, vi) if needed else None
        if shift is not None and self.say is not None and not self._said:
            self._said.append(name)
            x, y = shift
            self.say(
                f"registration: the infrared image of {name} is moved by {abs(x):.0f} pixels to the "
                f"{'right' if x > 0 else 'left'} and {abs(y):.0f} {'down' if y > 0 else 'up'} from where the file puts "
                f"it, and others as they need it, by up to {_MOST:.0%} of the width; --register none leaves them"
            )
        return shift

    @functools.cached_property
    def _needed(self) -> bool:
        count = len(self.files)
        if count < _MANY:
            return True
        sampled = [self.files[(2 * n + 1) * count // (2 * _SAMPLED)] for n in range(_SAMPLED)]
        images = (read_pair(pair, SourceOptions()) for pair in sampled)
        return sum(find_small_shift(found.ir, found.vi) is not None for found in images) >= _DECIDE


def find_small_shift(ir: Pixels, vi: Pixels) -> tuple[float, float] | None:
    """How far an infrared image has to be moved that nearly lies on the visible one.

    Args:
        ir: infrared image on the grid of `vi`.
        vi: visible image.

    Returns:
        Pixels to the right and down; None if that is less than 0.7 % of the width, which files and
        this measure are off by, more than 4 %, or not sure.
    """
    width = vi.shape[1]
    if min(vi.shape[:2]) < _SMALLEST or unusable(ir, vi):
        return None
    views, sure = (Pyramid(gray(vi)), Pyramid(gray(ir))), []
    seen = surfaces(*views, np.eye(3), _WIDE)
    if seen is None:
        return None
    matrix = _highest(seen)
    for of in (MIDDLE, *NEAR):
        seen = surfaces(*views, matrix, of)
        found = None if seen is None else fit(seen, "translation")
        if seen is None or found is None:
            return None
        matrix = found.matrix
        if of is not NEAR[0]:
            sure.append(contrast(seen))
        distance = float(np.hypot(*matrix[:2, 2])) / width
        if distance < (_LEAST / 2 if of is MIDDLE else _LEAST):
            return None  # as most files; what follows is for those that need it
    before = surfaces(*views, np.eye(3), NEAR[-1])
    better = before is not None and seen.correlation >= _GAIN * before.correlation
    certain = relative_contrast(middle=sure[0], near=sure[1]) >= 1 and halves(seen, "translation") < _LEAST / 2 * width
    shift = -float(matrix[0, 2]), -float(matrix[1, 2])
    return shift if better and certain and distance <= _MOST else None


def _highest(seen: Surfaces) -> np.ndarray:
    """The shift at which all blocks together correlate best; a climb may end on the way to it."""
    total = seen.values.sum(axis=0)
    y, x = np.unravel_index(total.argmax(), total.shape)
    reach, step = total.shape[0] // 2, seen.grid[0, 0]
    return translation(step * (x - reach), step * (y - reach))
