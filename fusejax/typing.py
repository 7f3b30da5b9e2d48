"""Array types of the public interface. Images are NHWC float32 in [0, 1] unless a docstring says otherwise."""

from typing import Any, Literal, get_args, get_origin, get_type_hints

from jaxtyping import Array, Float

Luma = Float[Array, "b h w 1"]
Rgb = Float[Array, "b h w 3"]
PerImage = Float[Array, " b"]
Params = Any


def check_choices(config: Any) -> None:
    """Raises ValueError where a field of a dataclass annotated `Literal[...]` holds none of its values."""
    for name, hint in get_type_hints(type(config)).items():
        value, known = getattr(config, name), get_args(hint)
        if get_origin(hint) is Literal and value not in known:
            raise ValueError(f"{name} is {value!r}; it is one of {', '.join(map(repr, known))}.")
