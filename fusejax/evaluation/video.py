"""Scoring fused videos over time."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from fusejax.evaluation.folder import method_names
from fusejax.inference.compilation import keep_compilations
from fusejax.io.frame_folder import FrameFolder
from fusejax.io.pairing import size_text
from fusejax.io.pyav import VideoError
from fusejax.io.video import Frames, VideoFile, count_frames
from fusejax.metrics import TEMPORAL_METRICS, evaluate_video
from fusejax.progress import track
from fusejax.report.scores import FolderScores, Scores


def evaluate_videos(fused: Sequence[str | Path], ir: str | Path, vi: str | Path) -> list[Scores]:
    """Scores the temporal stability of fused videos, see `fusejax.metrics.evaluate_video`.

    Progress is reported on standard error.

    Args:
        fused: one video per method, or a folder of frames in the order of their names.
        ir: infrared video, or folder of frames.
        vi: visible video, or folder of frames.

    Returns:
        For each method, one value per transition from one frame to the next; NaN if undefined.

    Raises:
        ValueError: if videos cannot be read or differ in size or length.
    """
    if not fused:
        raise VideoError("No fused video given; give at least one: --fused FILE.")
    paths = [Path(path) for path in fused]
    names = method_names(paths)
    sources = [_open(Path(path)) for path in (ir, vi)]
    methods = [_open(path) for path in paths]
    _check(sources + methods)
    keep_compilations()
    scores = []
    for name, method in zip(names, methods, strict=True):
        values = evaluate_video(_frames(method, sources, name))
        steps = [f"{n:06d}" for n in range(1, 1 + len(next(iter(values.values()))))]
        scores.append(Scores(name, "temporal", steps, {metric: values[metric] for metric in TEMPORAL_METRICS}))
    return scores


def with_frames(scores: Sequence[Scores], fused: Sequence[str | Path], ir: str | Path, vi: str | Path) -> FolderScores:
    """Scores of transitions with the files of the frames that they lead to, as needed by pages.

    Args:
        scores: as `evaluate_videos` returns them.
        fused: folders of frames that were scored.
        ir: folder of infrared frames.
        vi: folder of visible frames.

    Returns:
        The scores, under the convention "temporal".

    Raises:
        ValueError: if one of them is not a folder of frames.
    """
    folders = [Path(path) for path in (ir, vi, *fused)]
    for path in folders:
        if not path.is_dir():
            raise VideoError(f"{path} is not a folder of frames; a page needs images: extract them first.")
    names = scores[0].names
    files = [dict(zip(names, FrameFolder(path, Fraction(1)).files[1:], strict=True)) for path in folders]
    methods = {s.method: found for s, found in zip(scores, files[2:], strict=True)}
    return FolderScores({"temporal": list(scores)}, [], [], files[0], files[1], methods)


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
