"""Methods under degraded sources: networks and other backends, and folders of external results."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from fusejax.evaluation.attack import Pixels, adversarial_pair
from fusejax.evaluation.conditions import Condition, degrade
from fusejax.evaluation.methods import Method
from fusejax.evaluation.results import CLEAN
from fusejax.evaluation.sources import Reading
from fusejax.inference.backend import Backend, Differentiable
from fusejax.inference.loading import opened
from fusejax.io.images import from_float, read_image
from fusejax.io.pairing import PairError, PairPaths, list_images

Sources = tuple[Pixels, Pixels]


@dataclasses.dataclass(frozen=True)
class CleanPair:
    """A pair as read from its files.

    Attributes:
        name: file stem.
        ir: [h, w, 1], 8 bit.
        vi: [h, w, 1 or 3], 8 bit.
    """

    name: str
    ir: Pixels
    vi: Pixels


def read_clean(pairs: Sequence[PairPaths], reading: Reading) -> Iterator[CleanPair]:
    """Reads pairs one by one, as 8-bit images with the values that the network sees.

    Args:
        pairs: the pairs.
        reading: how they are read.

    Yields:
        The pairs.
    """
    for pair in pairs:
        ir, vi = (from_float(x, np.uint8) for x in reading.read(pair))
        yield CleanPair(pair.id, ir, vi)


def degraded_inputs(pair: CleanPair, condition: Condition | None, attacked: Differentiable | None) -> Sources:
    """The sources of a pair under a condition.

    Args:
        pair: clean pair.
        condition: condition to apply; None for the clean pair.
        attacked: network for which adversarial noise is computed; needed only for that.

    Returns:
        Infrared and visible image.
    """
    if condition is None:
        return pair.ir, pair.vi
    if condition.source == "both" and attacked is not None:
        return adversarial_pair(attacked, pair.ir, pair.vi, condition, name=pair.name)
    return degrade(pair.ir, pair.vi, condition, name=pair.name)


@dataclasses.dataclass(frozen=True)
class Tested:
    """A method, opened for a study.

    Attributes:
        name: name in tables.
        backend: what fuses; None if its images were fused elsewhere.
        attacked: network for which adversarial noise is computed: its own, or that of the first
            network for a backend without gradient; None if there is none.
        files: fused images by condition and file stem, made from the output of `write_inputs`.
    """

    name: str
    backend: Backend | None = None
    attacked: Differentiable | None = None
    files: Mapping[str, Mapping[str, Path]] = dataclasses.field(default_factory=dict)

    def can(self, condition: Condition | None) -> bool:
        """Whether there are fused images under this condition (None: for clean pairs)."""
        if self.backend is None:
            return _name(condition) in self.files
        return condition is None or condition.source != "both" or self.attacked is not None

    def fused(self, pair: CleanPair, condition: Condition | None, sources: Sources | None) -> np.ndarray:
        """The fused image of degraded sources.

        Args:
            pair: clean pair.
            condition: condition, of which `can` is true.
            sources: the degraded sources; not needed for a folder.

        Returns:
            [h, w, 1 or 3], 8 or 16 bit.

        Raises:
            PairError: if the size of an image that was fused elsewhere is not that of the pair.
        """
        if self.backend is not None:
            assert sources is not None
            return self.backend.fuse_pair(*sources, ir_range="full").image
        path = self.files[_name(condition)][pair.name]
        pixels = read_image(path)
        if pixels.shape[:2] != pair.vi.shape[:2]:
            raise PairError(
                f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, its sources are {pair.vi.shape[1]}x{pair.vi.shape[0]}."
            )
        return pixels


def _name(condition: Condition | None) -> str:
    return CLEAN if condition is None else condition.name


def open_methods(methods: Sequence[Method], conditions: Sequence[Condition], stems: Sequence[str]) -> list[Tested]:
    """Opens methods for a study, in their order.

    Args:
        methods: backends, and folders with `clean` and one subfolder per condition; missing
            conditions are skipped.
        conditions: conditions of the study.
        stems: file stems of the pairs.

    Returns:
        The methods.

    Raises:
        ValueError: if weights cannot be used.
        PairError: if `clean` is missing, no condition is present, or an image is missing.
    """
    backends = {m.name: opened(m.weights) for m in methods if m.weights is not None}
    first = next((backend.network for backend in backends.values() if backend.network is not None), None)
    return [
        Tested(m.name, backends[m.name], backends[m.name].network or first)
        if m.folder is None
        else Tested(m.name, files=_find_images(m.folder, conditions, stems))
        for m in methods
    ]


def _find_images(folder: Path, conditions: Sequence[Condition], stems: Sequence[str]) -> dict[str, dict[str, Path]]:
    wanted = [CLEAN, *(condition.name for condition in conditions)]
    files = {name: list_images(folder / name) for name in wanted if (folder / name).is_dir()}
    if CLEAN not in files or len(files) < 2:
        raise PairError(
            f"{folder} needs a folder {CLEAN} and one per condition, such as {wanted[1]}, with the images fused "
            "from the inputs written by --write-inputs."
        )
    for condition, found in files.items():
        if missing := [stem for stem in stems if stem not in found]:
            raise PairError(f"{folder / condition} has no image for {', '.join(missing[:8])}.")
    return files
