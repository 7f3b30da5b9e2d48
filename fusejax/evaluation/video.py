"""Scoring fused videos over time."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from fusejax.evaluation.methods import Given, name_methods
from fusejax.evaluation.results import Evaluation, Scores
from fusejax.inference.compilation import keep_compilations
from fusejax.io.frame_folder import FrameFolder
from fusejax.io.pairing import PairPaths, size_text
from fusejax.io.pyav import VideoError
from fusejax.io.video import Frames, VideoFile, count_frames
from fusejax.metrics import TEMPORAL_METRICS, evaluate_video
from fusejax.progress import track


def evaluate_videos(fused: Given, ir: str | Path, vi: str | Path) -> Scores:
    """Scores the temporal stability of fused videos, see `fusejax.metrics.evaluate_video`.

    Progress is reported on standard error.

    Args:
        fused: one video per method, or a folder of frames in the order of their names; FILE or
            NAME=FILE.
        ir: infrared video, or folder of frames.
        vi: visible video, or folder of frames.

    Returns:
        One value per transition from one frame to the next, under the convention "temporal".

    Raises:
        ValueError: if videos cannot be read or differ in size or length.
    """
    if not fused:
        raise VideoError("No fused video given; give at least one: --fused FILE.")
    named = {method.name: method.folder for method in name_methods(folders=fused) if method.folder is not None}
    sources = [_open(Path(path)) for path in (ir, vi)]
    videos = [_open(path) for path in named.values()]
    _check(sources + videos)
    keep_compilations()
    values = []
    for name, video in zip(named, videos, strict=True):
        found = evaluate_video(_frames(video, sources, name))
        values.append(np.stack([found[metric] for metric in TEMPORAL_METRICS], axis=-1))
    steps = tuple(f"{n:06d}" for n in range(1, 1 + len(values[0])))
    return Scores(tuple(named), steps, tuple(TEMPORAL_METRICS), np.stack(values)[:, None].astype(float), "temporal")


def with_frames(scores: Scores, fused: Given, ir: str | Path, vi: str | Path) -> Evaluation:
    """Scores of transitions with the files of the frames that they lead to, as needed by pages.

    Args:
        scores: as `evaluate_videos` returns them.
        fused: folders of frames that were scored.
        ir: folder of infrared frames.
        vi: folder of visible frames.

    Returns:
        The scores with the files.

    Raises:
        ValueError: if one of them is not a folder of frames.
    """
    named = {method.name: method.folder for method in name_methods(folders=fused) if method.folder is not None}
    folders = [Path(ir), Path(vi), *named.values()]
    for path in folders:
        if not path.is_dir():
            raise VideoError(f"{path} is not a folder of frames; a page needs images: extract them first.")
    steps = scores.images
    files = [dict(zip(steps, FrameFolder(path, Fraction(1)).files[1:], strict=True)) for path in folders]
    pairs = {step: PairPaths(step, files[0][step], files[1][step]) for step in steps}
    return Evaluation([scores], None, [], pairs, dict(zip(named, files[2:], strict=True)))


def _open(path: Path) -> Frames:
    if not path.exists():
        raise VideoError(f"{path}: no such file or folder.")
    return FrameFolder(path, Fraction(1)) if path.is_dir() else VideoFile(path)


def _check(videos: list[Frames]) -> None:
    first = videos[0]
    for video in videos[1:]:
        same = video.count == first.count or count_frames(video) == count_frames(first)
        if video.size != first.size or not same:
            texts = [f"{v.path} has {count_frames(v)} frames of {size_text(v.size)}" for v in (first, video)]
            raise VideoError(f"{' but '.join(texts)} (width x height); all videos must have the same frames.")


def _frames(method: Frames, sources: list[Frames], name: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    frames = zip(method, *sources, strict=True)
    for result, infrared, visible in track(frames, method.count, description=f"scoring {name}", unit="frames"):
        color = result.rgb()
        gray = np.ptp(color, axis=-1).max() == 0
        yield (result.luma() if gray else color), infrared.luma(), visible.luma()
