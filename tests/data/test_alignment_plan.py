"""Alignment plans: patches cut by hand, plans on disk, the command."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from aligning import CONFIG, image, images_named, write_folder
from camera_files import dji_jpeg, jpeg
from numpy.testing import assert_allclose, assert_array_equal

import fusejax
from fusejax.cli.align import AlignOptions, align_command
from fusejax.data.alignment import (
    align,
    channel_means,
    gamma_table,
    pooled_histogram,
)
from fusejax.data.alignment_plan import AlignedPatches, VisibleImages, load_plan, make_plan, save_plan
from fusejax.data.folders import PairFolder
from fusejax.io.images import read_image, write_image


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    root = tmp_path_factory.mktemp("auxiliary")
    folder = write_folder(root, images_named(10, scale=160))
    found = align(images_named(4, first=50), VisibleImages(folder), CONFIG)
    return root, make_plan(found, folder, CONFIG)


def test_aligned_patches_equal_cutting_and_correcting_by_hand(planned):
    root, plan = planned
    patches = AlignedPatches(PairFolder(root), plan)
    assert len(patches) == CONFIG.k
    assert min(plan.gammas) > 1.05
    for element, (name, top, left) in zip(patches, plan.patches, strict=True):
        window = np.s_[top : top + 8, left : left + 8]
        vi = read_image(root / "vi" / f"{name}.png")[window]
        expected = np.stack([gamma_table(g)[vi[..., c]] for c, g in enumerate(plan.gammas)], axis=-1)
        assert element["id"] == f"{name}_{top}_{left}"
        assert_array_equal(element["vi"], expected)
        assert_array_equal(element["ir"], read_image(root / "ir" / f"{name}.png")[window])
    assert_allclose(np.mean([p["vi"].mean(axis=(0, 1)) for p in patches], axis=0), plan.mean_after, rtol=1e-12)
    assert_allclose(plan.mean_after, plan.target_mean, atol=1)
    with pytest.raises(IndexError):
        patches[len(patches)]


def test_aligned_patches_travel_to_workers(planned):
    root, plan = planned
    patches = AlignedPatches(PairFolder(root), plan)
    copy = pickle.loads(pickle.dumps(patches))
    assert_array_equal(copy[3]["vi"], patches[3]["vi"])


def test_a_plan_is_read_back_as_written(planned, tmp_path):
    _, plan = planned
    save_plan(tmp_path / "plan.json", plan)
    assert load_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d | {"version": 2}, "version is 2, but this program reads version 1"),
        (lambda d: {k: v for k, v in d.items() if k != "version"}, "version is None"),
        (lambda d: {k: v for k, v in d.items() if k != "gammas"}, "AlignPlan lacks gammas"),
        (lambda d: d | {"config": {"patch": 8}}, "AlignConfig lacks stride, k, gamma_cap, order"),
        (lambda d: d | {"gamas": 1}, "no field 'gamas'; did you mean 'gammas'"),
        (lambda d: d | {"gammas": [1, 1]}, "gammas has 2 values"),
        (lambda d: d | {"gammas": [1, 1, 0]}, "must not exceed the cap 20"),
        (lambda d: d | {"patches": [["p00", 0, 30]]}, "the patch at 0, 30 of 'p00' lies outside"),
        (lambda d: d | {"patches": [["other", 0, 0]]}, "'other' lies outside"),
        (lambda d: d | {"patches": [["p00", 0]]}, "not enough values"),
        (lambda d: d | {"pictures": []}, "'list' object"),
        (lambda d: [d], "version is None"),
    ],
)
def test_a_damaged_plan_is_refused(planned, tmp_path, spoil, message, unchecked):
    path = tmp_path / "plan.json"
    save_plan(path, planned[1])
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(ValueError, match=f"plan.json is not a usable alignment plan.*{message}"):
        load_plan(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"plan\.json is not a usable alignment plan"):
        load_plan(path)


def test_a_plan_for_other_images_is_refused(planned, tmp_path):
    _, plan = planned
    named = dict(images_named(10))
    del named["p01"]
    named |= {"new": image(0), "p02": image(0, (16, 24))}
    folder = write_folder(tmp_path, named.items())
    expected = r"1 missing \(p01\); 1 new \(new\); 1 of another size \(p02 is 16x24 and was 8x8\)"
    with pytest.raises(ValueError, match=expected):
        AlignedPatches(folder, plan)


@pytest.fixture
def folders(tmp_path):
    write_folder(tmp_path / "target" / "train", images_named(4, first=50))
    write_folder(tmp_path / "target" / "test", images_named(4, scale=20))
    write_folder(tmp_path / "auxiliary", images_named(10, scale=160))
    return tmp_path


@pytest.mark.slow
def test_command(folders, capsys):
    options = AlignOptions(folders / "target", folders / "auxiliary", folders / "out", CONFIG)
    plan = align_command(options)
    assert sorted(p.name for p in options.out.iterdir()) == ["plan.json", "plan.png"]
    assert load_plan(options.out / "plan.json") == plan
    trained_on = channel_means(pooled_histogram(VisibleImages(PairFolder(folders / "target" / "train")), CONFIG))
    assert plan.target_mean == tuple(trained_on)
    said = capsys.readouterr().out
    for value in (f"{plan.mean_before[0]:.2f}", f"{plan.gammas[2]:.4f}", f"at rank 10: {plan.last_distance:.2f}"):
        assert value in said
    assert read_image(options.out / "plan.png").shape[2] == 3

    written = {p: p.read_bytes() for p in options.out.iterdir()}
    with pytest.raises(FileExistsError, match=r"plan\.json already exists; use --overwrite"):
        align_command(dataclasses.replace(options, config=dataclasses.replace(CONFIG, k=3)))
    assert written == {p: p.read_bytes() for p in options.out.iterdir()}
    again = dataclasses.replace(options, config=dataclasses.replace(CONFIG, k=3), overwrite=True)
    assert len(align_command(again).patches) == 3


def test_folders_align_from_python(folders, capsys):
    """Nothing is written to standard output; skipped pairs are returned."""
    (folders / "auxiliary" / "ir" / "zz.png").write_bytes(b"no image")
    (folders / "auxiliary" / "vi" / "zz.png").write_bytes(b"no image")
    found = fusejax.data.align_folders(
        folders / "target", folders / "auxiliary", folders / "p.json", config=CONFIG, skip_bad=True
    )
    assert capsys.readouterr().out == ""
    assert (found.path, found.figure) == (folders / "p.json", folders / "p.png")
    assert load_plan(found.path) == found.plan
    assert found.figure.is_file()
    assert len(found.skipped) == 1
    assert "zz.png" in found.skipped[0]


def test_counts_of_cameras_need_no_range_because_only_visible_images_count(tmp_path):
    rng = np.random.default_rng(0)
    thermal = dji_jpeg(rng.integers(6000, 9000, (128, 160)).astype(np.uint16))
    for n in range(3):
        (tmp_path / f"DJI_{n:04d}_T.JPG").write_bytes(thermal)
        (tmp_path / f"DJI_{n:04d}_V.JPG").write_bytes(jpeg(rng.integers(0, 200, (128, 160, 3)).astype(np.uint8)))
    found = fusejax.data.align_folders(tmp_path, tmp_path, tmp_path / "o", config=dataclasses.replace(CONFIG, patch=64))
    assert found.figure.exists() and found.plan.patches


def test_command_names_its_file_and_prints_warnings(folders, capsys):
    config = dataclasses.replace(CONFIG, k=10_000)
    out = folders / "deep" / "street.json"
    align_command(AlignOptions(folders / "target", folders / "auxiliary", out, config))
    assert sorted(p.name for p in out.parent.iterdir()) == ["street.json", "street.png"]
    said = capsys.readouterr().out
    assert "fewer than the 10000 requested" in said
    assert "warning: " in said
    out.unlink()  # as if it had been killed: the plan is written last
    align_command(AlignOptions(folders / "target", folders / "auxiliary", out, config))
    out.unlink()
    write_image(out.with_suffix(".png"), np.zeros((4, 4, 1), np.uint8))  # not of this tool
    with pytest.raises(FileExistsError, match=r"street\.png already exists"):
        align_command(AlignOptions(folders / "target", folders / "auxiliary", out, config))
