"""`fusejax register`: finds the transform between two cameras and warps infrared images by it."""

import dataclasses
from pathlib import Path
from typing import Literal

import tyro

from fusejax.cli.pairs import SourceFlags
from fusejax.cli.parsing import parse
from fusejax.cli.registering import LensFlags
from fusejax.registration.folder import RegisteredFolder, register_folder


@dataclasses.dataclass(frozen=True)
class RegisterOptions(SourceFlags, LensFlags):
    """Registers infrared images to visible ones.

    Writes transforms.json, the warped infrared images (`ir`), their masks (`mask`), and an overlay
    and a checkerboard of every pair for looking. Pairs that cannot be trusted are refused and
    listed.

    Attributes:
        out: folder for all files.
        model: which transforms are allowed.
        scales: least and largest magnification of the infrared image against the visible one, with
            the longer sides of both taken as equal: 2 if the infrared camera sees half as far.
        rotations: least and largest rotation in degrees.
        rig: find one transform for all pairs, of two cameras that are fixed to each other, and
            write it to rig.json.
        overwrite: replace existing files.
    """

    out: Path = tyro.MISSING
    model: Literal["translation", "similarity", "affine", "homography"] = "homography"
    scales: tuple[float, float] = (0.55, 1.6)
    rotations: tuple[float, float] = (-9.0, 9.0)
    rig: bool = False
    overwrite: bool = False


def register_command(options: RegisterOptions) -> RegisteredFolder:
    """Registers the files given by the options and prints a table.

    Raises:
        ValueError: see `register_folder`.
        OSError: see `register_folder`.
    """
    given = {name: getattr(options, name) for name in ("model", "scales", "rotations", "rig", "overwrite")}
    done = register_folder(*options.sources, options.out, **given, lens=options.lens(), options=options.reading)
    print(f"{'pair':32} {'correlation':>11} {'score':>7} {'second':>7} {'pixels':>7}")
    for name, found in done.found.items():
        scores = f"{found.correlation:11.2f} {found.score:7.3f} {found.second_score:7.3f} {found.uncertainty:7.1f}"
        print(f"{name:32} {scores}" + (f"  refused: {found.refused}" if found.refused else ""))
    print(f"{len(done.found) - len(done.refused)} of {len(done.found)} pairs registered, files in {options.out}")
    if done.rig is not None:
        print(
            f"rig: {done.rig.images} of {done.rig.tried} pairs agree, off by {done.rig.uncertainty:.2f} pixels or less"
        )
    return done


def run(arguments: list[str]) -> None:
    """The command."""
    register_command(parse(RegisterOptions, "register", arguments))
