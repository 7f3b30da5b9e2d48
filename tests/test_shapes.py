"""Every public loss and metric refuses images of unequal shapes, also while JAX traces it."""

import inspect
import re
from typing import get_args

import jax
import jax.numpy as jnp
import pytest

from fusejax import losses, metrics
from fusejax.losses.resolved import resolve_pair
from fusejax.typing import Features, Luma, Rgb

EQUAL = (2, 48, 52)
# One image or column less: NumPy's rules would broadcast the first and the last silently.
OTHERS = ((1, 48, 52), (2, 48, 51), (2, 48, 1))
FEATURES = {"features": ("ir_detail", "vi_detail", "ir_base", "vi_base"), "rebuilt": ("ir", "vi_y")}
# These look at one image, or at something else than arrays.
NO_PAIR = {"consistency_loss", "check_objective", "decay_factor", "higher_is_better", "merit", "undefined_reason"}
# These have messages of their own, tested in test_losses.py, test_metrics_limits.py and
# test_temporal_metrics.py.
OTHER_MESSAGE = {"evaluate_objective", "evaluate", "evaluate_video"}


def is_image(hint):
    return hint in (Luma, Rgb, Features) or any(map(is_image, get_args(hint)))


def image(hint, size):
    """An image, or a tuple of images, as the hint of a parameter says."""
    if get_args(hint) and hint not in (Luma, Rgb, Features):
        inner = [x for x in get_args(hint) if is_image(x)]
        return tuple(image(x, size) for x in inner) if len(inner) > 1 else image(inner[0], size)
    return jnp.full((*size, 3 if hint == Rgb else 1), 0.5)


def argument(name, hint, size):
    return {key: image(Luma, size) for key in FEATURES[name]} if name in FEATURES else image(hint, size)


def functions():
    for room in (losses, metrics):
        for name in room.__all__:
            public = getattr(room, name)
            if inspect.isfunction(inspect.unwrap(public)) and name not in NO_PAIR | OTHER_MESSAGE:
                yield pytest.param(public, id=name)


FUNCTIONS = list(functions())


def images_of(function):
    found = {p.name: p.annotation for p in inspect.signature(function).parameters.values()}
    return {name: hint for name, hint in found.items() if is_image(hint)}


def call(function, arguments):
    options = {"config": losses.ReferenceConfig()} if function is losses.fine_grained_reference else {}
    if "resolved" in inspect.signature(function).parameters:
        options["resolved"] = resolve_pair(image(Luma, EQUAL), image(Luma, EQUAL))
    return function(**arguments, **options)


def test_there_is_something_to_check():
    assert len(FUNCTIONS) > 45
    assert all(images_of(param.values[0]) for param in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unequal_shapes_are_refused_by_name(function, unchecked):
    hints = images_of(function)
    equal = {name: argument(name, hint, EQUAL) for name, hint in hints.items()}
    for changed, hint in hints.items():
        for size in OTHERS:
            arguments = equal | {changed: argument(changed, hint, size)}
            if changed in FEATURES and len(hints) == 1:  # one map of the dict differs
                arguments = {changed: {**equal[changed], FEATURES[changed][0]: image(Luma, size)}}
            shape = re.escape(str((*size, 3 if hint == Rgb else 1)))
            message = rf"{changed} is (\([\d, ]+\) and )?{shape}.*; all must have the same shape"
            with pytest.raises(ValueError, match=message):
                call(function, arguments)
            with pytest.raises(ValueError, match=message):
                jax.jit(lambda kwargs: call(function, kwargs)).lower(arguments)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_equal_shapes_are_accepted(function):
    """Without this, the test above could pass for a function that refuses everything."""
    arguments = {name: argument(name, hint, EQUAL) for name, hint in images_of(function).items()}
    shapes = jax.eval_shape(lambda kwargs: call(function, kwargs), arguments)
    assert all(x.shape[0] == EQUAL[0] for x in jax.tree.leaves(shapes))
