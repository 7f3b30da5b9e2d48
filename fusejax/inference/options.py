"""Options of everything that fuses files, checked once: for Python, the command line and videos."""

import dataclasses
import math
import re
from typing import Literal

import numpy as np

from fusejax.inference.beside import Beside
from fusejax.inference.pair_checks import check_bits, check_strength
from fusejax.inference.styles import Style, check_style
from fusejax.inference.thermal import Polarity, RangeOption, check_range
from fusejax.io.image_headers import ImageFormat
from fusejax.io.matching import NameOptions
from fusejax.io.pair_images import SourceOptions
from fusejax.io.pyav import Codec

_LARGEST_TILE = 2**16
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Options for pairs of images and of frames.

    Attributes:
        resize: `ir` resamples each infrared image to the size of the visible image.
        strength: 0 gives the visible image, 1 the network's result, and up to 2 warmer targets.
        ir_range: infrared values that map to black and white: LOW HIGH, `full` (the range of the
            data type) or `auto`. The latter is the full range for 8-bit files and for files that
            use their range. Otherwise it is one range for all images, from the lowest to the
            highest value without outliers, and it is printed.
        ir_polarity: whether hot is white or black in the infrared files.
        overwrite: replace existing files; sources are never replaced.
        tile: a number is the side of the tiles in pixels, `off` fuses each image as a whole, and
            with `auto` there are tiles if the network would need more memory than is available. The
            tiled result stays within one gray level (of 255) of the result for the whole image.
            Maps are never tiled.
        memory: peak memory that the process may use with `auto` tiles, such as 2G; by default half
            of the machine's memory.
    """

    resize: Literal["ir"] | None = None
    strength: float = 1.0
    ir_range: RangeOption = "auto"
    ir_polarity: Polarity = "white"
    overwrite: bool = False
    tile: str = "auto"
    memory: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "ir_range", check_range(self.ir_range))  # numbers as floats
        check_strength(self.strength)
        check_tile(self.tile)
        memory_limit(self.memory)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderOptions(PairOptions, SourceOptions, NameOptions):
    """Options of `fuse_folder`.

    Attributes:
        temperature: also write the temperatures in the frame of the fused image as float32 TIFF, to
            OUT/temperature. Files that hold no temperatures are refused.
        above: mark everything above this value, in `units` or in the values of the files.
        metadata: keep EXIF, XMP, IPTC, GPS and color profile of the visible image, and add what is
            known about the thermal camera.
        format: format of the fused images; by default that of the visible image if it is lossless,
            else png.
        quality: quality of jpg and webp, 1 to 100.
        style: fused; or overlay (a palette of the infrared image over the visible one) or edges
            (infrared edges in the visible image), which use no network. With two numbers for the
            range, equal colors of overlay mean equal temperatures in all images.
        color_bar: add a color bar with the values of the range to the right of each overlay; the
            image gets wider by it.
        keep_ir: also write the infrared images as the network saw them to OUT/ir, for `fusejax
            evaluate`.
        stretch: stretch the luma of each fused image to the full range.
        bits: bit depth of the fused images, 8 or 16; by default that of the visible image.
        recursive: also fuse images in subfolders, and keep the folder structure in OUT.
        skip_existing: keep existing files and fuse the rest; continues an interrupted call.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        panel: also write infrared | visible | fused | fused in color to OUT/panels.
        maps: also write maps of the network's decisions to OUT/maps: attention and alpha
            (FusionNet), the shares of its paths and sources (CrossFuse), or that of the global
            branch (AngularFuse).
    """

    temperature: bool = False
    above: float | None = None
    metadata: bool = True
    format: ImageFormat | None = None
    quality: int = 95
    style: Style = "fused"
    color_bar: bool = False
    keep_ir: bool = False
    stretch: bool = False
    bits: Literal[8, 16] | None = None
    recursive: bool = False
    skip_existing: bool = False
    skip_bad: bool = False
    panel: bool = False
    maps: bool = False

    def __post_init__(self):
        super().__post_init__()
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality is {self.quality}; it must be from 1 to 100.")
        check_style(self.style, strength=self.strength, stretch=self.stretch, maps=self.maps)
        if self.color_bar and self.style != "overlay":
            raise ValueError(f"color_bar explains the palette of style 'overlay', but style is {self.style!r}.")
        check_bits(self.bits)
        if self.overwrite and self.skip_existing:
            raise ValueError(
                "Existing images are either replaced (--overwrite) or kept (--skip-existing); give only one of the two."
            )

    @property
    def degrees(self) -> bool:
        """See `SourceOptions`."""
        return self.temperature or self.units is not None

    @property
    def beside(self) -> tuple[Beside, ...]:
        """Kinds of files that are written beside the fused images."""
        wanted: dict[Beside, bool] = {
            "ir": self.keep_ir,
            "panels": self.panel,
            "maps": self.maps,
            "temperature": self.temperature,
        }
        return tuple(kind for kind, written in wanted.items() if written)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoOptions(PairOptions):
    """Options of `fuse_video`.

    Attributes:
        codec: codec of a fused video: ffv1 (lossless, .mkv) or h264 (.mp4); by default that of
            the suffix of OUT, otherwise ffv1 for videos and images for folders.
        rate: frames per second of folders; states that the folders hold the frames of a video.
        ir_rate: frames per second of an infrared folder whose rate is another. Videos of unequal
            rates, and those with an offset, are paired by their time stamps: every visible frame
            gets the latest infrared frame. Names and numbers of frames then need not be equal.
        offset: seconds to add to the times of infrared frames, or `auto` to find them from what
            moves in both videos, see `fusejax.inference.time_pairing.find_offset`.
        temporal: time constant in seconds, such as 0.5, with which the network's decision settles
            where nothing moves; 0 fuses every frame independently.
        preview: also write a video of infrared | visible | fused to NAME_preview.mp4.
    """

    codec: Codec | None = None
    rate: float | None = None
    ir_rate: float | None = None
    offset: float | Literal["auto"] = 0.0
    temporal: float = 0.0
    preview: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_temporal(self.temporal)


def check_temporal(seconds: float) -> None:
    """Raises ValueError unless the time constant is a number of seconds, 0 or more."""
    if not 0 <= seconds < math.inf:
        raise ValueError(f"temporal is {seconds:g}; it must be a time in seconds, 0 or more.")


def check_tile(tile: str | int) -> None:
    """Raises ValueError unless `tile` is `auto`, `off` or a side in pixels."""
    if tile not in ("auto", "off") and not (str(tile).isdecimal() and 0 < int(tile) <= _LARGEST_TILE):
        raise ValueError(f"tile is {tile!r}; expected auto, off or a side of up to {_LARGEST_TILE} pixels.")


def parse_memory(text: str) -> int:
    """Parses a number with the unit K, M or G (powers of 1024), such as `2G` or `800M`, to bytes.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", text.strip(), flags=re.IGNORECASE)
    if not match:
        raise ValueError(f"memory is {text!r}; expected a number with K, M or G, such as 2G.")
    count = int(float(match[1]) * _UNITS[match[2].upper()])
    if not 0 < count < 2**63:
        raise ValueError(f"memory is {text!r}; it must be above 0 and below 2^63 bytes, such as 2G.")
    return count


def memory_limit(memory: int | str | None) -> int | None:
    """The option `memory` in bytes.

    Raises:
        ValueError: if it is neither a number of bytes above 0, nor a text such as "2G".
    """
    if isinstance(memory, str):
        return parse_memory(memory)
    if memory is not None and (isinstance(memory, bool) or not isinstance(memory, int | np.integer) or memory <= 0):
        raise ValueError(f"memory is {memory!r}; expected a number of bytes, or a text such as '2G'.")
    return memory
