"""The interface of a network, and the network for each configuration."""

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
    """The interface that the library expects of a fusion network, a `flax.linen.Module`.

    Parameters are the only collection of variables, so `init` returns `{"params": params}`.

    Attributes:
        provides: names of the values returned by `outputs`, by which loss terms request them.
        multiple: height and width are padded to multiples of this, in pixels; 1 if every size is
            supported.
    """

    provides: ClassVar[tuple[str, ...]]
    multiple: int

    def init(self, rngs: Key[Array, ""], ir: Luma, vi_y: Luma) -> dict[str, Params]:
        """Initializes variables for inputs of these shapes.

        Args:
            rngs: random key.
            ir: infrared luma, for its shape.
            vi_y: luma of the visible image, for its shape.

        Returns:
            `{"params": params}`.
        """
        ...

    def apply(self, variables: dict[str, Params], ir: Luma, vi_y: Luma, **options: Any) -> Any:
        """Runs `__call__`, or the method given by `method`, with these variables.

        Args:
            variables: `{"params": params}`.
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].
            **options: see `flax.linen.Module.apply`.

        Returns:
            The result of the method.
        """
        ...

    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        """Fused luma [b, h, w, 1] of infrared and visible luma of the same shape in [0, 1]."""
        ...

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """Outputs for the losses.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            Values by the names in `provides`; `fused_y` is always among them.
        """
        ...


# Classes of Flax modules that implement `Network`, which static types cannot express for a class.
NETWORKS: dict[type, Any] = {
    AngularFuseConfig: AngularFuse,
    CrossFuseConfig: CrossFuse,
    FusionNetConfig: FusionNet,
    LightConfig: Light,
}


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration.

    Args:
        config: configuration; its type selects the network, its fields the shape.

    Returns:
        A module that implements `Network`.

    Example:
        >>> from fusejax.models import LightConfig
        >>> type(build(LightConfig())).__name__
        'Light'
    """
    return NETWORKS[type(config)](config)
