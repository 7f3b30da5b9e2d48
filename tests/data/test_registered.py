"""Training pairs that do not line up: transforms from files, words and the cache."""

import json

import numpy as np
import pytest

from fusejax.data.config import DataConfig
from fusejax.data.pipeline import open_sources, open_validation, training_batches
from fusejax.io.images import write_image
from fusejax.io.pairing import PairError
from fusejax.registration import RegisterInfrared, RegistrationError, Rig, write_rig
from fusejax.registration.geometry import translation


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three pairs: visible is what infrared shows 5 pixels further left, and 4 rows lower."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for n in range(3):
        scene = rng.integers(0, 256, (48, 64, 1), dtype=np.uint8)
        write_image(tmp_path / "data" / "ir" / f"{n}.png", scene)
        write_image(tmp_path / "data" / "vi" / f"{n}.png", np.repeat(scene[4:40, 5:53], 3, axis=2))
    return tmp_path / "data"


SHIFT = translation(5, 4)


def answers(monkeypatch, matrix=SHIFT, refuse=()):
    """Counts what is registered; a real search is tested elsewhere."""
    asked = []

    def transform(self, ir, vi):
        asked.append(ir.shape)
        if len(asked) - 1 in refuse:
            raise RegistrationError("the pair cannot be registered: too dark.")
        return matrix

    monkeypatch.setattr(RegisterInfrared, "transform", transform)
    return asked


def meet(source):
    for pair in source:
        assert pair["ir"].shape[:2] == pair["vi"].shape[:2]
        np.testing.assert_array_equal(pair["ir"][..., 0], pair["vi"][..., 0])


def test_a_rig_and_transforms_of_a_file_bring_pairs_onto_each_other(root, tmp_path):
    write_rig(tmp_path / "rig.json", Rig(SHIFT, (48, 64), (36, 48), "translation", 0.1, 3, 3))
    values = {str(n): {"matrix": SHIFT.tolist(), "refused": ""} for n in range(3)}
    (tmp_path / "transforms.json").write_text(json.dumps(values))
    for name in ("rig.json", "transforms.json"):
        config = DataConfig(root=str(root), validation=("",), crop=16, register=str(tmp_path / name))
        (source,) = open_sources(config)
        assert len(source) == 3
        meet(source)
        meet(open_validation(config))
        batch = next(iter(training_batches([source], config, batch_size=2, seed=0)))
        assert np.abs(batch["ir"] - batch["vi_y"]).max() < 1e-6


def test_pairs_are_found_once_and_again_only_if_an_image_changes(root, monkeypatch):
    asked = answers(monkeypatch)
    config = DataConfig(root=str(root), crop=16, register="pair")
    for _ in range(2):
        (source,) = open_sources(config)
        meet(source)
    assert len(asked) == 3
    write_image(root / "ir" / "1.png", np.zeros((48, 64, 1), np.uint8))
    open_sources(config)
    assert len(asked) == 6


def test_pairs_that_cannot_be_registered_stop_the_run_or_are_left_out(root, monkeypatch):
    answers(monkeypatch, refuse=(1,))
    with pytest.raises(PairError, match=r"1: the pair cannot be registered: too dark; set data\.skip_bad"):
        open_sources(DataConfig(root=str(root), crop=16, register="pair"))
    (source,) = open_sources(DataConfig(root=str(root), crop=16, register="pair", skip_bad=True))
    assert [pair["id"] for pair in source] == ["0", "2"]
    assert source.skipped == ["1: the pair cannot be registered: too dark"]
    (root.parent / "transforms.json").write_text(json.dumps({"0": {"matrix": SHIFT.tolist()}}))
    with pytest.raises(PairError, match=r"1: .*transforms.json has no transform of this name and 1 more"):
        open_sources(DataConfig(root=str(root), crop=16, register=str(root.parent / "transforms.json")))


def test_a_common_field_below_the_crop_is_refused_with_its_size(root, monkeypatch):
    answers(monkeypatch, matrix=translation(40, 0))
    with pytest.raises(PairError, match="0: both cameras see 24x36, smaller than the crop of 32"):
        open_sources(DataConfig(root=str(root), crop=32, register="pair"))


def test_patches_of_a_grid_are_cut_from_the_common_field(root, monkeypatch):
    answers(monkeypatch, matrix=translation(32, 20))
    (source,) = open_sources(DataConfig(root=str(root), crop=16, patch_stride=16, register="pair"))
    assert len(source) == 3 * 2  # 28x32 of 36x48
    assert source.source.sizes == [pair["ir"].shape[:2] for pair in source.source] == [(28, 32)] * 3
    assert all(patch["ir"].shape == (16, 16, 1) for patch in source)


@pytest.mark.parametrize(("text", "message"), [("{}", "holds no transforms"), ('{"0": {"matrix": [1]}}', "0 has no")])
def test_damaged_transforms_are_refused_by_name(root, text, message):
    (root / "transforms.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_sources(DataConfig(root=str(root), crop=16, register=str(root / "transforms.json")))


def test_boxes_of_images_as_taken_are_refused():
    with pytest.raises(ValueError, match="with `fusejax register` first"):
        DataConfig(synthetic=1, register="auto", max_boxes=4)


def test_the_command_names_the_same_setting(root, monkeypatch):
    from fusejax.cli import train

    given = {}
    monkeypatch.setattr("fusejax.training.loop.fit", lambda config, *_, **__: given.update(config=config))
    train.run(["light", "--workdir", str(root.parent / "run"), "--data.root", str(root), "--register", "pair"])
    assert given["config"].data.register == "pair"
