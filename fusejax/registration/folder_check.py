"""Whether the pairs of a folder line up, from a few of them, while something else is done."""

import dataclasses
import threading
from collections.abc import Callable, Sequence

import numpy as np

from fusejax.io.images import as_infrared
from fusejax.io.pair_images import SourceOptions, in_one_file, read_pair
from fusejax.io.pairing import PairPaths
from fusejax.registration.residual import Residual, is_aligned
from fusejax.registration.rough import rough_residual

LIMIT = 2.0
"""Pixels from which pairs count as not lined up."""

LEAST_PAIRS = 8
"""Folders of fewer pairs are not checked."""

_MOST = 5  # pairs that are looked at roughly
_MEASURED = 3  # of those that look odd are measured
_AGREE = 2  # of them end the check: they line up, or they do not
_SMALLEST = 32  # pixels
_ODD = 4.0, 0.009  # pixels, and share of the width, from which the rough measure is looked into


@dataclasses.dataclass(frozen=True)
class FolderCheck:
    """What a few pairs of a folder say.

    Attributes:
        pairs: number of pairs of the folder.
        found: what was found, by the name of the pair.
    """

    pairs: int
    found: dict[str, Residual]

    @property
    def off(self) -> dict[str, Residual]:
        """The pairs that do not line up."""
        return {name: one for name, one in self.found.items() if one.within(LIMIT) is False}

    def line(self) -> str | None:
        """A warning, if at least two pairs do not line up and more than those that do."""
        fine = sum(one.within(LIMIT) is True for one in self.found.values())
        if len(self.off) < _AGREE or fine >= len(self.off):
            return None
        shown = "; ".join(f"{name} {one}" for name, one in self.off.items())
        return (
            f"{len(self.off)} of {len(self.found)} pairs looked at do not line up: {shown}. Edges will be doubled; "
            "fuse with --register auto, or look at what `fusejax register` finds. --no-check leaves this out."
        )


def check_pairs(pairs: Sequence[PairPaths], stopped: threading.Event | None = None) -> FolderCheck:
    """Looks at up to five pairs that are spread over a folder.

    All are looked at roughly, see `rough_residual`. If most of them look odd, up to three of these
    are measured by `is_aligned`, until two agree; so folders that line up cost next to
    nothing.

    Args:
        pairs: all pairs; those of one file, which are placed by the file's own numbers, and those
            that cannot be read are passed over.
        stopped: ends the check early once it is set.

    Returns:
        What was found.
    """
    two = [pair for pair in pairs if not in_one_file(pair)]
    count = min(_MOST, len(two))
    sampled = [two[(2 * n + 1) * len(two) // (2 * count)] for n in range(count)]
    odd = [pair for pair in sampled if not _ended(stopped) and _is_odd(pair)]
    found: dict[str, Residual] = {}
    for pair in odd[:_MEASURED] if 2 * len(odd) > len(sampled) else []:
        if _ended(stopped):
            break
        found[pair.id] = is_aligned(*_images(pair))
        said = [one.within(LIMIT) for one in found.values()]
        if max(said.count(True), said.count(False)) >= _AGREE:
            break
    return FolderCheck(len(pairs), found)


def _ended(stopped: threading.Event | None) -> bool:
    return stopped is not None and stopped.is_set()


def _is_odd(pair: PairPaths) -> bool:
    """Whether a pair does not seem to line up."""
    try:
        ir, vi = _images(pair)
    except (OSError, ValueError):
        return False  # the fusion itself names damaged files; this only looks at samples
    least, share = _ODD
    if min(*ir.shape[:2], *vi.shape[:2]) < _SMALLEST:
        return False
    return rough_residual(ir, vi) > max(least, share * vi.shape[1])


def _images(pair: PairPaths) -> tuple[np.ndarray, np.ndarray]:
    images = read_pair(pair, SourceOptions())
    return as_infrared(images.ir), images.vi


class CheckBeside:
    """`check_pairs` in a thread, as a context; after it, `line` has the warning, if any."""

    def __init__(self, find: Callable[[], Sequence[PairPaths]]):
        """Stores how to find the pairs.

        Args:
            find: lists the pairs of the folder; folders of fewer than `LEAST_PAIRS` are passed
                over.
        """
        self._stopped, self._find = threading.Event(), find
        self._thread = threading.Thread(target=self._run, name="alignment", daemon=True)
        self._found: FolderCheck | None = None
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            if len(pairs := self._find()) >= LEAST_PAIRS:
                self._found = check_pairs(pairs, self._stopped)
        except BaseException as error:  # raised in the caller's thread
            self._error = error

    def __enter__(self) -> "CheckBeside":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
        self._thread.join()

    def line(self) -> str | None:
        """See `FolderCheck.line`; raises what went wrong."""
        if self._error is not None:
            raise self._error
        return self._found.line() if self._found is not None else None
