"""Every network with every gradient loss, with and without masks; incompatible terms are rejected;
the README's example.
"""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import network_and_params

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import ComMaskConfig, DataConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.losses import TERMS, ObjectiveConfig, Progress, RegionConfig, TermConfig, check_objective
from fusejax.losses.objective import evaluate_objective, term_needs
from fusejax.models import NETWORKS, AngularFuseConfig, CrossFuseConfig, FusionNetConfig, build
from fusejax.training.stages import plan_stages
from fusejax.training.state import first_state
from fusejax.training.step import train_step

MODELS = {
    "angularfuse": AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1),
    "crossfuse": CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
    "fusionnet": FusionNetConfig(widths=(4, 4), attention_width=4, alpha_width=4),
}
GRADIENT_LOSSES = (
    "joint_gradient",
    "axiswise_gradient",
    "signed_sum_gradient",
    "direction_aware_gradient",
    "angle_magnitude",
)
MASKS = {"masks": ComMaskConfig(patch_sizes=(4,), probability=1.0), "no masks": None}
DATA = DataConfig(synthetic=4, crop=16)


@functools.cache
def batch_with(masks):
    data = dataclasses.replace(DATA, com_mask=MASKS[masks])
    batch = next(iter(training_batches(open_sources(data), data, batch_size=2, seed=0)))
    return {k: jnp.asarray(v) for k, v in batch.items() if k != "id"}


@pytest.mark.slow
@pytest.mark.parametrize("model_name", MODELS)
def test_every_network_trains_with_every_gradient_loss(model_name):
    """In one step, whose gradient is the sum of theirs; that of each term by itself: below."""
    terms = ("maximum_intensity", *GRADIENT_LOSSES)
    objective = ObjectiveConfig(tuple(TermConfig(term) for term in terms))
    optim = OptimConfig(learning_rate=1e-2)
    config = TrainConfig("all", MODELS[model_name], (StageConfig(objective, optim=optim, steps=2),), data=DATA)
    (stage,) = plan_stages(config, 8)
    model = build(config.model)
    check_objective(objective, model=type(model).__name__, provides=model.provides, boxes=False)

    def outputs(params, ir, vi_y):
        return model.apply({"params": params}, ir, vi_y, method="outputs")

    step = jax.jit(functools.partial(train_step, outputs_fn=outputs, stage=stage))
    _, params = network_and_params(config.model)
    for masks in MASKS:  # the same compiled step: masks are in the batch
        state = first_state(params, by_module=False, averaged=False)
        for _ in range(2):
            state, logs = step(state, batch_with(masks), jax.random.key(0))
        chex.assert_tree_all_finite((state.params, logs))
        assert float(logs["loss"]) == pytest.approx(sum(float(logs[term]) for term in terms), rel=1e-5)
        assert all(float(logs[term]) > 0 for term in terms)
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), state.params, params)
        assert max(jax.tree.leaves(moved)) > 1e-3
    assert step._cache_size() == 1


@pytest.mark.slow
def test_one_compiled_training_step_serves_no_boxes_and_the_most():
    objective = ObjectiveConfig((TermConfig("maximum_intensity"), TermConfig("target_aware", 2.0)))
    config = TrainConfig("boxes", MODELS["fusionnet"], (StageConfig(objective, steps=2),), data=DATA)
    (stage,), model = plan_stages(config, 8), build(config.model)
    outputs = functools.partial(model.apply, method="outputs")
    step = jax.jit(
        functools.partial(train_step, outputs_fn=lambda p, ir, vi: outputs({"params": p}, ir, vi), stage=stage)
    )
    _, params = network_and_params(config.model)
    state = first_state(params, by_module=False, averaged=False)
    boxes = jnp.broadcast_to(jnp.array([2.0, 3.0, 12.0, 11.0]), (2, 3, 4))
    values = []
    for valid in (np.zeros((2, 3), bool), np.ones((2, 3), bool)):
        batch = batch_with("no masks") | {"boxes": boxes, "boxes_valid": jnp.asarray(valid)}
        new, logs = step(state, batch, jax.random.key(0))
        chex.assert_tree_all_finite((new.params, logs))
        values.append(float(logs["target_aware"]))
    assert values[0] == 0.0 < values[1]
    assert step._cache_size() == 1


def example_inputs(rng, kinds):
    """All inputs that a term can have: images of the named kinds, b = 2.

    All have one type, so that a function compiles once: without it, that of a constant is weak.
    """

    def image(kind):
        if kind == "textured":
            return jnp.asarray(rng.random((2, 16, 20, 1)), jnp.float32)
        return jnp.full((2, 16, 20, 1), {"black": 0.0, "gray": 0.5, "white": 1.0}[kind], jnp.float32)

    fused_y, ir, vi_y = map(image, kinds)
    features = {k: jnp.asarray(rng.standard_normal((2, 8, 8, 4)), jnp.float32) for k in
                ("ir_base", "vi_base", "ir_detail", "vi_detail")}  # fmt: skip
    boxes = {"boxes": jnp.asarray([[[2.0, 2, 9, 9]], [[0.0, 0, 0, 0]]]), "boxes_valid": jnp.asarray([[True], [False]])}
    rebuilt = {"ir": fused_y, "vi_y": fused_y}
    return boxes | {"fused_y": fused_y, "ir": ir, "vi_y": vi_y, "features": features, "rebuilt": rebuilt,
                    "key": jax.random.key(0)}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_finite_with_its_gradient(name, rng):
    """On flat, zero, saturated, identical and textured images; new losses are covered
    automatically.
    """
    config = ObjectiveConfig((TermConfig(name),))

    @jax.jit
    def value_and_slope(given):
        def total(fused_y):
            return evaluate_objective(config, given | {"fused_y": fused_y, "rebuilt": {"ir": fused_y, "vi_y": fused_y}},
                                      Progress(0, 0, 1.0))[0].sum()  # fmt: skip

        return evaluate_objective(config, given, Progress(0, 0, 1.0))[0], jax.grad(total)(given["fused_y"])

    kinds = ("black", "gray", "white", "textured")
    for fused in kinds:
        for source in kinds:
            value, slope = value_and_slope(example_inputs(rng, (fused, source, "textured")))
            chex.assert_shape(value, (2,))
            assert (value >= -1e-6).all()
            chex.assert_tree_all_finite((value, slope))
            value, slope = value_and_slope(example_inputs(rng, (fused, source, source)))
            chex.assert_tree_all_finite((value, slope))
    if name in GRADIENT_LOSSES:
        assert jnp.abs(slope).max() > 1e-6, "the last images are textured: the loss moves them"


def test_terms_without_boxes_are_refused_and_the_fallback_fits():
    objective = ObjectiveConfig((TermConfig("target_aware"),))
    options = {"model": "FusionNet", "provides": ("fused_y", "maps")}
    with pytest.raises(ValueError, match=r"'target_aware' needs boxes, but the batches have none: set data\.max_boxes"):
        check_objective(objective, boxes=False, **options)
    check_objective(objective, boxes=True, **options)
    fallback = dataclasses.replace(objective, regions=RegionConfig(fallback="thermal_saliency"))
    check_objective(fallback, boxes=False, **options)


@pytest.mark.slow
def test_every_network_gives_what_it_says_and_every_need_is_known():
    pair = jnp.zeros((1, 8, 8, 1))
    for config in MODELS.values():
        model = build(config)
        shapes = jax.eval_shape(
            functools.partial(model.init_with_output, method="outputs"), jax.random.key(0), pair, pair
        )
        assert set(shapes[0]) == set(model.provides)
    known = {"fused_y", "ir", "vi_y", "reference", "resolved", "key", "mask"}
    known |= {p for n in NETWORKS.values() for p in n.provides}
    assert {need for name in TERMS for need in term_needs(name)} <= known


def test_the_example_of_the_readme(monkeypatch):
    def edge_count_loss(fused_y, ir, vi_y, *, threshold=0.1):
        strong = jnp.abs(jnp.diff(jnp.maximum(ir, vi_y), axis=2)) > threshold
        return (strong * jnp.abs(jnp.diff(fused_y, axis=2))).mean(axis=(1, 2, 3))

    monkeypatch.setitem(TERMS, "edge_count", edge_count_loss)
    config = ObjectiveConfig((TermConfig("maximum_intensity"), TermConfig("edge_count", 2.0, {"threshold": 0.2})))
    batch = batch_with("no masks")
    given = {"fused_y": batch["ir"], "ir": batch["ir"], "vi_y": batch["vi_y"]}
    total, parts = evaluate_objective(config, given, Progress(0, 0, 1.0))
    np.testing.assert_allclose(total, parts["maximum_intensity"] + 2.0 * parts["edge_count"], rtol=1e-6)
    wrong = ObjectiveConfig((TermConfig("edge_count", options={"limit": 1}),))
    with pytest.raises(ValueError, match="'edge_count' has no option 'limit'; it has threshold"):
        check_objective(wrong, model="any", provides=("fused_y",), boxes=False)
