"""What counts as an image, and shapes that must agree."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from fusejax.ops.arrays import as_array, check_equal_shapes, equal_shapes, unit_image
from fusejax.typing import Luma

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (GRAY, GRAY / 255),
        (GRAY.astype(np.uint16), GRAY / 65535),
        (jnp.asarray(GRAY), GRAY / 255),
        (GRAY.tolist(), GRAY / 255),
        ((GRAY / 255).tolist(), GRAY / 255),
        (list(GRAY), GRAY / 255),
        (Image.fromarray(GRAY), GRAY / 255),
        (Image.fromarray(GRAY.astype(np.uint16)), GRAY / 65535),
        ((GRAY / 255).astype(np.float64), GRAY / 255),
    ],
)
def test_every_form_of_an_image_becomes_float32_in_the_unit_range(image, expected):
    unit = unit_image(image, "vi")
    assert unit.dtype == np.float32
    assert unit.shape == (3, 4, 1)
    np.testing.assert_allclose(unit[..., 0], expected, rtol=1e-6)


def test_palette_and_black_and_white_images_are_their_pixels():
    rgb = np.random.default_rng(0).integers(0, 2, (5, 6, 3), dtype=np.uint8) * 255
    palette = Image.fromarray(rgb).quantize(8)
    np.testing.assert_array_equal(as_array(palette, "vi"), rgb)
    np.testing.assert_array_equal(as_array(Image.fromarray(rgb[..., 0]).convert("1"), "vi"), rgb[..., 0])


class FakeTensor:
    """Stands for a torch tensor, of which only the module and name are checked."""


FakeTensor.__module__ = "torch"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.ma.masked_array(GRAY), r"ir is a masked array.*ir\.filled"),
        (FakeTensor(), r"ir is of type torch\.FakeTensor; pass ir\.numpy"),
        (None, "ir is of type builtins.NoneType"),
        ("ir.png", "ir is a path, 'ir.png'; read the file first"),
        (Path("ir.png"), "ir is a path, 'ir.png'"),
        ([[1, 2], [3]], "ir is a list with rows of unequal length"),
        ([[1, 300], [3, 4]], "ir is int64; expected uint8, uint16 or float"),
        (Image.new("RGBA", (4, 3)), "mode RGBA; convert it to RGB or L"),
        (GRAY.astype(bool), "ir is bool"),
        (np.zeros((3, 4, 2)), r"ir has shape \(3, 4, 2\)"),
        (np.zeros((0, 4)), "no pixels"),
        (GRAY.astype(float), "ir has values from 0 to 11; floats must lie in .0, 1.; divide 8-bit levels by 255"),
        (np.full((3, 4), -0.5), "from -0.5 to -0.5"),
        (np.array([[0.5, np.nan]]), "ir has 1 values that are NaN"),
        (jnp.array([[0.5, jnp.inf]]), "to inf; floats must"),
    ],
)
def test_anything_else_is_refused_with_what_came(image, message):
    with pytest.raises(ValueError, match=message):
        unit_image(image, "ir")


def test_values_are_not_looked_at_while_tracing():
    np.testing.assert_array_equal(jax.jit(lambda x: unit_image(x, "ir"))(jnp.full((2, 2), 3.0)), 3.0)


def test_equal_shapes_names_every_array():
    check_equal_shapes("f", a=np.zeros(2), b=(np.zeros(2), np.zeros(2)))
    with pytest.raises(ValueError, match=r"f: a is \(2,\), b is \(2,\) and \(3,\); all must have the same shape"):
        check_equal_shapes("f", a=np.zeros(2), b=(np.zeros(2), np.zeros(3)), c=None)


@equal_shapes
def three(a: Luma, b: tuple[Luma, Luma], c: Luma | None = None, *, size: float = 1.0):
    return size


def test_the_decorator_looks_into_tuples_and_ignores_what_is_no_image():
    x, y = np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 3, 1))
    assert three(x, (x, x), size=2.0) == 2.0
    assert three(x, (x, x), c=x) == 1.0
    for arguments in ((y, (x, x)), (x, (x, y)), (x, (x, x), y)):
        with pytest.raises(ValueError, match="all must have the same shape"):
            three(*arguments)
