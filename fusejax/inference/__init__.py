"""Fusing arrays, folders and files with trained weights."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.inference.fuser import Fuser, fuse

__all__ = [
    "Fuser",
    "fuse",
]
