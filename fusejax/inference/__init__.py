"""Fusing arrays, image files, folders and videos with trained weights."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.inference.backend import Backend, Differentiable
    from fusejax.inference.exported import ExportedFile
    from fusejax.inference.folder import FusedFolder, fuse_folder
    from fusejax.inference.foreign import ForeignOnnx
    from fusejax.inference.frame_sources import Frame, FrameSource, Recording
    from fusejax.inference.frames import FrameFuser, FrameRange, FusedFrame
    from fusejax.inference.fuser import Fuser
    from fusejax.inference.loading import fuse, load
    from fusejax.inference.options import FolderOptions, VideoOptions
    from fusejax.inference.pair_arrays import Fused
    from fusejax.inference.remote import FusedRemote, fuse_remote
    from fusejax.inference.rules import Rule
    from fusejax.inference.temporal import TemporalState, initial_state, settle
    from fusejax.inference.video import FusedVideo, fuse_frames, fuse_video
    from fusejax.io.align import Aligned, Aligner

__all__ = [
    "Aligned",
    "Aligner",
    "Backend",
    "Differentiable",
    "ExportedFile",
    "FolderOptions",
    "ForeignOnnx",
    "Frame",
    "FrameFuser",
    "FrameRange",
    "FrameSource",
    "Fused",
    "FusedFolder",
    "FusedFrame",
    "FusedRemote",
    "FusedVideo",
    "Fuser",
    "Recording",
    "Rule",
    "TemporalState",
    "VideoOptions",
    "fuse",
    "fuse_folder",
    "fuse_frames",
    "fuse_remote",
    "fuse_video",
    "initial_state",
    "load",
    "settle",
]
