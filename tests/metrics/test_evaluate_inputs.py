"""`evaluate` accepts everything that `fuse` accepts and returns."""

import numpy as np
import pytest
from PIL import Image

from fusejax.metrics import evaluate

RNG = np.random.default_rng(0)
IR, VI, FUSED = (RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((14, 12), (14, 12, 3), (14, 12, 3)))
METRICS = ("SD", "CC")


@pytest.fixture(scope="module")
def expected():
    unit = (x.astype(np.float32).reshape(1, 14, 12, -1) / 255 for x in (FUSED, IR, VI))
    return {name: value[0] for name, value in evaluate(*unit, metrics=METRICS).items()}


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: x.astype(np.uint16) * 257,
        lambda x: x / 255.0,
        lambda x: x.tolist(),
        Image.fromarray,
        lambda x: x[..., None] if x.ndim == 2 else x,
    ],
    ids=["uint8", "uint16", "float64", "list", "PIL", "channel axis"],
)
def test_single_images_of_every_form_give_scalars(form, expected):
    scores = evaluate(form(FUSED), form(IR), form(VI), metrics=METRICS)
    for name in METRICS:
        assert np.shape(scores[name]) == ()
        np.testing.assert_allclose(scores[name], expected[name], rtol=1e-6)


def test_batches_and_methods_keep_their_axes(expected):
    batch = [x.reshape(1, 14, 12, -1) for x in (FUSED, IR, VI)]
    assert evaluate(*batch, metrics=METRICS)["SD"].shape == (1,)
    methods = np.stack([batch[0], batch[0]])
    both = evaluate(methods, *batch[1:], metrics=METRICS)["CC"]
    assert both.shape == (2, 1)
    np.testing.assert_allclose(both, expected["CC"], rtol=1e-6)


def test_the_luma_of_an_rgb_infrared_image_is_used():
    luma = VI.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    expected = evaluate(FUSED, luma, VI, metrics=("CC",))["CC"]
    np.testing.assert_allclose(evaluate(FUSED, VI, VI, metrics=("CC",))["CC"], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FUSED, IR, None), "vi is of type"),
        ((FUSED.astype(float), IR, VI), "fused has values from 2 to 254; floats must lie"),
        ((FUSED, IR, np.where(VI.max() == VI, np.nan, VI / 255)), "vi has .* values that are NaN"),
        ((FUSED, IR[None, ..., None], VI), "expected equal sizes"),
        ((FUSED[1:], IR, VI), "expected equal sizes"),
    ],
)
def test_other_values_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(*arguments)
