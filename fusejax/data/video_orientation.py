"""Turning the frames of a video upright.

Phones store frames as the sensor lies and say beside them how to turn them: a display matrix, whose
first numbers a, b, c, d take pixel (x, y) to (a x + c y, b x + d y).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusejax.data.pyav import VideoError, import_av

if TYPE_CHECKING:
    import av

# Signs of a, b, c, d, and the filters of FFmpeg that do the same.
_FILTERS: dict[tuple[int, ...], tuple[tuple[str, ...], ...]] = {
    (-1, 0, 0, 1): (("hflip",),),
    (1, 0, 0, -1): (("vflip",),),
    (-1, 0, 0, -1): (("hflip",), ("vflip",)),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
_UPRIGHT = (1, 0, 0, 1)


def upright(path: Path, frames: Iterable["av.VideoFrame"]) -> Iterator["av.VideoFrame"]:
    """Frames as players show them; time stamps stay.

    Args:
        path: of the video, for errors.
        frames: decoded ones, in their order.

    Raises:
        VideoError: for frames that have to be turned by other than quarters.
    """
    graphs: dict[tuple[Any, ...], Any] = {}
    for frame in frames:
        turn = _turn(path, frame)
        if turn == _UPRIGHT:
            yield frame
            continue
        kind = (turn, frame.width, frame.height, frame.format.name)
        if kind not in graphs:
            graphs[kind] = _graph(frame, turn)
        graphs[kind].vpush(frame)
        yield graphs[kind].vpull()


def _turn(path: Path, frame: "av.VideoFrame") -> tuple[int, ...]:
    data = frame.side_data.get(import_av().sidedata.sidedata.Type.DISPLAYMATRIX)
    if data is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5] / 2**16
    signs = tuple(int(np.sign(round(x, 2))) for x in (a, b, c, d))
    if signs not in _FILTERS and signs != _UPRIGHT:
        angle = np.degrees(np.arctan2(b, a))
        raise VideoError(
            f"{path} says that it is to be turned by {angle:.0f} degrees; only quarters of a turn are known, "
            "so export it upright."
        )
    return signs


def _graph(frame: "av.VideoFrame", turn: tuple[int, ...]) -> Any:
    graph = import_av().filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    steps = [graph.add(*step) for step in _FILTERS[turn]]
    graph.link_nodes(source, *steps, graph.add("buffersink")).configure()
    return graph
