"""Flags by which commands name their pairs: the same ones everywhere."""

import dataclasses
from pathlib import Path

import tyro

from fusejax.io.matching import NameOptions, with_patterns
from fusejax.io.pair_images import SourceOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Named:
    """The sources that a command names.

    Attributes:
        ir: infrared image, or folder of them (or a video, where videos are taken). Files of a
            folder are paired by stem, or by the names that cameras give them (_T and _V). Without
            --vi: one folder that holds both, a quoted path such as 'DIR/*.jpg', a CSV file with the
            columns ir and vi, or radiometric JPEG files that hold both images (FLIR).
        vi: visible image, or folder of them (or a video).
    """

    ir: Path = tyro.MISSING
    vi: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceFlags(SourceOptions, NameOptions, Named):
    """The pairs of a command, and how they are read."""

    @property
    def sources(self) -> tuple[Path, Path | None]:
        """The paths, with wildcards where patterns are given.

        Raises:
            PairError: see `with_patterns`.
        """
        return with_patterns(self.ir, self.vi, ir_pattern=self.ir_pattern, vi_pattern=self.vi_pattern)

    @property
    def reading(self) -> SourceOptions:
        """How the files are read."""
        return SourceOptions(frame=self.frame, units=self.units, ir_unit=self.ir_unit)
