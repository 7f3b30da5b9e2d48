"""`fusejax fuse`: fuses images, folders of them, files of thermal cameras, or two videos."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from PIL import Image

from fusejax.cli.pairs import Named
from fusejax.cli.parsing import parse
from fusejax.cli.registering import RegisterFlags
from fusejax.inference.options import FolderOptions, PairOptions, VideoOptions
from fusejax.io.pyav import VideoError
from fusejax.io.remote import is_remote, remote_address

# What runs is imported when it runs, since JAX takes longer than --help should.
if TYPE_CHECKING:
    from fusejax.inference.folder import FusedFolder
    from fusejax.inference.remote import FusedRemote
    from fusejax.io.pairing import PairPaths


@dataclasses.dataclass(frozen=True)
class Given(Named):
    """What is fused, and with what.

    Attributes:
        out: folder for the fused images, or for a single pair a file name. Fused images keep the
            visible image's stem, size and bit depth, and its format if it is lossless (png, bmp,
            tif); otherwise they are png.
        weights: shipped name, .safetensors file, or folder of a finished run.
        check: look whether a few pairs of a folder of 8 or more line up, and warn if they do not;
            runs beside the fusion.
    """

    out: Path = tyro.MISSING
    weights: str = "light"
    check: bool = True


@dataclasses.dataclass(frozen=True)
class Workers:
    """Where the pairs of a folder are fused.

    Attributes:
        shard: I/N fuses only every N-th pair, beginning with the I-th, on one of N machines that
            see the same folders; the files are the same bytes as those of one call.
        engine: `ray` fuses a folder on the workers of the Ray cluster that RAY_ADDRESS names,
            otherwise on this machine; a lost worker's pairs are done again.
    """

    shard: str | None = None
    engine: Literal["local", "ray"] = "local"


@dataclasses.dataclass(frozen=True)
class FuseOptions(VideoOptions, FolderOptions, Workers, RegisterFlags, Given):
    """Fuses registered infrared and visible images or videos, and the files of thermal cameras."""


def fuse_command(options: FuseOptions) -> Sequence[Path | str]:
    """Fuses the given sources, prints a summary and returns the paths of the files written.

    Raises:
        ValueError: see `fuse_folder` and `fuse_video`.
        OSError: see `fuse_folder` and `fuse_video`.
    """
    from fusejax.io.video import is_video

    sources = [path for path in (options.ir, options.vi) if path is not None]
    video = options.rate is not None or any(map(is_video, sources))
    if wrong := _changed(options, (FolderOptions, Workers) if video else (VideoOptions,)):
        kind = "is for images only" if video else "is for videos only; for folders of frames, also give --rate"
        raise VideoError(f"{', '.join(wrong)} {kind}.")
    if video and options.vi is None:
        raise VideoError("--vi is missing; videos are fused in pairs, so also give the visible one.")
    given = {"ir": options.ir, "vi": options.vi, "out": options.out, "weights": options.weights}
    if video:
        given["align"] = options.stream_aligner(live=False)
        return _fuse_video(_only(options, VideoOptions), given)
    # By default, only files that hold both images are changed.
    others = not options.registers and (options.vi is not None or is_remote(options.ir))
    given["align"] = options.aligner(lambda: [] if others else _pairs(options), grid=options.frame)
    if options.registers:  # the step decides about the grid; files that hold both images are cut on vi
        options = dataclasses.replace(options, frame="vi")
    given["options"] = _only(options, FolderOptions)
    if options.engine == "ray":
        if options.shard is not None:
            raise ValueError("--engine ray makes shards of its own; leave out --shard.")
        from fusejax.inference.ray_engine import fuse_on_ray

        result = fuse_on_ray(**given)
    else:
        from fusejax.inference.jobs import parse_shard

        shard = parse_shard(options.shard) if options.shard is not None else None
        if is_remote(*sources, options.out):
            from fusejax.inference.remote import fuse_remote

            result = fuse_remote(**given, shard=shard)
        else:
            from fusejax.inference.folder import fuse_folder

            first = shard is None or shard[0] == 1
            with _checking(options, options.check and not options.registers and first):
                result = fuse_folder(**given, shard=shard)
    _report(result, options.out)
    return result.written


def _changed(options: FuseOptions, kinds: Iterable[type]) -> list[str]:
    """Flags of these kinds that differ from their default, without those that all kinds share."""
    shared = {field.name for field in dataclasses.fields(PairOptions)}
    own = [field for kind in kinds for field in dataclasses.fields(kind) if field.name not in shared]
    return [f"--{f.name.replace('_', '-')}" for f in own if getattr(options, f.name) != f.default]


def _only(options: FuseOptions, kind: type) -> Any:
    """The options of one kind."""
    return kind(**{field.name: getattr(options, field.name) for field in dataclasses.fields(kind)})


@contextlib.contextmanager
def _checking(options: FuseOptions, wanted: bool) -> Iterator[None]:
    """Looks beside the fusion whether pairs line up, and warns after it."""
    if not wanted:
        yield
        return
    from fusejax.io.image_headers import ImageWarning
    from fusejax.registration.folder_check import CheckBeside

    with CheckBeside(lambda: _pairs(options)) as check:
        yield
    if line := check.line():
        warnings.warn(line, ImageWarning, stacklevel=2)


def _pairs(options: FuseOptions) -> "Sequence[PairPaths]":
    from fusejax.io.matching import with_patterns
    from fusejax.io.pair_finding import find_pairs

    sources = with_patterns(options.ir, options.vi, ir_pattern=options.ir_pattern, vi_pattern=options.vi_pattern)
    return find_pairs(*sources, recursive=options.recursive, skip_bad=True, quiet=True)[0]


def _fuse_video(options: VideoOptions, given: dict[str, Any]) -> list[Path]:
    from fusejax.inference.video import fuse_video

    fused = fuse_video(**given, options=options)
    print(f"{fused.frames} fused frames in {fused.written}" + (f"; {fused.audio}" if fused.audio else ""))
    if options.offset == "auto":
        print(f"infrared frames were moved by {fused.offset:.3f} s")
    if fused.left_out:
        print(f"{fused.left_out} visible frames are left out, since there is no infrared frame at their time")
    if fused.preview:
        print(f"preview in {fused.preview}")
    return [path for path in (fused.written, fused.preview) if path is not None]


def _report(result: "FusedFolder | FusedRemote", out: Path) -> None:
    for line in result.skipped:
        print(f"skipped: {line}")
    kept = f", {len(result.existing)} already existed" if result.existing else ""
    print(f"{len(result.written)} fused images in {remote_address(out) or out}{kept}")


def run(arguments: list[str]) -> None:
    """The command."""
    # Pillow warns about images of more than 89 megapixels; tiles handle those.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    fuse_command(parse(FuseOptions, "fuse", arguments))
