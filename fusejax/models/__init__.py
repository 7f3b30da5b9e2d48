"""Fusion networks. A configuration's type says which; `build` turns it into the module.

Every network is called as `apply({"params": params}, ir, vi_y) -> fused_y`, all [b, h, w, 1] in
[0, 1]; its method `outputs` returns a dict of what its losses may ask for, under the names that its
class lists in `provides`. `Network` is this contract as a type.
"""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.models.angularfuse import AngularFuse
    from fusejax.models.config import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig, ModelConfig
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
    "build",
]
