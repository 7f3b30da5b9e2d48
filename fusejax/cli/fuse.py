"""`fusejax fuse`: fuses images, folders of them, files of thermal cameras, or two videos."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from PIL import Image

from fusejax.cli.parsing import parse, parse_range
from fusejax.inference.styles import Style
from fusejax.io.cameras import Degrees
from fusejax.io.cameras.frame import Frame
from fusejax.io.cameras.units import Stored
from fusejax.io.image_headers import ImageFormat
from fusejax.io.pyav import VideoError

# What runs is imported when it runs, since JAX takes longer than --help should.
if TYPE_CHECKING:
    from fusejax.inference.align import Aligner
    from fusejax.inference.folder import FusedFolder

# Options that only make sense for videos, and those that only make sense for images.
_VIDEO_ONLY = ("codec", "rate", "ir_rate", "offset", "temporal", "preview")
_IMAGES_ONLY = (
    *("keep_ir", "stretch", "bits", "recursive", "skip_existing", "skip_bad", "shard", "panel", "maps"),
    *("ir_pattern", "vi_pattern", "units", "temperature", "above", "format"),
)
# Options of images that differ from None by default.
_IMAGES_DEFAULTS = {
    "engine": "local",
    "frame": "vi",
    "ir_unit": "auto",
    "metadata": True,
    "quality": 95,
    "style": "fused",
}


@dataclasses.dataclass(frozen=True)
class FuseOptions:
    """Fuses registered infrared and visible images or videos, and the files of thermal cameras.

    Attributes:
        ir: infrared image, folder of images, or video. Files of a folder are paired by stem, or by
            the names that cameras give them (_T and _V). Without --vi: one folder that holds both,
            a quoted path such as 'DIR/*.jpg', a CSV file with the columns ir and vi, or radiometric
            JPEG files that hold both images (FLIR).
        vi: visible image, folder of images, or video.
        out: folder for the fused images, or for a single pair a file name. Fused images keep the
            visible image's stem, size and bit depth, and its format if it is lossless (png, bmp,
            tif); otherwise they are png.
        ir_pattern: names of the infrared files, such as '*_T.*'; with --vi-pattern, files are
            paired whose wildcards match the same text.
        vi_pattern: names of the visible files, such as '*_V.*'.
        frame: whose pixels are kept if one file holds both images; the result shows what both show.
        units: unit of temperatures: c, k or f. It applies to --ir-range, --above and --temperature.
            Without it, FLIR's files are in degrees Celsius and the values of other files are used
            as stored.
        ir_unit: what the values of the infrared files are, if the files do not say it: counts, k,
            ck (hundredths of a kelvin), c or f.
        temperature: also write the temperatures in the frame of the fused image as float32 TIFF, to
            OUT/temperature.
        above: mark everything above this value, in --units or in the values of the files.
        metadata: keep EXIF, XMP, IPTC, GPS and color profile of the visible image, and add what is
            known about the thermal camera.
        format: format of the fused images.
        quality: quality of jpg and webp, 1 to 100.
        weights: shipped name, .safetensors file, or folder of a finished run.
        resize: `ir` resamples each infrared image to the size of the visible image.
        register: `pair` registers every pair before it is fused, and stops at a pair that cannot be
            (with --skip-bad it is left out); or the rig.json of `fusejax register --rig`. Where
            infrared has no pixels, the visible image is kept.
        check: look whether a few pairs of a folder of 32 or more line up, and warn if they do not;
            runs beside the fusion.
        strength: 0 gives the visible image, 1 the network's result, and up to 2 warmer targets.
        style: fused; or overlay (a palette of the infrared image over the visible one) or edges
            (infrared edges in the visible image), which use no network. With --ir-range, equal
            colors of overlay mean equal temperatures in all images.
        keep_ir: also write the infrared images as the network saw them to OUT/ir, for `fusejax
            evaluate`.
        ir_range: infrared values that map to black and white: LOW HIGH, `full` (the range of the
            data type) or `auto`. `auto` is the full range for 8-bit files and for files that use
            their range; otherwise it is the lowest and highest values in the whole folder, without
            outliers, and it is printed.
        ir_polarity: whether hot is white or black in the infrared files.
        stretch: stretch the luma of each fused image to the full range.
        bits: bit depth of the fused images, 8 or 16; by default that of the visible image.
        recursive: also fuse images in subfolders, and keep the folder structure in OUT.
        overwrite: replace existing files; sources are never replaced.
        skip_existing: keep existing files and fuse the rest; continues an interrupted call.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color to OUT/panels.
        maps: also write the network's attention and alpha maps to OUT/maps (FusionNet only).
        tile: `off` fuses each image as a whole, a number is the side of the tiles in pixels, and
            `auto` uses tiles if the network would need more memory than is available. The tiled
            result stays within one gray level (of 255) of the result for the whole image. Maps are
            never tiled.
        memory: peak memory that the process may use with `--tile auto`, such as 2G; by default half
            of the machine's memory.
        shard: I/N fuses only every N-th pair, beginning with the I-th, on one of N machines that
            see the same folders; the files are the same bytes as those of one call.
        engine: `ray` fuses a folder on the workers of the Ray cluster that RAY_ADDRESS names,
            otherwise on this machine; a lost worker's pairs are done again.
        codec: codec of a fused video: `ffv1` (lossless, .mkv, the default) or `h264` (.mp4).
            Without it, folders fused with --rate are written as images.
        rate: frames per second; states that the folders hold the frames of a video.
        ir_rate: frames per second of the infrared folder, if it is another. Videos of unequal rates
            are paired by their time stamps; every visible frame gets the latest infrared frame.
        offset: seconds to add to the times of infrared frames, or `auto` to find them from what
            moves in both videos.
        temporal: time constant in seconds, such as 0.5, with which the network's decision settles
            where nothing moves; 0 fuses every frame of a video independently.
        preview: also write a video of infrared | visible | fused to NAME_preview.mp4.
    """

    ir: Path
    vi: Path | None = None
    out: Path = tyro.MISSING
    ir_pattern: str | None = None
    vi_pattern: str | None = None
    frame: Frame = "vi"
    units: Degrees | None = None
    ir_unit: Stored = "auto"
    temperature: bool = False
    above: float | None = None
    metadata: bool = True
    format: ImageFormat | None = None
    quality: int = 95
    weights: str = "light"
    resize: Literal["ir"] | None = None
    register: str | None = None
    check: bool = True
    strength: float = 1.0
    style: Style = "fused"
    keep_ir: bool = False
    ir_range: tuple[str, ...] = ("auto",)
    ir_polarity: Literal["white", "black"] = "white"
    stretch: bool = False
    bits: Literal[8, 16] | None = None
    recursive: bool = False
    overwrite: bool = False
    skip_existing: bool = False
    skip_bad: bool = False
    panel: bool = False
    maps: bool = False
    tile: str = "auto"
    memory: str | None = None
    shard: str | None = None
    engine: Literal["local", "ray"] = "local"
    codec: Literal["ffv1", "h264"] | None = None
    rate: float | None = None
    ir_rate: float | None = None
    offset: float | Literal["auto"] = 0.0
    temporal: float = 0.0
    preview: bool = False


def fuse_command(options: FuseOptions) -> list[Path]:
    """Fuses the given sources, prints a summary and returns the paths of the files written.

    Raises:
        ValueError: see `fuse_folder` and `fuse_video`.
        OSError: see `fuse_folder` and `fuse_video`.
    """
    from fusejax.io.video import is_video

    given: dict[str, Any] = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    given["ir_range"] = parse_range(options.ir_range)
    check = given.pop("check") and options.register is None
    given["align"] = _aligner(given.pop("register"))
    sources = [path for path in (options.ir, options.vi) if path is not None]
    video = options.rate is not None or any(map(is_video, sources))
    unused = {name: given.pop(name) for name in (_IMAGES_ONLY if video else _VIDEO_ONLY)}
    if video:
        if options.vi is None:
            raise VideoError("--vi is missing; videos are fused in pairs, so also give the visible one.")
        unused |= {name: given.pop(name) != usual for name, usual in _IMAGES_DEFAULTS.items()}
    if chosen := [f"--{name.replace('_', '-')}" for name, value in unused.items() if value]:
        wrong = "is for images only" if video else "is for videos only; for folders of frames, also give --rate"
        raise VideoError(f"{', '.join(chosen)} {wrong}.")
    if video:
        return _fuse_video(given)
    from fusejax.inference.jobs import parse_shard

    given["shard"] = parse_shard(options.shard) if options.shard is not None else None
    if given.pop("engine") == "ray":
        if given.pop("shard") is not None:
            raise ValueError("--engine ray makes shards of its own; leave out --shard.")
        from fusejax.inference.ray_engine import fuse_on_ray

        result = fuse_on_ray(**given)
    else:
        from fusejax.inference.folder import fuse_folder

        first = given["shard"] is None or given["shard"][0] == 1
        with _checking(options, check and first):
            result = fuse_folder(**given)
    _report(result, options.out)
    return result.written


@contextlib.contextmanager
def _checking(options: FuseOptions, wanted: bool) -> Iterator[None]:
    """Looks beside the fusion whether pairs line up, and warns after it."""
    if not wanted:
        yield
        return
    from fusejax.io.image_headers import ImageWarning
    from fusejax.io.pair_finding import find_pairs
    from fusejax.registration.folder_check import CheckBeside

    names = {"ir_pattern": options.ir_pattern, "vi_pattern": options.vi_pattern, "recursive": options.recursive}
    with CheckBeside(lambda: find_pairs(options.ir, options.vi, skip_bad=True, **names)[0]) as check:
        yield
    if line := check.line():
        warnings.warn(line, ImageWarning, stacklevel=2)


def _aligner(register: str | None) -> "Aligner | None":
    """The step that --register names."""
    if register is None:
        return None
    from fusejax.registration.aligner import RegisterInfrared

    if register != "pair" and not Path(register).is_file():
        raise ValueError(f"--register {register} is neither `pair` nor a file such as rig.json of fusejax register.")
    return RegisterInfrared(None if register == "pair" else register)


def _fuse_video(given: dict[str, Any]) -> list[Path]:
    from fusejax.inference.video import fuse_video

    fused = fuse_video(**given)
    print(f"{fused.frames} fused frames in {fused.written}" + (f"; {fused.audio}" if fused.audio else ""))
    if given["offset"] == "auto":
        print(f"infrared frames were moved by {fused.offset:.3f} s")
    if fused.left_out:
        print(f"{fused.left_out} visible frames are left out, since there is no infrared frame at their time")
    if fused.preview:
        print(f"preview in {fused.preview}")
    return [path for path in (fused.written, fused.preview) if path is not None]


def _report(result: "FusedFolder", out: Path) -> None:
    for line in result.skipped:
        print(f"skipped: {line}")
    kept = f", {len(result.existing)} already existed" if result.existing else ""
    print(f"{len(result.written)} fused images in {out}{kept}")


def run(arguments: list[str]) -> None:
    """The command."""
    # Pillow warns about images of more than 89 megapixels; tiles handle those.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    fuse_command(parse(FuseOptions, "fuse", arguments))
