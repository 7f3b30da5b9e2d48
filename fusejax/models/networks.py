"""Which module belongs to which configuration."""

import flax.linen as nn

from fusejax.models.angularfuse import AngularFuse
from fusejax.models.config import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig, ModelConfig
from fusejax.models.crossfuse import CrossFuse
from fusejax.models.fusionnet import FusionNet
from fusejax.models.light import Light

NETWORKS = {AngularFuseConfig: AngularFuse, CrossFuseConfig: CrossFuse, FusionNetConfig: FusionNet, LightConfig: Light}


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration."""
    return NETWORKS[type(config)](config)
