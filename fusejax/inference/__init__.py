"""Fusing arrays, image files, folders and videos with trained weights."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.inference.folder import FusedFolder, fuse_folder
    from fusejax.inference.fuser import Fuser, fuse
    from fusejax.inference.pair_arrays import Fused
    from fusejax.inference.temporal import TemporalState, initial_state, settle
    from fusejax.inference.video import FusedVideo, fuse_video

__all__ = [
    "Fused",
    "FusedFolder",
    "FusedVideo",
    "Fuser",
    "TemporalState",
    "fuse",
    "fuse_folder",
    "fuse_video",
    "initial_state",
    "settle",
]
