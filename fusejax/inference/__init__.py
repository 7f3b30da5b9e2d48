"""Fusing arrays, files and folders with trained weights."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.inference.folder import FusedFolder, fuse_folder
    from fusejax.inference.fuser import Fused, Fuser, fuse

__all__ = [
    "Fused",
    "FusedFolder",
    "Fuser",
    "fuse",
    "fuse_folder",
]
