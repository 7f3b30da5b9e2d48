"""Loading what fuses by its name or suffix, and fusing arrays with it in one call."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from fusejax.inference import exported, foreign
from fusejax.inference.backend import Backend
from fusejax.inference.fuser import Fuser
from fusejax.inference.rules import RULES, Rule
from fusejax.inference.styles import Style
from fusejax.inference.thermal import Polarity, RangeOption
from fusejax.io.align import Aligner

_SUFFIXES = (".safetensors", *exported.SUFFIXES)


def load(weights: str | Path = "light", *, tile: str | int = "auto", memory: int | str | None = None) -> Backend:
    """Loads what fuses.

    Args:
        weights: one of

            - a shipped name, a .safetensors file, or the folder of a run (RUN@STEP for one of its
              checkpoints);
            - an .onnx or .stablehlo file written by `fusejax export`;
            - an .onnx file of another program, with the names of its inputs:
              `FILE.onnx:ir=NAME,vi=NAME`, see `fusejax.inference.ForeignOnnx`;
            - `average` or `maximum`, the rules.
        tile: see `Fuser`; the library's own networks use it.
        memory: see `Fuser`, likewise.

    Returns:
        The backend; it can be pickled and copied.

    Raises:
        ValueError: if there is nothing usable, or an option is wrong.
    """
    text = str(weights)
    if text in RULES:
        return Rule(text)
    path, options = foreign.split_options(text)
    if options is not None:
        return foreign.ForeignOnnx(path, **options)
    if path.suffix in exported.SUFFIXES:
        return _open_exported(path)
    return Fuser.load(weights, tile=tile, memory=memory)


def _open_exported(path: Path) -> exported.ExportedFile:
    try:
        return exported.ExportedFile(path)
    except ValueError as error:
        if (text := foreign.advice(path)) is not None:
            raise ValueError(text) from error
        raise


def opened(weights: "str | Path | Backend", **options: Any) -> Backend:
    """`load`, unless it is a backend already, whose own options then count.

    Args:
        weights: see `load`, or a backend.
        **options: see `load`.

    Returns:
        The backend.
    """
    return load(weights, **options) if isinstance(weights, str | Path) else weights


def weights_name(weights: str | Path) -> str:
    """The name under which `load` shows something, without opening it.

    Args:
        weights: see `load`.

    Returns:
        The name of the file without suffix, of the folder, or of the rule.
    """
    path, _ = foreign.split_options(str(weights))
    return path.stem if path.suffix in _SUFFIXES else path.name


@functools.cache
def _loaded(weights: str) -> Backend:
    return load(weights)


def fuse(
    ir: Any,
    vi: Any,
    *,
    weights: str | Path | Backend = "light",
    stretch: bool = False,
    ir_range: RangeOption = "auto",
    ir_polarity: Polarity = "white",
    align: Aligner | None = None,
    strength: float = 1.0,
    style: Style = "fused",
) -> Shaped[np.ndarray, "..."]:
    """Fuses an infrared and a visible image of the same scene, registered to each other.

    The luma of the visible image (BT.601, full range) is fused with the infrared image; chroma is
    taken from the visible image.

    Args:
        ir: [h, w], [h, w, 1] or [h, w, 3] (its luma is used), or a batch of such images; uint8,
            uint16 or float.
        vi: [h, w], [h, w, 1] (gray) or [h, w, 3] (RGB), or a batch; uint8, uint16, or float in
            [0, 1].
        weights: see `fusejax.load`, or what it returns.
        stretch: stretch the luma of each fused image to the full range; off by default, because it
            changes the meaning of gray levels. A pair without contrast is not changed.
        ir_range: values of `ir` that map to black and white. "full": the range of the data type, 0
            to 1 for floats. (LOW, HIGH): these values. "auto": the range of the data type for 8-bit
            images and for images that use it; otherwise the lowest and highest values without
            outliers, with a warning that states them. See
            `fusejax.inference.thermal.automatic_ranges`. Frames of a video are comparable only if
            all use the same range.
        ir_polarity: "white" if hot is bright in `ir`, "black" if hot is dark.
        align: a step that may change each pair before it is fused, such as a registration; see
            `fusejax.inference.Aligner`.
        strength: 0 for the visible image, 1 for the network's result, up to 2 for warmer targets.
        style: "fused"; "overlay", a palette of the infrared image over the visible one; "edges",
            infrared edges in the visible image. The last two use no network.

    Returns:
        Array with the shape and data type of `vi`: color in, color out; RGB for styles other than
        "fused". Where the infrared image has no content, such as constant borders, the visible
        image is kept.

    Raises:
        ValueError: for unequal sizes, unsupported shapes or types, NaN, and floats outside [0, 1]
            where these are not allowed.

    Example:
        >>> from fusejax.data import synthetic_pair
        >>> pair = synthetic_pair(1, size=(48, 64))
        >>> fused = fuse(pair["ir"], pair["vi"])
        >>> fused.shape, fused.dtype
        ((48, 64, 3), dtype('uint8'))
    """
    backend = _loaded(str(weights)) if isinstance(weights, str | Path) else weights
    look: dict[str, Any] = {"strength": strength, "style": style}
    return backend.fuse(ir, vi, stretch=stretch, ir_range=ir_range, ir_polarity=ir_polarity, align=align, **look)
