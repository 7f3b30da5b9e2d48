"""Fusion networks. A configuration's type says which; `build` turns it into the module.

Every network is called as `apply({"params": params}, ir, vi_y) -> fused_y`, all [b, h, w, 1] in [0, 1]; its method
`outputs` gives a dict of what its losses may ask for, under the names that its class lists in `provides`.
"""

import flax.linen as nn

from fusejax.models.angularfuse import AngularFuse, AngularFuseConfig
from fusejax.models.crossfuse import CrossFuse, CrossFuseConfig
from fusejax.models.fusionnet import FusionNet, FusionNetConfig

ModelConfig = AngularFuseConfig | CrossFuseConfig | FusionNetConfig

NETWORKS = {AngularFuseConfig: AngularFuse, CrossFuseConfig: CrossFuse, FusionNetConfig: FusionNet}


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration."""
    return NETWORKS[type(config)](config)


__all__ = [
    "NETWORKS",
    "AngularFuse",
    "AngularFuseConfig",
    "CrossFuse",
    "CrossFuseConfig",
    "FusionNet",
    "FusionNetConfig",
    "ModelConfig",
    "build",
]
