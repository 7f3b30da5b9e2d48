"""`fusejax fuse`: a pair of files, two folders of them, or two videos, to a fused one."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from fusejax.cli.parsing import parse, parse_range
from fusejax.data.video import VideoError, is_video
from fusejax.inference.folder import FusedFolder, fuse_folder
from fusejax.inference.video import fuse_video

# Options that only make sense for videos, and for images.
_VIDEO_ONLY = ("codec", "rate", "temporal", "preview")
_IMAGES_ONLY = ("keep_ir", "stretch", "bits", "recursive", "skip_existing", "skip_bad", "panel", "maps")


@dataclasses.dataclass(frozen=True)
class FuseOptions:
    """Fuses registered infrared and visible images or videos; two folders are paired by file stem.

    Attributes:
        ir: infrared image, folder of them, or video.
        vi: visible image, folder of them, or video.
        out: folder for the fused images; they keep the visible image's stem, size and bit depth,
            and its format if that is lossless (png, bmp, tif), else png. For one pair also a file
            name.
        weights: shipped name, .safetensors file, or folder of a finished run.
        resize: `ir` resamples infrared images of another size to that of the visible one.
        keep_ir: also write infrared as the network saw it, to OUT/ir; `fusejax evaluate` can use
          it.
        ir_range: values of the infrared files that are black and white: `auto`, `full` (of the file
            type) or LOW HIGH. auto: full for 8 bit and files that use their range; else the
            darkest and brightest values of the whole folder without outliers, which are printed.
        ir_polarity: what is hot in the infrared files.
        stretch: stretch each fused luma to the full range.
        bits: of the fused images, 8 or 16; by default as the visible image.
        recursive: also fuse the sub-folders, and keep them in OUT.
        overwrite: replace fused images that exist.
        skip_existing: keep fused images that exist and fuse the rest; continues an interrupted
          call.
        skip_bad: leave out unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color, to OUT/panels.
        maps: also write the network's attention and alpha maps, to OUT/maps (FusionNet).
        tile: `off` fuses images whole, a number in tiles of this side in pixels, `auto` in tiles if
            the network needs more memory than there is; the result stays within a level of 255 of
            the whole image's. Maps are always whole.
        memory: that the process may use at its peak, such as 2G, for `--tile auto`; by default half
            of the machine's.
        codec: of a fused video: `ffv1` (lossless, .mkv, the default) or `h264` (.mp4); folders with
            --rate give images unless it is named.
        rate: frames per second; says that the folders hold the frames of a video.
        temporal: time constant in seconds in which the decision of the network settles where
            nothing moves, such as 0.5; 0 fuses every frame of a video on its own.
        preview: also write a video of infrared | visible | fused, NAME_preview.mp4.
    """

    ir: Path
    vi: Path
    out: Path
    weights: str = "light"
    resize: Literal["ir"] | None = None
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
    codec: Literal["ffv1", "h264"] | None = None
    rate: float | None = None
    temporal: float = 0.0
    preview: bool = False


def fuse_command(options: FuseOptions) -> list[Path]:
    """Fuses what the options name, prints a summary and returns the files written.

    Raises:
        ValueError: see `fuse_folder` and `fuse_video`.
        OSError: see `fuse_folder` and `fuse_video`.
    """
    given: dict[str, Any] = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    given["ir_range"] = parse_range(options.ir_range)
    video = options.rate is not None or is_video(options.ir) or is_video(options.vi)
    unused = {name: given.pop(name) for name in (_IMAGES_ONLY if video else _VIDEO_ONLY)}
    if chosen := [f"--{name.replace('_', '-')}" for name, value in unused.items() if value]:
        wrong = "is for images" if video else "is for videos; for folders of frames also give --rate"
        raise VideoError(f"{', '.join(chosen)} {wrong}.")
    if video:
        return _fuse_video(given)
    result = fuse_folder(**given)
    _report(result, options.out)
    return result.written


def _fuse_video(given: dict[str, Any]) -> list[Path]:
    fused = fuse_video(**given)
    print(f"{fused.frames} fused frames in {fused.written}" + (f"; {fused.audio}" if fused.audio else ""))
    if fused.preview:
        print(f"preview in {fused.preview}")
    return [path for path in (fused.written, fused.preview) if path is not None]


def _report(result: FusedFolder, out: Path) -> None:
    for line in result.skipped:
        print(f"left out: {line}")
    kept = f", {len(result.existing)} were there already" if result.existing else ""
    print(f"{len(result.written)} fused images in {out}{kept}")


def run(arguments: list[str]) -> None:
    """The command."""
    # Pillow's words for an image of more than 89 megapixels, which tiles are made for.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    fuse_command(parse(FuseOptions, "fuse", arguments))
