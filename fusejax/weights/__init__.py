"""Released weights with their model cards; reading and writing weight files."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.weights.files import load_weights, save_weights, shipped_weights
    from fusejax.weights.torch_import import crossfuse_from_torch, load_torch_checkpoint

__all__ = [
    "crossfuse_from_torch",
    "load_torch_checkpoint",
    "load_weights",
    "save_weights",
    "shipped_weights",
]
