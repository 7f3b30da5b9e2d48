"""Which networks may run on arrays that hold more or less than one image.

`fusejax.inference.extent` corrects the operations in which a pixel depends on others, if they are
modules that it knows. Anything else must work on every pixel by itself. This is checked on the
trace of the network, in which height and width are multiples of two large primes, so that axes of
pixels are recognized by their length.
"""

import functools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fusejax.ops.extent import CORRECTED
from fusejax.typing import Params

# Large enough that no number of channels is a multiple of them.
_PRIMES = (10007, 10009)
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin")
_CUTS = ("slice", "split", "dynamic_slice", "pad")
# Operations that compute every pixel by itself, or only rename axes.
_POINTWISE = frozenset(
    (
        *("abs", "add", "add_any", "and", "cbrt", "ceil", "clamp", "convert_element_type", "copy", "cos", "div", "eq"),
        *("erf", "erf_inv", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le", "log"),
        *("log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg", "nextafter", "not", "optimization_barrier"),
        *("or", "pow", "reduce_precision", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sqrt", "square"),
        *("stop_gradient", "sub", "tan", "tanh", "xor", "erfc", "acos", "acosh", "asin", "asinh", "atan", "atan2"),
        *("atanh", "cosh", "sinh", "digamma", "lgamma", "shift_left", "shift_right_logical", "square"),
        *("broadcast_in_dim", "expand_dims", "reshape", "squeeze", "stack", "transpose"),
    )
)


def spatial_problem(model: nn.Module, params: Params) -> str | None:
    """Says what a network does beyond single pixels outside of the known modules.

    Args:
        model: network with `remat="none"`.
        params: its parameters, or their shapes.

    Returns:
        The operation and the module; None if there is none, so that images may be padded or cut.
    """
    leaves, structure = jax.tree.flatten(params)
    return _problem(model, structure, tuple((x.shape, jnp.dtype(x.dtype).name) for x in leaves))


@functools.cache
def _problem(model: nn.Module, structure: Any, leaves: tuple) -> str | None:
    from fusejax.inference.extent import intercepted  # which asks here whether it may be used

    size = [model.multiple * prime for prime in _PRIMES]
    image = jax.ShapeDtypeStruct((1, *size, 1), jnp.float32)
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])

    def forward(params: Any, ir: jax.Array, vi_y: jax.Array) -> jax.Array:
        with intercepted(extent=jnp.array(size), height=size[0]), jax.numpy_rank_promotion("allow"):
            return model.apply({"params": params}, ir, vi_y)

    traced = jax.make_jaxpr(forward)(params, image, image)
    return next(_problems(traced.jaxpr), None)


def _problems(jaxpr: Any, outer: str = "") -> Iterator[str]:
    """Every operation that combines pixels, with the module in which it is.

    Args:
        jaxpr: trace of a function.
        outer: name scope of the call, if it is called by another.
    """
    for value in jaxpr.constvars:
        if _pixel_axes(value.aval.shape):
            yield f"a constant of the size of the image, {value.aval.shape}"
    for equation in jaxpr.eqns:
        where = "/".join(scope for scope in (outer, str(equation.source_info.name_stack)) if scope)
        if CORRECTED in where:
            continue
        if inner := list(_inner(equation)):
            for part in inner:
                yield from _problems(part, where)
        elif _mixes_pixels(equation):
            yield f"{equation.primitive.name} over pixels" + (f" in {where}" if where else "")


def _inner(equation: Any) -> Iterator[Any]:
    """The jaxprs of a call, a branch or a custom derivative."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            part = getattr(part, "jaxpr", part)  # noqa: PLW2901 - of a closed one
            if hasattr(part, "eqns"):
                yield part


def _pixel_axes(shape: tuple[int, ...]) -> set[int]:
    return {axis for axis, side in enumerate(shape) if any(side and side % prime == 0 for prime in _PRIMES)}


def _mixes_pixels(equation: Any) -> bool:
    """Whether a pixel of the result depends on more than that pixel; True for what is unknown."""
    name, params = equation.primitive.name, equation.params
    given = [_pixel_axes(x.aval.shape) for x in equation.invars]
    made = [_pixel_axes(x.aval.shape) for x in equation.outvars]
    if name in _POINTWISE:
        return False
    if not any(given):
        return any(made)  # such as coordinates
    mixes = True
    if name in _REDUCTIONS:
        mixes = bool(given[0] & set(params["axes"]))
    elif name == "dot_general":
        contracted = params["dimension_numbers"][0]
        mixes = any(axes & set(over) for axes, over in zip(given, contracted, strict=True))
    elif name == "concatenate":
        mixes = params["dimension"] in made[0]
    elif name in _CUTS:
        before, after = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        mixes = any(before[axis] != after[axis] for axis in given[0])
    elif name == "conv_general_dilated":
        window = [equation.invars[1].aval.shape[axis] for axis in params["dimension_numbers"].rhs_spec[2:]]
        mixes = any(side != 1 for side in (*window, *params["window_strides"]))
    return mixes
