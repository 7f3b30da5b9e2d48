"""Fusion networks. A configuration's type says which; `build` turns it into the module."""

import flax.linen as nn

from fusejax.models.angularfuse import AngularFuse, AngularFuseConfig

ModelConfig = AngularFuseConfig


def build(config: ModelConfig) -> nn.Module:
    """The network of a configuration; its `apply({"params": params}, ir, vi_y)` is a pure function."""
    return AngularFuse(config)


__all__ = ["AngularFuse", "AngularFuseConfig", "ModelConfig", "build"]
