"""Methods under test: networks, exported files, and folders of external results."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from fusejax.evaluation.attack import Pixels, adversarial_pair
from fusejax.evaluation.conditions import CLEAN, Condition, degrade
from fusejax.inference.backend import Backend, Differentiable
from fusejax.inference.loading import load, weights_name
from fusejax.io.images import read_image
from fusejax.io.pairing import PairError, list_images

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


@runtime_checkable
class Method(Protocol):
    """A method whose fused images are compared."""

    @property
    def name(self) -> str:
        """Name of the method in the results."""
        ...

    @property
    def attacked(self) -> Differentiable | None:
        """Network for which adversarial noise is computed; None if there is none."""
        ...

    def can(self, condition: Condition | None) -> bool:
        """Whether there are fused images under this condition (None: for clean pairs)."""
        ...

    def fused(self, pair: CleanPair, condition: Condition | None, sources: Sources | None) -> np.ndarray:
        """The fused image of degraded sources, [h, w, 1 or 3], 8 or 16 bit."""
        ...


@dataclasses.dataclass(frozen=True)
class WeightsMethod:
    """A network or an exported file that is run here.

    Attributes:
        name: name in tables.
        fuser: fuser of the method.
        attacked: network for which adversarial noise is computed: its own, or that of other weights
            for an exported file, which has no gradient; None if there is none.
    """

    name: str
    fuser: Backend
    attacked: Differentiable | None

    def can(self, condition: Condition | None) -> bool:
        """See `Method`."""
        return condition is None or condition.source != "both" or self.attacked is not None

    def fused(self, pair: CleanPair, condition: Condition | None, sources: Sources | None) -> np.ndarray:
        """See `Method`."""
        del pair, condition
        if sources is None:
            raise ValueError(f"{self.name} needs sources to fuse.")
        ir, vi = sources
        return self.fuser.fuse_pair(ir, vi, ir_range="full").image


@dataclasses.dataclass(frozen=True)
class FolderMethod:
    """Images that were fused elsewhere from the inputs written by `write_inputs`.

    Attributes:
        name: name in tables.
        files: fused images by condition name (or "clean") and file stem.
        attacked: None, since the adversarial noise was computed when the inputs were written.
    """

    name: str
    files: Mapping[str, Mapping[str, Path]]
    attacked: None = None

    def can(self, condition: Condition | None) -> bool:
        """See `Method`."""
        return _folder_name(condition) in self.files

    def fused(self, pair: CleanPair, condition: Condition | None, sources: Sources | None) -> np.ndarray:
        """See `Method`."""
        del sources
        path = self.files[_folder_name(condition)][pair.name]
        pixels = read_image(path)
        if pixels.shape[:2] != pair.vi.shape[:2]:
            raise PairError(
                f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, its sources are {pair.vi.shape[1]}x{pair.vi.shape[0]}."
            )
        return pixels


def _folder_name(condition: Condition | None) -> str:
    return CLEAN if condition is None else condition.name


def load_weights_methods(weights: Sequence[str | Path]) -> list[WeightsMethod]:
    """Loads weights and exported files, in the order given.

    Raises:
        ValueError: if two have the same name, or a file cannot be used.
    """
    names = [weights_name(w) for w in weights]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--weights names {', '.join(sorted(repeated))} twice; give the files different names.")
    backends = [load(w) for w in weights]
    first = next((backend.network for backend in backends if backend.network is not None), None)
    return [
        WeightsMethod(name, backend, backend.network or first) for name, backend in zip(names, backends, strict=True)
    ]


def open_folder_method(name: str, folder: Path, conditions: Sequence[Condition], stems: Sequence[str]) -> FolderMethod:
    """Finds the fused images in a folder with one subfolder per condition.

    Args:
        name: name in tables.
        folder: folder with `clean` and one subfolder per condition; missing conditions are skipped.
        conditions: conditions to look for.
        stems: file stems of the pairs.

    Returns:
        The method.

    Raises:
        PairError: if `clean` is missing, no condition is present, or an image is missing.
    """
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
    return FolderMethod(name, files)
