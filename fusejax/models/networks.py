"""The contract of a network, and which network belongs to which configuration."""

from typing import Any, ClassVar, Protocol, runtime_checkable

import flax.linen as nn
from jaxtyping import Array, Key

from fusejax.models.angularfuse import AngularFuse
from fusejax.models.config import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig, ModelConfig
from fusejax.models.crossfuse import CrossFuse
from fusejax.models.fusionnet import FusionNet
from fusejax.models.light import Light
from fusejax.typing import Luma, Params


@runtime_checkable
class Network(Protocol):
    """What the rest of the library expects of a fusion network, a `flax.linen.Module`.

    Parameters are the only collection of variables, so `init` returns `{"params": params}`.

    Attributes:
        provides: names of what `outputs` returns, which are the names that loss terms ask for.
        multiple: height and width are padded to multiples of this, in pixels; 1 if any size fits.
    """

    provides: ClassVar[tuple[str, ...]]
    multiple: int

    def init(self, rngs: Key[Array, ""], ir: Luma, vi_y: Luma) -> dict[str, Params]:
        """Fresh variables for inputs of these shapes."""
        ...

    def apply(self, variables: dict[str, Params], ir: Luma, vi_y: Luma, **options: Any) -> Any:
        """`__call__` with these variables, or the method named by `method`."""
        ...

    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        """Fused luma [b, h, w, 1] of infrared and visible luma of the same shape in [0, 1]."""
        ...

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """What losses may ask for, by the names in `provides`; `fused_y` is always among them."""
        ...


# Classes of Flax modules that fulfill `Network`, which static types cannot say of a class.
NETWORKS: dict[type, Any] = {
    AngularFuseConfig: AngularFuse,
    CrossFuseConfig: CrossFuse,
    FusionNetConfig: FusionNet,
    LightConfig: Light,
}


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration.

    Args:
        config: its type says which network, its fields say which shape.

    Returns:
        A module that fulfills `Network`.
    """
    return NETWORKS[type(config)](config)
