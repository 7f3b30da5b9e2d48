"""Ways to show a thermal and a visible image together, beside fusion: palettes and edges."""

from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Float, UInt

Style = Literal["fused", "overlay", "edges"]
STYLES: tuple[Style, ...] = get_args(Style)
Palette = Literal["inferno", "magma", "plasma", "viridis", "cividis", "gray"]

_EDGE_SIGMA = 1.2  # pixels
_FULL_EDGE = (0.02, 0.12)  # least and most gradient per pixel at which an edge is fully drawn
_EDGE_COLOR = (1.0, 0.55, 0.1)
_LEAST_BAR = 64  # pixels

Rgb = Float[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w 1"]


def check_style(style: str, *, strength: float = 1.0, stretch: bool = False, maps: bool = False) -> None:
    """Checks a style, and that no option of the network is given with another than "fused".

    Args:
        style: its name.
        strength: see `fusejax.fuse`.
        stretch: see `fusejax.fuse`.
        maps: whether maps of the network are wanted.

    Raises:
        ValueError: for unknown styles and options that do not apply.
    """
    if style not in STYLES:
        raise ValueError(f"style is {style!r}; expected one of {', '.join(STYLES)}.")
    if style != "fused" and (strength != 1 or stretch or maps):
        raise ValueError(f"style {style!r} runs no network, so leave out strength, stretch and maps.")


def styled(ir: Plane, vi: Float[np.ndarray, "h w c"], style: Style) -> Rgb:
    """Shows a pair in a style that needs no network.

    Args:
        ir: infrared image in [0, 1], after its range was applied.
        vi: visible image in [0, 1], gray or RGB.
        style: "overlay" for `overlay`, "edges" for `edge_overlay` of the infrared image.

    Returns:
        RGB in [0, 1].

    Raises:
        ValueError: for "fused", which a network does, and for unknown styles.
    """
    rgb = vi if vi.shape[-1] == 3 else vi.repeat(3, -1)
    if style == "overlay":
        return overlay(ir, rgb)
    if style == "edges":
        return edge_overlay(ir, rgb)
    raise ValueError(f"style is {style!r}; expected one of {', '.join(STYLES)}.")


def overlay(ir: Plane, vi: Rgb, *, palette: Palette = "inferno", opacity: float = 0.5) -> Rgb:
    """Blends the infrared image, in the colors of a palette, over the visible image.

    The palettes are perceptually uniform maps of matplotlib (van der Walt and Smith 2015), so equal
    differences of temperature look equal. A fixed range of the infrared image gives the same color
    to the same temperature in every image.

    Args:
        ir: infrared image in [0, 1], after its range was applied.
        vi: visible RGB in [0, 1].
        palette: name of the palette.
        opacity: weight of the palette, 0 to 1.

    Returns:
        RGB in [0, 1].

    Raises:
        ValueError: if `opacity` is not in 0..1.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must lie between 0 and 1.")
    return np.float32(1 - opacity) * vi + np.float32(opacity) * palette_colors(ir, palette)


def palette_colors(ir: Plane, palette: Palette) -> Rgb:
    """Colors of a palette.

    Args:
        ir: values in [0, 1].
        palette: name of the palette.

    Returns:
        RGB in [0, 1].
    """
    import matplotlib  # takes a while

    table = matplotlib.colormaps[palette](np.linspace(0, 1, 1024))[:, :3].astype(np.float32)
    return table[np.round(np.clip(ir[..., 0], 0, 1) * 1023).astype(int)]


def edge_overlay(source: Plane, onto: Rgb, *, color: tuple[float, float, float] = _EDGE_COLOR) -> Rgb:
    """Draws the edges of one image into the other.

    Args:
        source: image in [0, 1] whose edges are drawn, such as the infrared one.
        onto: RGB in [0, 1] into which they are drawn.
        color: RGB of the edges.

    Returns:
        RGB in [0, 1].
    """
    smooth = cv2.GaussianBlur(source[..., 0], (0, 0), _EDGE_SIGMA)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    gradient = np.hypot(across, down)
    full = np.clip(np.percentile(gradient, 98), *_FULL_EDGE)
    weight = np.clip(1.5 * gradient / full - 0.5, 0, 1)[..., None]
    return onto + weight * (np.array(color, np.float32) - onto)


def color_bar(
    low: float, high: float, *, height: int, unit: str = "", palette: Palette = "inferno"
) -> Float[np.ndarray, "h bar 3"]:
    """A legend of the palette, with the values at its ends and between them.

    Args:
        low: value of the darkest color.
        high: value of the brightest color.
        height: height of the bar in pixels, at least 64.
        unit: unit behind the numbers, such as "°C".
        palette: name of the palette.

    Returns:
        RGB in [0, 1], a column of 24 pixels with the numbers beside it.
    """
    from PIL import Image, ImageDraw, ImageFont

    bar, margin = 24, 10
    ramp = np.linspace(1, 0, height - 2 * margin, dtype=np.float32)[:, None, None]
    font = ImageFont.load_default(size=14)
    texts = [f"{high + (low - high) * k / 4:.4g}{' ' + unit if unit else ''}" for k in range(5)]
    width = bar + 12 + max(int(font.getlength(text)) + 1 for text in texts)
    canvas = Image.new("RGB", (width, height), "white")
    colors = palette_colors(ramp.repeat(bar, 1), palette)
    canvas.paste(Image.fromarray((colors * 255).round().astype(np.uint8)), (0, margin))
    draw = ImageDraw.Draw(canvas)
    for k, text in enumerate(texts):
        draw.text((bar + 6, margin + k * (height - 2 * margin) / 4), text, fill="black", font=font, anchor="lm")
    return np.asarray(canvas, np.float32) / 255


def with_color_bar(
    image: UInt[np.ndarray, "h w 3"], low: float, high: float, *, unit: str = "", palette: Palette = "inferno"
) -> UInt[np.ndarray, "h wider 3"]:
    """An image with a color bar to its right.

    Args:
        image: 8- or 16-bit RGB.
        low: value of the darkest color.
        high: value of the brightest color.
        unit: unit behind the numbers, such as "°C".
        palette: name of the palette.

    Returns:
        The wider image, of the same height and type.

    Raises:
        ValueError: if the image is too low for a bar with numbers.
    """
    height = image.shape[0]
    if height < _LEAST_BAR:
        raise ValueError(f"A color bar needs images of at least {_LEAST_BAR} pixels in height; this one has {height}.")
    bar = color_bar(low, high, height=height, unit=unit, palette=palette)
    most = np.iinfo(image.dtype).max
    return np.concatenate([image, np.round(bar * most).astype(image.dtype)], axis=1)


def visible_edges_on_infrared(ir: Plane, vi: Rgb) -> Rgb:
    """The reverse of the usual edge overlay: edges of the visible image in the infrared one.

    Args:
        ir: infrared image in [0, 1].
        vi: visible RGB in [0, 1].

    Returns:
        RGB in [0, 1].
    """
    from fusejax.ops.color import rgb_to_luma  # imports JAX, which the names of styles do not need

    return edge_overlay(rgb_to_luma(vi), ir.repeat(3, -1))
