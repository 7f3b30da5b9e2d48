"""The flags of registration, which all commands share."""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

# What runs is imported when it runs, since JAX takes longer than --help should.
if TYPE_CHECKING:
    from fusejax.io.align import Aligner
    from fusejax.io.pairing import PairPaths
    from fusejax.registration.aligner import Grid
    from fusejax.registration.lens import Lenses
    from fusejax.registration.parallax import Near


@dataclasses.dataclass(frozen=True)
class LensFlags:
    """How the cameras distort.

    Attributes:
        ir_lens: distortion of the infrared camera: the YAML that OpenCV's calibration writes, or
            JSON with fx, fy, cx, cy, distortion (k1, k2, p1, p2, ...), width and height.
        vi_lens: likewise of the visible camera.
    """

    ir_lens: Path | None = None
    vi_lens: Path | None = None

    def lens(self) -> "Lenses":
        """The lenses; none without the flags.

        Raises:
            ValueError: see `fusejax.registration.read_lens`.
            OSError: if a file cannot be read.
        """
        from fusejax.registration.lens import Lenses
        from fusejax.registration.lens_files import read_lens

        return Lenses(*(None if file is None else read_lens(file) for file in (self.ir_lens, self.vi_lens)))


@dataclasses.dataclass(frozen=True)
class RegisterFlags(LensFlags):
    """How two cameras that do not line up are registered.

    Attributes:
        register: `auto`, `rig` (one transform for all pairs, found from ten of them; for videos
            from the first frames, then followed slowly), `pair` (every pair on its own), or the
            rig.json of `fusejax register --rig`. `auto` is `rig` for eight or more pairs of one
            size that agree, otherwise `pair`. A pair that cannot be registered is an error, or left
            out with --skip-bad. Where infrared has no pixels, the visible image is kept.
        distance: of near scenes in meters, on top of a rig that was found on far ones, with
            --baseline and --focal; or `found`, to find the shift in every pair.
        baseline: place of the infrared camera as seen from the visible one, in meters to the right
            and down.
        focal: focal length of the infrared camera, in pixels of the infrared images of the rig.
    """

    register: str | None = None
    distance: str | None = None
    baseline: tuple[float, float] = (0.0, 0.0)
    focal: float = 0.0

    @property
    def registers(self) -> bool:
        """Whether pairs of two files are registered."""
        return self.register not in (None, "none")

    def near(self) -> "Near | None":
        """The shift of near scenes, if there is one.

        Raises:
            ValueError: for another word than `found`, and for numbers that give no shift.
        """
        if self.distance is None:
            if any(self.baseline) or self.focal:
                raise ValueError("--baseline and --focal turn a distance into pixels; also give --distance METERS.")
            return None
        if not self.registers:
            raise ValueError("--distance is a shift on top of a rig; also give --register rig or the file of one.")
        from fusejax.registration.parallax import Near

        if self.distance == "found":
            return Near()
        try:
            meters = float(self.distance)
        except ValueError as error:
            raise ValueError(f"--distance is {self.distance!r}; give meters, or `found`.") from error
        return Near(meters, self.baseline, self.focal)

    def aligner(self, pairs: "Callable[[], Sequence[PairPaths]]", *, grid: "Grid" = "vi") -> "Aligner | None":
        """The step before fusion for folders.

        Args:
            pairs: lists the pairs.
            grid: whose pixels the result has.

        Returns:
            The step; None with --register none.

        Raises:
            ValueError: see `fusejax.registration.choice.register_by`.
            OSError: if the file of a rig cannot be read.
        """
        near, lens = self.near(), self.lens()
        if not self.registers and lens:
            raise ValueError("--ir-lens and --vi-lens are for registering; also give --register rig, auto or pair.")
        if self.register == "none":
            return None
        if self.register is None:
            from fusejax.io.align import AsRead
            from fusejax.io.pair_images import in_one_file
            from fusejax.registration.small_shift import SmallShift

            files = tuple(filter(in_one_file, pairs()))
            return AsRead(SmallShift(files, say)) if files else None
        from fusejax.registration.choice import register_by

        return register_by(self.register, pairs, grid=grid, near=near, lens=lens, say=say)

    def stream_aligner(self, *, live: bool) -> "Aligner | None":
        """The step before fusion for videos and cameras.

        Args:
            live: whether frames must not wait.

        Returns:
            The step; None without --register and with --register none.

        Raises:
            ValueError: for `pair`, which flickers, for a distance without the file of a rig, and
                see `fusejax.registration.choice.register_by`.
            OSError: if the file of a rig cannot be read.
        """
        near, lens = self.near(), self.lens()
        if self.register is None or self.register == "none":
            if lens:
                raise ValueError("--ir-lens and --vi-lens are for registering; also give --register rig, auto or pair.")
            return None
        if self.register == "pair":
            raise ValueError(
                "--register pair would register every frame anew, which flickers; give auto, which follows slowly."
            )
        if self.register not in ("auto", "rig"):
            from fusejax.registration.choice import register_by

            return register_by(self.register, list, near=near, lens=lens)
        if near is not None:
            raise ValueError("--distance needs the file of a rig, since --register auto follows near scenes by itself.")
        from fusejax.registration.tracking import TrackedRig

        return TrackedRig(lens=lens, background=live, say=say)


def say(line: str) -> None:
    """Prints a line about what is done to standard error."""
    print(line, file=sys.stderr, flush=True)


Registering = Annotated[RegisterFlags, tyro.conf.arg(name="")]
"""A field of a command's options that holds the shared flags under their own names."""
