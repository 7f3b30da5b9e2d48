"""What a network and its objective see in training, as images."""

import dataclasses

import numpy as np
import pytest

from fusejax.config import load_config
from fusejax.data.synthetic import synthetic_pair
from fusejax.evaluation.variants import with_data
from fusejax.evaluation.views import TrainingViews
from fusejax.io.images import to_float
from fusejax.losses import fine_grained_reference
from fusejax.ops.color import rgb_to_luma


def views(name, **data):
    config = with_data(load_config(name), synthetic=4, crop=64, **data)
    return TrainingViews(dataclasses.replace(config, batch_size=3))


def cells(panel, *, rows, side=128, gap=4):
    """The images of a panel without their captions, [rows, columns, side, side, 3]."""
    height = (panel.shape[0] + gap) // rows - gap
    columns = (panel.shape[1] + gap) // (side + gap)
    tops = [n * (height + gap) + height - side for n in range(rows)]
    lefts = [n * (side + gap) for n in range(columns)]
    return np.stack([[panel[t : t + side, x : x + side] for x in lefts] for t in tops])


@pytest.mark.slow
def test_reference_and_masked_inputs_are_those_of_the_run():
    shown = cells(views("angularfuse_small").crops(lambda ir, vi_y: (ir + vi_y) / 2), rows=3)
    infrared, visible, ir_input, vi_input, reference, fused = shown.transpose(1, 0, 2, 3, 4)
    assert (infrared != ir_input).any() and (visible != vi_input).any()
    hidden = (ir_input == 0) & (infrared > 0), (vi_input == 0) & (visible > 0)
    assert not (hidden[0] & hidden[1]).any()  # a pixel is hidden in one of them
    np.testing.assert_allclose(fused, (ir_input.astype(float) + vi_input) / 2, atol=1)
    config = load_config("angularfuse_small").stages[0].objective.reference
    clean = [x[:, ::2, ::2, :1].astype(np.float32) / 255 for x in (infrared, visible)]
    expected = np.asarray(fine_grained_reference(*clean, config=config))
    assert np.abs(reference[:, ::2, ::2, :1] / 255 - expected).mean() < 0.01  # of rounded sources


@pytest.mark.slow
def test_objects_and_views_are_shown_where_a_term_needs_them():
    boxed = cells(views("fusionnet_small", box_share=1.0).crops(lambda ir, vi_y: vi_y), rows=3)
    assert boxed.shape[1] == 4 and set(np.unique(boxed[:, 2])) == {0, 255}  # hard boxes
    shown = cells(views("crossfuse_small", patch_stride=0).crops(lambda ir, vi_y: vi_y), rows=3)
    weak, blurred = shown[:, -2:].swapaxes(0, 1)
    inside = np.s_[:, 32:96, 32:96]
    assert (weak[:, :31] == 255).all() and weak[inside].std() > blurred[inside].std()


@pytest.mark.slow
def test_whole_pairs_are_shown_with_their_targets():
    pair = synthetic_pair(0, size=(48, 64))
    ir, vi_y = to_float(pair["ir"]), rgb_to_luma(to_float(pair["vi"]))
    config = load_config("angularfuse_small").stages[0].objective.reference
    (name, shown), *_ = views("angularfuse_small").targets(ir, vi_y).items()
    expected = fine_grained_reference(ir[None], vi_y[None], config=config)[0]
    assert name == "reference"
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert views("fusionnet_small").targets(ir, vi_y) == {}
    assert list(views("light_look").targets(ir, vi_y)) == ["infrared, resolved", "visible, resolved"]
