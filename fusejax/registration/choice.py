"""What `--register` means for a folder: one rig for all pairs, or every pair on its own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fusejax.io.images import as_infrared
from fusejax.io.pair_images import SourceOptions, read_pair, read_pair_header
from fusejax.io.pairing import PairPaths, size_text
from fusejax.progress import track
from fusejax.registration.aligner import Grid, RegisterInfrared
from fusejax.registration.lens import NO_LENS, Lenses
from fusejax.registration.parallax import Near
from fusejax.registration.rig import Rig, find_rig

WORDS = ("auto", "rig", "pair")
"""What `--register` takes besides the name of a file."""

LEAST_FOR_RIG = 8
"""Pairs of one size from which `auto` looks for a rig."""

_SAMPLED = 10  # pairs from which a rig is found

_READ = SourceOptions()


def register_by(
    register: str,
    pairs: Callable[[], Sequence[PairPaths]],
    *,
    grid: Grid = "vi",
    near: Near | None = None,
    lens: Lenses = NO_LENS,
    say: Callable[[str], None] = print,
) -> RegisterInfrared:
    """The step before fusion that a user asks for.

    Args:
        register: "pair" registers every pair on its own. "rig" finds one transform from ten pairs
            that are spread over the folder. "auto" is "rig" for eight or more pairs of one size
            that agree, and "pair" otherwise. Everything else is the file of a rig.
        pairs: lists the pairs; called for "rig" and "auto" only.
        grid: see `RegisterInfrared`.
        near: see `RegisterInfrared`.
        lens: see `RegisterInfrared`.
        say: takes a line about what was found.

    Returns:
        The step.

    Raises:
        ValueError: if there is no such word or file, if the file is no rig, or if pairs do not
            agree on a rig.
    """
    if register not in WORDS:
        if not Path(register).is_file():
            raise ValueError(
                f"--register {register} is none of {', '.join(WORDS)}, nor a file such as the rig.json that `fusejax "
                "register --rig` writes."
            )
        return RegisterInfrared(register, grid=grid, near=near, lens=lens)
    if register == "pair":
        return RegisterInfrared(grid=grid, near=near, lens=lens)
    found = list(pairs())
    sizes = _sizes(found)
    if register == "auto" and (len(found) < LEAST_FOR_RIG or len(set(sizes)) > 1):
        why = f"{len(found)} pairs" if len(found) < LEAST_FOR_RIG else f"{len(set(sizes))} combinations of sizes"
        if near is not None:
            raise ValueError(f"a distance needs a rig, and {why} make none; give --register rig or the file of one.")
        say(f"registration: every pair on its own ({why})")
        return RegisterInfrared(grid=grid, lens=lens)
    if odd := next((n for n, size in enumerate(sizes) if size != sizes[0]), None):
        one, other = (" and ".join(size_text(s) for s in sizes[n]) for n in (0, odd))
        raise ValueError(
            f"a rig needs pairs of equal sizes, but {found[0].id} is {one} and {found[odd].id} is {other} (width "
            "x height of infrared and visible); give --register pair."
        )
    try:
        rig = _find(found, lens)
    except ValueError as error:
        if register == "rig" or near is not None:
            raise
        say(f"registration: every pair on its own ({error})")
        return RegisterInfrared(grid=grid, lens=lens)
    say(f"registration: {rig.images} of {rig.tried} pairs agree on a rig, off by {rig.uncertainty:.1f} pixels or less")
    return RegisterInfrared(rig, grid=grid, near=near)


def _sizes(pairs: Sequence[PairPaths]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Sizes of the infrared and the visible image of each pair, from the headers."""
    with ThreadPoolExecutor() as pool:
        return [(header.ir, header.vi) for header in pool.map(lambda pair: read_pair_header(pair, _READ), pairs)]


def _find(pairs: Sequence[PairPaths], lens: Lenses) -> Rig:
    count = min(_SAMPLED, len(pairs))
    sampled = [pairs[(2 * n + 1) * len(pairs) // (2 * count)] for n in range(count)]
    images = map(_images, track(sampled, count, description="finding the rig", unit="pairs"))
    return find_rig(images, lens=lens)[0]


def _images(pair: PairPaths) -> tuple[np.ndarray, np.ndarray]:
    images = read_pair(pair, _READ)
    return as_infrared(images.ir), images.vi
