"""Fusing videos without flicker: the decision is smoothed over time, but never the pixels.

Every frame is first fused independently. `fusejax.ops.local_mix` extracts what the network decided
there: weights, gains and an offset per cell of 8x8 pixels, for any network. Let c be the decision
for this frame and s the settled decision. Then

    s <- c + keep (s - c),        F <- F + keep (s - c) . (I, V, H(I), H(V), 1),

so only a change of the decision is added, applied to the sources of this frame: the result contains
no pixel of an earlier frame, and nothing can leave a trail. `keep` is exp(-interval / seconds)
times 1 - moved: where a source differs from the one for which the settled decision was made, that
decision is dropped immediately, and the result is that of the network alone.

The first decision for a scene has full weight and then fades like any other. A running mean over
the first frames would be closer to the mean decision, but it halves only the first change: where a
camera moves with every second frame (m3svd/test_dev/0114_1551), it removed 15% of the flicker of
AngularFuse instead of 51%.

Limitation: changes in the sources themselves (noise, codec) pass through, as they do in the
network.
"""

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fusejax.ops.local_mix import CELL, Cells, Plane, apply_mix, cell_means, features, local_mix

# Changes of a cell's mean, in either source, from which the decision is settled less, and from
# which it is not settled at all; the noise of one pixel counts one eighth in such a mean.
_STILL, _MOVED = 2 / 255, 6 / 255
# Criteria for a scene change: the fraction of cells that have moved, and the similarity of the
# sources to the previous ones.
_MOVED_SHARE = 0.85
_LEAST_CORRELATION = 0.5
_LEAST_DEVIATION = 2 / 255  # of cells; flatter images cannot be compared


@flax.struct.dataclass
class TemporalState:
    """The state carried between frames, per cell.

    Attributes:
        mix: the settled decision.
        sources: means of infrared and visible luma for which it was made.
    """

    mix: Cells
    sources: Float[Array, "b n m 2"]


def initial_state(height: int, width: int, *, batch: int = 1) -> TemporalState:
    """The state before the first frame of a video, which is fused like a single image.

    Args:
        height: height of the frames in pixels.
        width: width of the frames in pixels.
        batch: number of videos processed in parallel.

    Returns:
        A state of zero frames.
    """
    cells = (batch, -(-height // CELL), -(-width // CELL))
    # No image has such sources, so every cell counts as moved.
    return TemporalState(jnp.zeros((*cells, 5)), jnp.full((*cells, 2), -1.0))


@jax.jit
def settle(
    state: TemporalState,
    ir: Plane,
    vi_y: Plane,
    fused_y: Plane,
    interval: Float[Array, ""] | float,
    seconds: Float[Array, ""] | float,
) -> tuple[TemporalState, Plane]:
    """Processes one frame and settles the network's decision; pure, and can be scanned over frames.

    Args:
        state: state after the previous frame, or `initial_state`.
        ir: infrared, in [0, 1].
        vi_y: luma of the visible image, in [0, 1].
        fused_y: output of the network alone, in [0, 1].
        interval: seconds since the previous frame.
        seconds: time constant after which the weight of an old decision is 1/e. 0 does not change
            `fused_y`.

    Returns:
        The new state, and the fused luma in [0, 1]. After a cut, both are exactly those of a video
        that begins there.
    """
    seen = features(ir, vi_y)
    mix, sources = local_mix(fused_y, seen), cell_means(seen[..., :2])
    moved = _moved(state.sources, sources)
    moved = jnp.where(_is_cut(state.sources, sources, moved), 1.0, moved)
    keep = jnp.exp(-interval / jnp.maximum(seconds, 1e-9)) * (1 - moved)
    change = keep * (state.mix - mix)
    settled = TemporalState(mix + change, sources + keep * (state.sources - sources))
    return settled, jnp.clip(fused_y + apply_mix(change, seen), 0.0, 1.0)


def _moved(before: Float[Array, "b n m 2"], now: Float[Array, "b n m 2"]) -> Float[Array, "b n m 1"]:
    """Motion in [0, 1] per cell: 1 if either source changed in the cell or a neighbor."""
    change = jnp.abs(now - before).max(axis=-1, keepdims=True)
    around = jax.lax.reduce_window(change, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return jnp.clip((around - _STILL) / (_MOVED - _STILL), 0.0, 1.0)


def _is_cut(
    before: Float[Array, "b n m 2"], now: Float[Array, "b n m 2"], moved: Float[Array, "b n m 1"]
) -> Bool[Array, "b 1 1 1"]:
    """Whether the scene has changed."""
    left, right = (x - x.mean(axis=(1, 2), keepdims=True) for x in (before, now))
    power = jnp.sqrt((left**2).mean(axis=(1, 2)) * (right**2).mean(axis=(1, 2)))
    correlation = (left * right).mean(axis=(1, 2)) / jnp.maximum(power, _LEAST_DEVIATION**2)
    unlike = (correlation < _LEAST_CORRELATION) & (power > _LEAST_DEVIATION**2)
    return ((moved.mean(axis=(1, 2, 3)) > _MOVED_SHARE) | unlike.any(axis=-1))[:, None, None, None]
