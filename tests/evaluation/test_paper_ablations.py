"""The ablations of the papers' parts: every variant can be trained, and changes what it names."""

import dataclasses

import jax
import numpy as np
import pytest

from fusejax.config import load_ablation
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.preparation import ShiftedPairs
from fusejax.evaluation.repetition import first_losses
from fusejax.evaluation.variants import with_data
from fusejax.io.images import read_image
from fusejax.losses import check_objective
from fusejax.models import build
from fusejax.serialize import differences, to_dict
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

PARTS = ("direction_aware", "angular_parts", "fusionnet_parts", "crossfuse_parts", "across_sets")


@pytest.mark.parametrize("name", [*PARTS, "top_k_shift"])
def test_every_variant_gets_what_its_terms_need(name, tmp_path):
    for config in load_ablation(name)(tmp_path, tmp_path, False).variants.values():
        network, boxes = build(config.model), config.data.max_boxes > 0
        for stage in config.stages:
            check_objective(stage.objective, model=name, provides=network.provides, boxes=boxes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("angular_parts", "residual blocks alone"),
        ("angular_parts", "absolute cosine"),
        ("crossfuse_parts", "cutout"),
        ("direction_aware", "FusionNet, direction-aware"),
    ],
)
def test_a_variant_has_a_step(name, variant, tmp_path):
    """Traced, not compiled, so that it is quick."""
    config = with_data(load_ablation(name)(tmp_path, tmp_path, False).variants[variant], crop=32)
    program = Program(config, make_mesh(config.mesh))
    step, batch = program.step(plan_stages(config, 100)[-1]), program.abstract_batch()
    state, logs = jax.eval_shape(step, program.target, batch, jax.random.key(0))
    assert logs["loss"].shape == () and jax.tree.structure(state) == jax.tree.structure(program.target)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variant"), [("fusionnet_parts", "20 % false boxes"), ("crossfuse_parts", "paths exchanged")]
)
def test_a_variant_takes_a_step(name, variant, tmp_path):
    config = load_ablation(name)(tmp_path, tmp_path, False).variants[variant]
    config = dataclasses.replace(with_data(config, folders=(), root="", shares=(), synthetic=4, crop=32), batch_size=2)
    assert np.isfinite(next(first_losses(config)))


@pytest.mark.parametrize("name", PARTS)
def test_variants_have_equal_budgets(name, tmp_path):
    found = load_ablation(name)(tmp_path, tmp_path, False)
    kinds = {}
    for variant, config in found.variants.items():
        network = variant.split(",")[0] if name == "across_sets" else ""
        kinds.setdefault(network, []).append(to_dict(config))
    for configs in kinds.values():
        for config in configs:
            assert [config[k] for k in ("batch_size", "seed")] == [configs[0][k] for k in ("batch_size", "seed")]
            assert config["data"]["crop"] == configs[0]["data"]["crop"]
            assert _lengths(config) == _lengths(configs[0])
        assert all(differences(a, b) for n, a in enumerate(configs) for b in configs[:n])


def _lengths(config):
    return [(stage["steps"], stage["epochs"], stage["optim"]) for stage in config["stages"]]


def test_shifted_pairs_are_darkened_by_their_gamma_and_written_once(tmp_path):
    write_synthetic_folder(tmp_path / "a", count=2, size=(24, 32))
    shifted = ShiftedPairs(tmp_path / "a", tmp_path / "b", 2.0)
    shifted.prepare()
    files = sorted((tmp_path / "b/vi").iterdir())
    vi = read_image(tmp_path / "a/vi" / files[0].name) / 255
    np.testing.assert_allclose(read_image(files[0]) / 255, vi**2, atol=0.51 / 255)
    np.testing.assert_array_equal(
        read_image(tmp_path / "b/ir" / files[0].name), read_image(tmp_path / "a/ir" / files[0].name)
    )
    before = [path.stat().st_mtime_ns for path in files]
    shifted.prepare()
    assert [path.stat().st_mtime_ns for path in files] == before and len(files) == 2


def test_every_gamma_and_number_of_patches_is_crossed(tmp_path):
    found = load_ablation("top_k_shift")(tmp_path, tmp_path / "out", False)
    assert len(found.variants) == 3 * 8 and len(found.preparations) == 3 * 8 and len(found.scored_on) == 3
    places = {found.folder(name, tmp_path) for name in found.scored_on}
    made = {preparation.folder for preparation in found.preparations if isinstance(preparation, ShiftedPairs)}
    assert len(places) == 3 and places < made and len(made) == 6
