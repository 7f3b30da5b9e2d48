"""How often `find_small_shift` corrects, and how right, on registered pairs moved by known shifts.

    python scripts/table.py small-shifts --data-root DIR [--sets roadscene/val] [--pairs 10]

The infrared image is brought to a third of its size and back, as that of a small sensor, and moved
in a random direction. "Off" counts what is left against the set's own alignment.
"""

import dataclasses
import zlib
from pathlib import Path

import cv2
import numpy as np

from fusejax.io.images import as_infrared, as_visible, read_image
from fusejax.registration import find_small_shift

_SHIFTS = (0.0, 0.01, 0.02, 0.03, 0.06)  # of the width
_RIGHT = 0.007  # of the width
_BORDER = 0.08  # of the width, cut off, so that no repeated border tells the answer


@dataclasses.dataclass(frozen=True)
class ShiftOptions:
    """What to measure.

    Attributes:
        data_root: folder of the data sets.
        sets: folders of registered pairs below it.
        pairs: pairs that are taken from each set, spread over it.
        verbose: print every answer that is not right.
    """

    data_root: Path
    sets: tuple[str, ...] = ("roadscene/val",)
    pairs: int = 10
    verbose: bool = False


def _moved(ir: np.ndarray, shift: np.ndarray) -> np.ndarray:
    h, w = ir.shape
    small = cv2.resize(ir, (round(w / 3), round(h / 3)), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return cv2.warpAffine(large, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE)


def main(options: ShiftOptions) -> None:
    """Prints a line for every shift."""
    left: dict[float, list[float | None]] = {share: [] for share in _SHIFTS}
    for folder in options.sets:
        files = sorted((options.data_root / folder / "ir").iterdir())
        for file in files[1 :: max(1, len(files) // options.pairs)][: options.pairs]:
            ir = as_infrared(read_image(file))[..., 0]
            vi = as_visible(read_image(next((options.data_root / folder / "vi").glob(f"{file.stem}.*"))))
            border = round(_BORDER * vi.shape[1])
            inner = np.s_[border:-border, border:-border]
            rng = np.random.default_rng(zlib.crc32(f"{folder}/{file.stem}".encode()))
            for share, found in left.items():
                way = rng.uniform(0, 2 * np.pi)
                shift = share * vi.shape[1] * np.array([np.cos(way), np.sin(way)])
                answer = find_small_shift(_moved(ir, shift)[inner][..., None], vi[inner])
                off = None if answer is None else float(np.hypot(*(shift + answer))) / vi[inner].shape[1]
                found.append(off)
                if options.verbose and off is not None and off > _RIGHT:
                    print(f"{folder} {file.stem}: moved by {share:.0%}, off by {off:.2%} after the correction")
    for share, found in left.items():
        moved = [off for off in found if off is not None]
        right = sum(off <= _RIGHT for off in moved)
        print(f"{share:.0%} of the width: {len(found)} pairs, {len(moved)} corrected, {right} to within {_RIGHT:.1%}")
