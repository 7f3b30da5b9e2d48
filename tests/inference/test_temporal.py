"""The decision is smoothed over time, but never the pixels: laws of `settle` on synthetic
fusions.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.moving import moving_scene

from fusejax.data.synthetic import synthetic_pair
from fusejax.inference.temporal import initial_state, settle
from fusejax.io.images import to_float
from fusejax.ops.color import rgb_to_luma

SIZE = (61, 90)  # the last cells are cut off by the border
FRAME = 1 / 30


def arrays(pair):
    return to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]


def blend(ir, vi_y, share):
    """A fusion with one decision for the whole image."""
    return np.clip(vi_y + np.float32(share) * (ir - vi_y), 0, 1)


def run(sources, fused, *, seconds=0.5, interval=FRAME, state=None):
    """Fused frames and the last state."""
    state, out = state or initial_state(*SIZE), []
    for (ir, vi_y), fused_y in zip(sources, fused, strict=True):
        state, settled = settle(state, ir, vi_y, fused_y, interval, seconds)
        out.append(np.asarray(settled))
    return np.stack(out), state


@pytest.fixture(scope="module")
def still():
    return arrays(synthetic_pair(2, size=SIZE))


@pytest.fixture(scope="module")
def moving():
    return [arrays(pair) for pair in moving_scene(2, frames=8, size=SIZE, speed=4.0)]


@pytest.mark.slow
def test_a_still_scene_shows_the_mean_decision_of_the_last_frames(still, rng):
    shares = 0.4 + 0.3 * rng.uniform(-1, 1, 40)
    out, _ = run([still] * 40, [blend(*still, share) for share in shares], seconds=4 * FRAME)
    for n in (0, 1, 5, 39):
        # A decision from k frames ago has the weight exp(-k / 4); the first one has the remaining
        # weight.
        weights = np.exp(-np.arange(n, -1, -1) / 4) * np.where(np.arange(n + 1), 1 - np.exp(-1 / 4), 1)
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-12)
        expected = blend(*still, (weights * shares[: n + 1]).sum())
        # The fits stay slightly biased toward the plain average.
        assert np.abs(out[n] - expected).max() < 2 / 255


@pytest.mark.parametrize("rate", [10, 40])
@pytest.mark.slow
def test_the_time_constant_is_in_seconds(still, rate):
    first, then = (blend(*still, share) for share in (0.2, 0.6))
    steps = int(0.3 * rate)
    _, state = run([still] * 100, [first] * 100, seconds=0.3, interval=1.0)
    out, _ = run([still] * steps, [then] * steps, seconds=0.3, interval=1 / rate, state=state)
    left = (then - out[-1])[np.abs(then - first) > 0.05] / (then - first)[np.abs(then - first) > 0.05]
    np.testing.assert_allclose(np.median(left), np.exp(-1), atol=0.01)


def test_zero_seconds_leave_every_frame_alone(moving, rng):
    fused = [blend(*pair, share) for pair, share in zip(moving, rng.uniform(0, 1, 8), strict=True)]
    out, _ = run(moving, fused, seconds=0.0)
    np.testing.assert_array_equal(out, fused)


def test_a_cut_resets_exactly(moving):
    other = [arrays(pair) for pair in moving_scene(7, frames=3, size=SIZE)]
    shares = np.linspace(0.2, 0.8, 11)
    fused = [blend(*pair, share) for pair, share in zip(moving + other, shares, strict=True)]
    out, state = run(moving + other, fused)
    alone, fresh = run(other, fused[8:])
    np.testing.assert_array_equal(out[8], fused[8])
    np.testing.assert_array_equal(out[8:], alone)
    chex.assert_trees_all_equal(state, fresh)


def test_a_change_of_nearly_everything_is_a_cut(still):
    """Then the rest starts anew as well, although it stood still."""
    ir, vi_y = 0.2 + 0.6 * still[0], still[1]
    later = ir.copy()
    later[:, :, :80] += 0.1  # cells that did not move are left at the right
    fused = [blend(ir, vi_y, 0.3)] * 3 + [blend(later, vi_y, 0.7)]
    out, _ = run([(ir, vi_y)] * 3 + [(later, vi_y)], fused, seconds=10.0)
    np.testing.assert_array_equal(out[3], fused[3])


def test_an_unlike_scene_is_a_cut_however_much_of_it_is_flat():
    ir = np.full((1, *SIZE, 1), 0.2, np.float32)
    first, then = np.full((2, 1, *SIZE, 1), 0.5, np.float32)
    stripes = 0.2 * np.sign(np.sin(np.arange(26) / 3, dtype=np.float32))[:, None]
    first[:, :, 64:] += stripes
    then[:, :, 64:] -= stripes
    fused = [blend(ir, first, 0.3)] * 3 + [blend(ir, then, 0.7)]
    out, _ = run([(ir, first)] * 3 + [(ir, then)], fused, seconds=10.0)
    np.testing.assert_array_equal(out[3], fused[3])


def test_a_slow_change_of_the_sources_ends_a_decision_as_well(still):
    """From frame to frame nothing moves enough, over twenty frames everything does."""
    ir, vi_y = 0.4 + 0.1 * still[0], still[1]
    pairs = [(ir + n * 1.5 / 255, vi_y) for n in range(20)]
    fused = [blend(*pair, 0.7 if n else 0.3) for n, pair in enumerate(pairs)]
    out, _ = run(pairs, fused, seconds=10.0)
    gap = np.abs(blend(*pairs[19], 0.3) - fused[19]).mean()
    assert np.abs(out[1] - fused[1]).mean() > 0.9 * np.abs(blend(*pairs[1], 0.3) - fused[1]).mean()
    assert np.abs(out[19] - fused[19]).mean() < 0.1 * gap


def test_moving_things_leave_no_trail():
    """A warm square moves over a static wall; where it was one frame ago, the wall looks as if
    alone.
    """
    wall = np.full((1, *SIZE, 1), 0.35, np.float32) + 0.15 * np.sin(np.arange(SIZE[1], dtype=np.float32))[:, None]
    pairs, fused = [], []
    for n in range(8):
        ir = 0.5 * wall
        ir[:, 48:] = 0.9  # a warm street: the scene stays the same
        ir[:, 20:36, 8 * n : 8 * n + 16] = 0.95
        pairs.append((ir, wall))
        fused.append(np.maximum(ir, wall))
    out, _ = run(pairs, fused, seconds=1.0)
    for n in range(8):
        # Half a level; it was 2.5 while fits reached farther than the gate.
        assert np.abs(out[n] - fused[n]).max() < 0.5 / 255
        np.testing.assert_array_equal(out[n][:, 20:36, 8 * n : 8 * n + 16], fused[n][:, 20:36, 8 * n : 8 * n + 16])


def test_what_moved_follows_the_network_and_the_rest_its_settled_decision(still):
    """The right part gets warmer: it takes the new decision, while the left part keeps the old
    one.
    """
    ir, vi_y = still
    later = ir.copy()
    later[:, :, 64:] += 0.1
    pairs = [still] * 5 + [(later, vi_y)]
    out, _ = run(pairs, [blend(*pair, 0.3) for pair in pairs[:5]] + [blend(later, vi_y, 0.7)], seconds=10.0)
    np.testing.assert_array_equal(out[5][:, :, 72:], blend(later, vi_y, 0.7)[:, :, 72:])
    kept = np.abs(out[5] - blend(later, vi_y, 0.7 - 0.4 * np.exp(-FRAME / 10)))[:, :, :24]
    assert kept.max() < 2 / 255


def test_flicker_of_a_moving_scene_goes_down(moving, rng):
    fused = [blend(*pair, share) for pair, share in zip(moving, rng.uniform(0.2, 0.8, 8), strict=True)]
    out, _ = run(moving, fused, seconds=1.0)
    still_part = np.s_[1:, 0, :16]  # sky and roofs
    before, after = (np.abs(np.diff(np.stack(x), axis=0))[:, 0, :16].mean() for x in (fused, out))
    assert after < 0.6 * before
    assert np.abs(out - np.stack(fused))[still_part].max() > 0.01


@pytest.mark.slow
def test_a_scan_and_videos_side_by_side_give_the_same(moving, rng):
    fused = [blend(*pair, share) for pair, share in zip(moving, rng.uniform(0, 1, 8), strict=True)]
    out, state = run(moving, fused)
    frames = tuple(jnp.stack(x) for x in (*zip(*moving, strict=True), fused))
    scanned, stacked = jax.lax.scan(lambda s, x: settle(s, *x, FRAME, 0.5), initial_state(*SIZE), frames)
    np.testing.assert_allclose(stacked, out, atol=2e-6)  # the compiler may contract other products
    chex.assert_trees_all_close(scanned, state, atol=1e-4, rtol=0)
    both = tuple(jnp.concatenate([x, x[::-1]], axis=1) for x in frames)
    _, pairs = jax.lax.scan(lambda s, x: settle(s, *x, FRAME, 0.5), initial_state(*SIZE, batch=2), both)
    np.testing.assert_allclose(pairs[:, :1], out, atol=2e-6)
