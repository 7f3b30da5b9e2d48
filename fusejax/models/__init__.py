"""Fusion networks. The type of a configuration selects the network; `build` creates the module.

Every network is called as `apply({"params": params}, ir, vi_y) -> fused_y`, all [b, h, w, 1] in [0,
1]; its method `outputs` returns a dict of outputs for the losses, under the names listed in
`provides` of its class. `Network` is this contract as a type.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.models.angularfuse import AngularFuse
    from fusejax.models.config import (
        AngularFuseConfig,
        CrossFuseConfig,
        FusionNetConfig,
        LightConfig,
        ModelConfig,
        OtherConfig,
    )
    from fusejax.models.crossfuse import CrossFuse
    from fusejax.models.fusionnet import FusionNet
    from fusejax.models.light import Light
    from fusejax.models.networks import NETWORKS, Network, build

__all__ = [
    "NETWORKS",
    "AngularFuse",
    "AngularFuseConfig",
    "CrossFuse",
    "CrossFuseConfig",
    "FusionNet",
    "FusionNetConfig",
    "Light",
    "LightConfig",
    "ModelConfig",
    "Network",
    "OtherConfig",
    "build",
]
