"""A rig that is found from the first frames of two streams and then follows them slowly."""

import sys
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from fusejax.io.align import Aligned, Pixels
from fusejax.registration.aligner import RegistrationError, faded, warp_pixels
from fusejax.registration.estimation import estimate
from fusejax.registration.geometry import corners, map_points
from fusejax.registration.lens import NO_LENS, Lenses
from fusejax.registration.residual import displacement
from fusejax.registration.rig import through

_FIRST, _APART = 5, 10  # estimates at the beginning, and frames between them
_LATER = 150  # frames between later estimates
_KEPT = 9  # estimates whose median counts
_SPEED = 0.2  # pixels per frame at the corners: no jump can be seen
_ATTEMPTS = 10  # frames without an answer after which a file is given up
_FARTHEST = 0.06  # of the width: a larger change than that is not drift
_NARROW = {"scales": (0.97, 1.03), "rotations": (-1.5, 1.5)}


class TrackedRig:
    """Registers two streams of the same cameras; an `Aligner` with a memory.

    The first frames are searched widely, and the median over them is the rig. Later estimates only
    correct it: one in 150 frames, of which the median of the last nine counts, approached by a
    fifth of a pixel per frame. Until a frame could be registered, the visible image is kept.

    Attributes:
        matrix: from a visible to an infrared pixel; None as long as it is unknown.
    """

    any_size = True

    def __init__(self, *, lens: Lenses = NO_LENS, background: bool = False, say: Callable[[str], None] | None = None):
        """Starts without a transform.

        Args:
            lens: distortion of the cameras; `matrix` is then between pixels without distortion.
            background: estimate in a thread, so that no frame waits, and never give up; for live
                sources. Otherwise results are the same in every run.
            say: takes lines about what was found; by default they go to standard error.
        """
        self.matrix: np.ndarray | None = None
        self._lens = lens
        self._background, self._say = background, say or (lambda line: print(line, file=sys.stderr, flush=True))
        self._frame, self._attempts, self._next = 0, 0, 0
        self._found: deque[np.ndarray] = deque(maxlen=_KEPT)
        self._goal: np.ndarray | None = None
        self._sizes: tuple | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """See `fusejax.inference.Aligner`.

        Args:
            ir: see `Aligner`.
            vi: see `Aligner`.
            name: see `Aligner`.

        Returns:
            See `Aligner`.

        Raises:
            RegistrationError: if none of ten frames of files could be registered.
        """
        if self._sizes != (sizes := (ir.shape[:2], vi.shape[:2])):  # another camera, or another setting of it
            self._sizes, self.matrix, self._goal, self._attempts, self._next = sizes, None, None, 0, self._frame
            self._found.clear()
        if self._frame >= self._next and not (self._thread and self._thread.is_alive()):
            self._begin(ir, vi, name)
        self._frame += 1
        with self._lock:
            goal = self._goal
        if goal is None:
            return Aligned(warp_pixels(ir, _stretch(*sizes), sizes[1])[0], vi, np.zeros((*sizes[1], 1), np.float32))
        frame = corners(sizes[1])
        at = goal if self.matrix is None else map_points(self.matrix, frame)
        step = goal - at
        farthest = float(np.linalg.norm(step, axis=1).max())
        if self.matrix is None or farthest > 1e-6:
            self.matrix = through(frame, at + step * min(1.0, _SPEED / max(farthest, 1e-6)))
        known = self._lens.scaled(*sizes)
        warped, mask = warp_pixels(ir, self.matrix, sizes[1], source=known.ir, target=known.vi)
        return Aligned(warped, vi, share=faded(mask))

    def _begin(self, ir: Pixels, vi: Pixels, name: str | None) -> None:
        """Registers this frame, now or in a thread."""
        self._next = self._frame + (_APART if len(self._found) < _FIRST else _LATER)
        if self._background:
            images = ir.copy(), vi.copy()
            self._thread = threading.Thread(target=self._estimate, args=images, name="registration", daemon=True)
            self._thread.start()
            return
        reason = self._estimate(ir, vi)
        if self._goal is None:
            self._next = self._frame + 1
            if self._attempts >= _ATTEMPTS:
                where = f"{name}: " if name else ""
                raise RegistrationError(f"{where}none of the first {_ATTEMPTS} frames can be registered: {reason}.")

    def _estimate(self, ir: Pixels, vi: Pixels) -> str:
        """Adds what one pair of frames says; why it says nothing."""
        self._attempts += 1
        size, known = vi.shape[:2], self._goal
        ir, vi = self._lens.straight(ir, vi)
        if known is None:
            found = estimate(ir, vi)
            matrix, reason = found.matrix, found.refused
        else:
            before = through(corners(size), known)
            warped, _ = warp_pixels(ir, before, size)
            found = estimate(warped, vi, model="similarity", **_NARROW)
            far = displacement(found.matrix, size, size) > _FARTHEST * size[1]
            matrix, reason = before @ found.matrix, found.refused or ("too far" if far else "")
        if reason:
            if self._attempts == 1:
                self._say(f"registration: waiting for frames that can be registered ({reason})")
            return reason
        with self._lock:
            if self._sizes != (ir.shape[:2], size):  # the sources have changed while this one was registered
                return ""
            self._found.append(map_points(matrix, corners(size)))
            self._goal = np.median(np.stack(self._found), axis=0)
        if known is None:
            self._say("registration: the cameras' transform is found")
        return ""


def _stretch(ir: tuple[int, int], vi: tuple[int, int]) -> np.ndarray:
    return np.diag([ir[1] / vi[1], ir[0] / vi[0], 1.0])
