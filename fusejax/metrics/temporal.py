"""Temporal stability of a fused video.

For all metrics lower is better. They are in levels of 255, except MS2R, which is in pixels. Flows
are OpenCV's DIS on luma; the papers use SEA-RAFT, so these numbers cannot be compared with
published ones.

Not included: TemCoCo's feaCD, which needs ImageNet weights of ResNet-18, and VideoFusion's
brightness curves, which are published without a formula; VideoFusion reports TemCoCo's flowD.
"""

from collections.abc import Iterable

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fusejax.metrics.flow import consistent, optical_flow, warp
from fusejax.metrics.temporal_table import TEMPORAL_METRICS
from fusejax.ops.arrays import as_array
from fusejax.ops.color import rgb_to_luma
from fusejax.ops.local_mix import apply_mix, features, local_mix

Image = Float[np.ndarray, "h w _"]
Frame = tuple[Image, Image, Image]

# Regions are static where both sources, blurred with this standard deviation in pixels, change by
# less than this many levels between frames, everywhere in a square of this side in pixels.
_STATIC_BLUR, _STATIC_LEVELS, _STATIC_SIDE = 2.0, 1.0, 25


def evaluate_video(frames: Iterable[Frame]) -> dict[str, Float[np.ndarray, " n"]]:
    """Scores a fused video; keeps three frames in memory.

    - flicker: for the mixes c of two frames (see `fusejax.ops.local_mix`) and the mean f of their
      features, mean |(c' - c) f| over static regions: the change that does not come from the
      sources.
    - static: mean |F' - F| over static regions, which includes the noise of the sources.
    - WE: mean |F' - warp(F)| where the flow is consistent, mean over the flows of both sources.
    - flowD: mean Euclidean distance in RGB between F' and warp(F), with the flow of the visible
      video.
    - BiSWE: mean |F - warp(neighbor)| over the channels, with the flow of the fused video, where
      the flows of both sources are consistent; sum over both neighbors.
    - MS2R: with the second difference D of the flow over three frames, the mean of
      |D(F) - D(source)| over pixels, components and sources.

    Args:
        frames: (fused, ir, vi) in order, each [h, w, 1] or [h, w, 3], uint8, uint16 or float in [0,
            1].

    Returns:
        One value per transition from one frame to the next, by name; NaN where undefined (BiSWE and
        MS2R need a third frame, `flicker` and `static` need a static region).

    Raises:
        ValueError: for fewer than two frames, or frames that differ in size.
    """
    steps, before, last = [], None, None
    for frame in frames:
        now = _unit(frame[0]), _unit(frame[1]), _unit(frame[2])
        if len({x.shape[:2] for x in (*now, *(before or ()))}) > 1:
            raise ValueError("Frames differ in size; a video and its sources must have the same size throughout.")
        if before is not None:
            step = _Step(before, now)
            steps.append(step.scores() | _over_three(last, step))
            last = step
        before = now
    if not steps:
        raise ValueError("A video needs at least two frames to be scored over time.")
    return {name: np.array([step[name] for step in steps]) for name in TEMPORAL_METRICS}


class _Step:
    """A frame and the next one, with forward and backward flows of fused, infrared and visible."""

    def __init__(self, before: Frame, after: Frame):
        self.before, self.after = before, after
        self.luma = [tuple(_luma(x) for x in frame) for frame in (before, after)]
        pairs = list(zip(*self.luma, strict=True))
        self.forth = [optical_flow(a, b) for a, b in pairs]
        self.back = [optical_flow(b, a) for a, b in pairs]

    def scores(self) -> dict[str, float]:
        (f0, i0, v0), (f1, i1, v1) = self.luma
        static = _is_static(i0, i1) & _is_static(v0, v1)
        mixed = np.asarray(_mix_change(*(x[None] for x in (f0, i0, v0, f1, i1, v1))))[0, ..., 0]
        errors = []
        for forth, back in zip(self.forth[1:], self.back[1:], strict=True):
            errors.append(_mean(np.abs(f1 - warp(f0, back))[..., 0], consistent(back, forth)))
        color = _rgb(self.after[0]) - warp(_rgb(self.before[0]), self.back[2])
        return {
            "flicker": 255 * _mean(mixed, static),
            "static": 255 * _mean(np.abs(f1 - f0)[..., 0], static),
            "WE": 255 * float(np.mean(errors)),
            "flowD": 255 * float(np.linalg.norm(color, axis=-1).mean()),
        }


def _over_three(first: _Step | None, second: _Step) -> dict[str, float]:
    """BiSWE and MS2R of three frames; the two steps share the middle frame."""
    if first is None:
        return {"BiSWE": np.nan, "MS2R": np.nan}
    middle = _rgb(second.before[0])
    error = 0.0
    for neighbor, flows, others in (
        (first.before[0], first.back, first.forth),
        (second.after[0], second.forth, second.back),
    ):
        seen = consistent(flows[1], others[1]) & consistent(flows[2], others[2])
        error += _mean(np.abs(middle - warp(_rgb(neighbor), flows[0])).mean(axis=-1), seen)
    fused, *sources = (b - a for a, b in zip(first.forth, second.forth, strict=True))
    return {"BiSWE": 255 * error, "MS2R": float(np.mean([np.abs(fused - x).mean() for x in sources]))}


@jax.jit
def _mix_change(f0, i0, v0, f1, i1, v1) -> Float[Array, "b h w 1"]:
    """Effect of the change of the mix alone on the fused luma, for the mean of both frames."""
    seen = [features(i, v) for i, v in ((i0, v0), (i1, v1))]
    change = local_mix(f1, seen[1]) - local_mix(f0, seen[0])
    return jnp.abs(apply_mix(change, (seen[0] + seen[1]) / 2))


def _is_static(before: Image, after: Image) -> Bool[np.ndarray, "h w"]:
    change = cv2.GaussianBlur((after - before)[..., 0], (0, 0), _STATIC_BLUR)
    still = (np.abs(change) < _STATIC_LEVELS / 255).astype(np.uint8)
    return cv2.erode(still, np.ones((_STATIC_SIDE, _STATIC_SIDE), np.uint8)) > 0


def _mean(x: Float[np.ndarray, "h w"], where: Bool[np.ndarray, "h w"]) -> float:
    return float(x[where].mean()) if where.any() else np.nan


def _unit(x: np.ndarray) -> Image:
    x = np.asarray(as_array(x, "a frame"))
    x = x[..., None] if x.ndim == 2 else x
    return (x if np.issubdtype(x.dtype, np.floating) else x / np.iinfo(x.dtype).max).astype(np.float32)


def _luma(x: Image) -> Image:
    return rgb_to_luma(x) if x.shape[-1] == 3 else x


def _rgb(x: Image) -> Image:
    return np.broadcast_to(x, (*x.shape[:2], 3))
