"""What the kinds share: damaging bytes, and judging how a case ended."""

import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Changes a file in one to four places: bits, bytes, numbers, cut, doubled or moved pieces."""
    found = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        if not found:
            break
        at = int(rng.integers(len(found)) if rng.random() < 0.5 else rng.integers(min(len(found), 256)))
        length = int(min(2 ** rng.integers(0, 9), len(found) - at))
        match rng.integers(8):
            case 0:
                found[at] ^= 1 << rng.integers(8)
            case 1:
                found[at : at + length] = rng.bytes(length)
            case 2:
                size, order = int(rng.choice((1, 2, 4, 8))), "little" if rng.random() < 0.5 else "big"
                value = int(rng.choice(_INTERESTING)) % 2 ** (8 * size)
                found[at : at + size] = value.to_bytes(size, order)
            case 3:
                del found[at:]
            case 4:
                del found[at : at + length]
            case 5:
                found[at:at] = found[at : at + length]
            case 6:
                found[at : at + length] = bytes(length)
            case _:
                to = int(rng.integers(len(found)))
                found[to : to + length] = found[at : at + length]
    return bytes(found)


class Cases:
    """Cases of one kind, each drawn from the seed and its number."""

    expected: tuple[type[BaseException], ...] = (ValueError, OSError)

    def __init__(self, folder: Path, seed: int):
        """Prepares the intact files.

        Args:
            folder: folder for files; those of the current case stay there if it is at fault.
            seed: where the cases are drawn from.
        """
        self.folder, self.seed = folder, seed

    def run(self, number: int) -> str:
        """Runs one case: "fine", "refused", or what is wrong."""
        rng = np.random.default_rng((self.seed, number))
        path, attempt = self.prepare(number, rng)
        result = judge(attempt, self.expected)
        if path is not None and result in ("fine", "refused"):
            path.unlink(missing_ok=True)
        return result if path is None or result in ("fine", "refused") else f"{path.name}: {result}"

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[Path | None, Callable[[], str | None]]:
        """The file of a case, and a function that returns a fault or None, or raises."""
        raise NotImplementedError


def judge(attempt: Callable[[], str | None], expected: tuple[type[BaseException], ...]) -> str:
    """Calls a function that returns a fault or None; the only errors allowed are of one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return attempt() or "fine"
    except expected as error:
        text = str(error)
        return "refused" if text and len(text) < 10_000 else f"an error without a useful text: {error!r:.200}"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:120]} ({Path(last.filename).name}:{last.lineno})"
