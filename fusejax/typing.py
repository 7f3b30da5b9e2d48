"""Array types of the public interface. Images are NHWC float32 in [0, 1] unless a docstring says otherwise."""

from typing import Any

from jaxtyping import Array, Float

Luma = Float[Array, "b h w 1"]
Rgb = Float[Array, "b h w 3"]
PerImage = Float[Array, " b"]
Params = Any
