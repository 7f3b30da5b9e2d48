"""Checks of the arrays passed by callers: what counts as an image, and which shapes must agree."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_args, get_type_hints

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fusejax.typing import Features, Luma, Rgb

P = ParamSpec("P")
T = TypeVar("T")

# Modes of PIL images whose arrays are pixels, and other modes that can be converted without loss.
_PIL_MODES = ("L", "RGB", "I;16")
_PIL_CONVERSIONS = {"1": "L", "P": "RGB"}


def as_array(image: Any, name: str) -> np.ndarray | jax.Array:
    """Converts an image in any supported form to an array.

    Args:
        image: a NumPy or JAX array, a PIL image (gray, RGB, palette, 16 bit), or nested lists.
            Integers in lists are 8-bit levels.
        name: name of the image in error messages.

    Returns:
        The array; arrays are returned unchanged.

    Raises:
        ValueError: for anything else (a path, None, a torch tensor, a masked array, ragged lists);
            the message says what was given and what to do.
    """
    if isinstance(image, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array; choose a value for the masked pixels: {name}.filled(value).")
    if isinstance(image, np.ndarray | jax.Array):
        return image
    kind = type(image)
    library = kind.__module__.partition(".")[0]
    if library == "PIL" and hasattr(image, "convert"):
        return _pil_array(image, name)
    if isinstance(image, list | tuple):
        return _list_array(image, name)
    if isinstance(image, str | bytes) or hasattr(image, "__fspath__"):
        hint = "; read the file first, for example with fusejax.io.read_image."
        raise ValueError(f"{name} is a path, {str(image)!r}{hint}")
    hint = f"; pass {name}.numpy(force=True), channels last" if library == "torch" else ""
    raise ValueError(f"{name} is of type {kind.__module__}.{kind.__qualname__}{hint}; expected an array [h, w, c].")


def _pil_array(image: Any, name: str) -> np.ndarray:
    mode = _PIL_CONVERSIONS.get(image.mode, image.mode)
    if mode not in _PIL_MODES:
        raise ValueError(f"{name} is a PIL image of mode {image.mode}; convert it to RGB or L first.")
    return np.asarray(image if mode == image.mode else image.convert(mode))


def _list_array(image: list | tuple, name: str) -> np.ndarray:
    try:
        array = np.asarray(image)
    except ValueError as error:
        raise ValueError(f"{name} is a list with rows of unequal length ({error}).") from error
    if array.dtype == np.int64 and array.size and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    return array


def check_pixels(image: np.ndarray | jax.Array, name: str) -> None:
    """Checks that an array is an image, or a batch of images.

    Values are not checked during tracing, or if the array spans several processes.

    Args:
        image: [h, w], [h, w, 1], [h, w, 3], or the last two with leading axes.
        name: name of the image in error messages.

    Raises:
        ValueError: for another shape or no pixels; for a type other than uint8, uint16 or float;
            for floats outside [0, 1] or NaN. The message says what was given.
    """
    floating = jnp.issubdtype(image.dtype, jnp.floating)
    if image.dtype not in (np.uint8, np.uint16) and not floating:
        raise ValueError(f"{name} is {image.dtype}; expected uint8, uint16 or float in [0, 1].")
    if not (image.ndim == 2 or (image.ndim >= 3 and image.shape[-1] in (1, 3))):
        raise ValueError(f"{name} has shape {image.shape}; expected [h, w], [h, w, 1] or [h, w, 3].")
    if 0 in image.shape:
        raise ValueError(f"{name} has shape {image.shape}; it contains no pixels.")
    unknown = isinstance(image, Tracer) or (isinstance(image, jax.Array) and not image.is_fully_addressable)
    if not floating or unknown:
        return
    low, high = float(image.min()), float(image.max())
    if np.isnan(low):
        count = int(jnp.isnan(image).sum())
        raise ValueError(f"{name} has {count} values that are NaN; floats must lie in [0, 1].")
    if not (low >= 0 and high <= 1):
        hint = "; divide 8-bit levels by 255" if 1 < high <= 255 and low >= 0 else ""
        raise ValueError(f"{name} has values from {low:g} to {high:g}; floats must lie in [0, 1]{hint}.")


def unit_image(image: Any, name: str) -> np.ndarray | jax.Array:
    """Converts an image to float32 in [0, 1] with a channel axis.

    Args:
        image: [h, w], [h, w, 1] or [h, w, 3], the last two with any leading axes; uint8, uint16
            (65535 becomes 1) or float in [0, 1]; in any form supported by `as_array`.
        name: name of the image in error messages.

    Returns:
        float32 [..., h, w, 1 or 3]; a NumPy array unless a JAX array was given.

    Raises:
        ValueError: see `as_array` and `check_pixels`.
    """
    array = as_array(image, name)
    check_pixels(array, name)
    array = array[..., None] if array.ndim == 2 else array
    if jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(np.float32)
    return array.astype(np.float32) / np.iinfo(array.dtype).max


def check_equal_shapes(owner: str, **arrays: Any) -> None:
    """Checks that arrays have the same shape, since broadcasting would hide a mistake.

    Args:
        owner: name of the function in error messages.
        **arrays: arrays by name, or containers of them; None is ignored.

    Raises:
        ValueError: if shapes differ; the message lists them by name.
    """
    try:
        chex.assert_equal_shape(jax.tree.leaves(arrays))
    except AssertionError as error:
        shapes = {name: {leaf.shape: None for leaf in jax.tree.leaves(value)} for name, value in arrays.items()}
        listed = ", ".join(f"{name} is {' and '.join(map(str, found))}" for name, found in shapes.items() if found)
        raise ValueError(f"{owner}: {listed}; all must have the same shape.") from error


def equal_shapes(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator for losses and metrics: all images passed in a call must have the same shape.

    Images are the arguments annotated `Luma`, `Rgb` or `Features`, also within a tuple, a dict or
    `... | None`. Nothing is broadcast, and NumPy arrays become JAX arrays (float64 becomes float32
    unless JAX is configured to keep it). Under `jax.jit`, the check runs only during tracing.

    Args:
        function: function of images.

    Returns:
        The function, which raises a ValueError with the shapes if they differ.
    """
    hints = get_type_hints(function)
    positional = list(inspect.signature(function).parameters)
    images = {name for name in positional if _is_image(hints.get(name))}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        given = dict(zip(positional, args, strict=False)) | kwargs
        found = {name: jax.tree.map(_as_jax, given[name]) for name in images if name in given}
        check_equal_shapes(function.__name__, **found)
        kwargs.update((name, value) for name, value in found.items() if name in kwargs)
        converted: Any = [found.get(name, value) for name, value in zip(positional, args, strict=False)]
        with jax.numpy_rank_promotion("allow"):  # the caller may forbid it for code of their own
            return function(*converted, **kwargs)

    return checked


def _as_jax(x: Any) -> Any:
    return jnp.asarray(x) if isinstance(x, np.ndarray) else x


def _is_image(hint: Any) -> bool:
    return hint in (Luma, Rgb, Features) or any(map(_is_image, get_args(hint)))
