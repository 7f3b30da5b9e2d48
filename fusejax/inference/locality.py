"""Finds the operations of a traced network in which a pixel depends on others.

Height and width of the trace are multiples of two large primes, so that axes of pixels are
recognized by their length. Operations in the name scope `CORRECTED` are left out.
"""

from collections.abc import Iterator
from typing import Any

from fusejax.ops.extent import CORRECTED

# Large enough that no number of channels is a multiple of them.
PRIMES = (10007, 10009)
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


def problems(jaxpr: Any, outer: str = "") -> Iterator[str]:
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
                yield from problems(part, where)
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
    return {axis for axis, side in enumerate(shape) if any(side and side % prime == 0 for prime in PRIMES)}


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
