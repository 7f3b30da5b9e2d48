"""The check of options that accept a few named values."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import pytest

from fusejax.losses.angle import direction_loss
from fusejax.metrics.edges import qabf
from fusejax.metrics.fidelity import psnr
from fusejax.metrics.sharpness import average_gradient, spatial_frequency
from fusejax.metrics.structure import ssim
from fusejax.options import check_choices, check_options, checked_options

X = jnp.full((1, 12, 12, 1), 0.5)


@checked_options
def scaled(x, *, by: Literal["one", "two"] = "one", offset: float = 0.0):
    return (2 * x if by == "two" else x) + offset


def test_known_values_pass_and_unknown_ones_name_the_nearest():
    assert scaled(3, by="two", offset=1) == 7
    with pytest.raises(ValueError, match="scaled: by is 'tow'; expected one of 'one', 'two'; did you mean 'two'"):
        scaled(3, by="tow")


def test_the_check_works_while_tracing():
    with pytest.raises(ValueError, match="by is 'three'"):
        jax.jit(lambda x: scaled(x, by="three"))(1.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: direction_loss((X, X), (X, X), weighting="nonne"),
        lambda: psnr(X, X, X, peak="max"),
        lambda: qabf(X, X, X, equal="Strength"),
        lambda: spatial_frequency(X, over="pixel"),
        lambda: average_gradient(X, difference="centre"),
        lambda: ssim(X, X, X, window="gauss"),
        lambda: ssim(X, X, X, combine="avg"),
    ],
)
def test_misspelled_options_are_refused(call):
    with pytest.raises(ValueError, match="expected one of"):
        call()


def test_options_are_checked_before_a_call():
    check_options(scaled, {"by": "two"}, owner="'scaled'")
    with pytest.raises(ValueError, match="'scaled' has no option 'of'; it has by, offset"):
        check_options(scaled, {"of": 1}, owner="'scaled'")
    with pytest.raises(ValueError, match="'scaled': by is 2; expected one of 'one', 'two'"):
        check_options(scaled, {"by": 2}, owner="'scaled'")


def test_fields_of_a_configuration_are_checked():
    @dataclasses.dataclass
    class Config:
        mode: Literal["a", "b"] = "a"

    check_choices(Config())
    with pytest.raises(ValueError, match="mode is 'c'; expected one of 'a', 'b'"):
        check_choices(Config("c"))
