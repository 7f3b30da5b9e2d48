"""Turning the frames of a video upright.

Phones store frames in the orientation of the sensor, with a display matrix that says how to rotate
them. Its first numbers a, b, c, d map pixel (x, y) to (a x + c y, b x + d y).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusejax.io.pyav import VideoError, import_av

if TYPE_CHECKING:
    import av

# Signs of a, b, c, d, and the equivalent FFmpeg filters.
_FILTERS: dict[tuple[int, ...], tuple[tuple[str, ...], ...]] = {
    (1, 0, 0, 1): (),
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
    """Turns frames as players do, with rows from top to bottom in memory; time stamps are kept.

    Args:
        path: path of the video, for error messages.
        frames: decoded frames, in order.

    Raises:
        VideoError: if a frame must be rotated by anything but a multiple of 90 degrees.
    """
    graphs: dict[tuple[Any, ...], Any] = {}
    turns: dict[int, tuple[int, ...]] = {}
    for frame in frames:
        # PyAV's table of side data and its frame keep each other in memory until Python collects
        # cycles, so it is read only where the angle, which needs no table, is a new one.
        if (angle := frame.rotation) not in turns:
            turns[angle] = turn_of(path, frame)
        turn = turns[angle]
        # If rows go from bottom to top, a plane points at its last row, and its buffer ends before.
        if turn == _UPRIGHT and min(plane.line_size for plane in frame.planes) > 0:
            yield frame
            continue
        kind = (turn, frame.width, frame.height, frame.format.name)
        if kind not in graphs:
            graphs[kind] = filter_graph(frame, (*_FILTERS[turn], ("copy",)))
        graphs[kind].vpush(frame)
        yield graphs[kind].vpull()


def turn_of(path: Path, frame: "av.VideoFrame") -> tuple[int, ...]:
    """Signs of a, b, c, d of a frame's display matrix.

    Args:
        path: path of the video, for error messages.
        frame: decoded frame.

    Raises:
        VideoError: if it is no multiple of 90 degrees.
    """
    kinds = import_av().sidedata.sidedata.Type
    try:
        data = frame.side_data.get(kinds.DISPLAYMATRIX)
    except ValueError:  # PyAV builds the whole table and stops at a kind it does not know, such as EXIF
        newer = range(max(kind.value for kind in kinds) + 1, 64)
        graph = filter_graph(frame, tuple(("sidedata", f"mode=delete:type={number}") for number in newer))
        graph.vpush(frame)
        data = graph.vpull().side_data.get(kinds.DISPLAYMATRIX)
    if data is None:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5] / 2**16
    signs = tuple(int(np.sign(round(x, 2))) for x in (a, b, c, d))
    if signs not in _FILTERS:
        angle = np.degrees(np.arctan2(b, a))
        raise VideoError(
            f"{path} has rotation metadata of {angle:.0f} degrees; only multiples of 90 degrees are supported, "
            "so export it upright."
        )
    return signs


def filter_graph(frame: "av.VideoFrame", steps: Iterable[tuple[str, ...]]) -> Any:
    """A chain of FFmpeg filters for frames like the given one.

    Args:
        frame: gives size, pixel format and time base.
        steps: name of each filter, and its arguments.

    Returns:
        The graph; push a frame with `vpush` and pull the result with `vpull`.
    """
    graph = import_av().filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, *(graph.add(*step) for step in steps), graph.add("buffersink")).configure()
    return graph
