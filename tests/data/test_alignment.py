"""Top-K channel alignment: what is chosen, what the gammas reach, and what the plan promises."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

import fusejax
from fusejax.cli.align import AlignOptions, align_command
from fusejax.data.alignment import (
    AlignConfig,
    NearestPatches,
    align,
    channel_means,
    eight_bit,
    fit_gamma,
    gamma_curve,
    gamma_table,
    gamma_tables,
    patch_rows,
    pooled_histogram,
)
from fusejax.data.alignment_plan import AlignedPatches, VisibleImages, load_plan, make_plan, save_plan
from fusejax.data.folders import PairFolder
from fusejax.data.images import read_image, write_image

CONFIG = AlignConfig(patch=8, stride=12, k=10)
SIZES = ((20, 32), (33, 21), (8, 8), (7, 40), (45, 30))


def image(seed, size=(20, 32), scale=255.0):
    """Smooth color patches, so that patch means differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, scale, (size[0] // 6 + 1, size[1] // 6 + 1, 3))
    fine = np.kron(coarse, np.ones((6, 6, 1)))[: size[0], : size[1]] + rng.normal(0, 6, (*size, 3))
    return np.clip(fine, 0, 255).astype(np.uint8)


def images_named(count, *, first=0, scale=255.0):
    return [(f"p{n:02d}", image(first + n, SIZES[n % len(SIZES)], scale)) for n in range(count)]


def write_folder(root, named):
    for seed, (name, vi) in enumerate(named):
        ir = np.random.default_rng(1000 + seed).integers(0, 256, (*vi.shape[:2], 1), np.uint8)
        write_image(root / "ir" / f"{name}.png", ir)
        write_image(root / "vi" / f"{name}.png", vi)
    return PairFolder(root)


def places(alignment):
    return [(p.name, p.top, p.left) for p in alignment.patches]


def all_patches(named, config):
    """Every patch cut out, by plain loops: (name, top, left, pixels)."""
    side = config.patch
    for name, vi in named:
        for top in range(0, vi.shape[0] - side + 1, config.stride):
            for left in range(0, vi.shape[1] - side + 1, config.stride):
                yield name, top, left, vi[top : top + side, left : left + side]


def test_choice_and_statistics_equal_plain_loops():
    target, auxiliary = images_named(7, first=50, scale=180), images_named(10)
    found = align(target, auxiliary, CONFIG)
    wanted = np.mean([p.mean(axis=(0, 1)) for *_, p in all_patches(target, CONFIG)], axis=0)
    assert_allclose(channel_means(found.target), wanted, rtol=1e-12)
    ranked = sorted(
        (np.abs(p.mean(axis=(0, 1)) - wanted).sum(), name, top, left)
        for name, top, left, p in all_patches(auxiliary, CONFIG)
    )
    assert found.seen == len(ranked)
    assert places(found) == [r[1:] for r in ranked[: CONFIG.k]]
    assert_allclose([p.distance for p in found.patches], [r[0] for r in ranked[: CONFIG.k]], rtol=1e-12)


@pytest.mark.parametrize("k", [9, 10, 11, 12])  # some of them cut between two patches of equal distance
@pytest.mark.parametrize("order", ["choose_then_fit", "fit_then_choose"])
def test_the_order_of_the_images_does_not_matter(order, k):
    config = dataclasses.replace(CONFIG, order=order, k=k)
    target, auxiliary = images_named(5, first=50), images_named(12)
    auxiliary += [(f"again_{name}", vi) for name, vi in auxiliary[:4]]  # equal distances
    expected = align(target, auxiliary, config)
    for seed in range(3):
        shuffled = [auxiliary[n] for n in np.random.default_rng(seed).permutation(len(auxiliary))]
        found = align(target[::-1], shuffled, config)
        assert places(found) == places(expected)
        assert found.gammas == expected.gammas


def test_more_patches_asked_for_than_there_are():
    found = align(images_named(3, first=50), images_named(4), dataclasses.replace(CONFIG, k=10_000))
    assert len(found.patches) == found.seen == sum(1 for _ in all_patches(images_named(4), CONFIG))
    assert "more than half" in found.warnings[-1]
    assert not align(images_named(3, first=50), images_named(12), CONFIG).warnings


def test_never_more_than_k_patches_are_held():
    nearest = NearestPatches(np.full(3, 120.0), 10)
    for row in patch_rows(images_named(40), CONFIG):
        nearest.add(*row)
        assert len(nearest.best) == min(10, nearest.seen)
        assert all(p.histogram.base is None for p in nearest.best)
    assert nearest.seen > 100


def test_dense_patches_overlap():
    config = dataclasses.replace(CONFIG, stride=1, patch=5)
    named = [("a", image(0, (9, 11)))]
    rows = np.concatenate([counts for *_, counts in patch_rows(named, config)])
    cut = [p for *_, p in all_patches(named, config)]
    assert rows.shape == (5 * 7, 3, 256)
    assert_allclose(channel_means(rows), [p.mean(axis=(0, 1)) for p in cut], rtol=1e-12)


def test_agreeing_means_need_no_gamma():
    found = align(images_named(6), images_named(6), dataclasses.replace(CONFIG, k=10_000))
    assert_allclose(found.gammas, 1, atol=1e-9)
    assert_array_equal(found.after, found.before)
    flat = [("flat", np.full((8, 8, 3), 90, np.uint8))]
    found = align(flat, [*images_named(3), *flat], dataclasses.replace(CONFIG, k=1))
    assert (places(found), found.patches[0].distance, found.gammas) == ([("flat", 0, 0)], 0, (1, 1, 1))


@pytest.mark.parametrize("gamma", [1 / 20, 0.4, 1.0, 1.7, 20.0])
def test_table(gamma):
    table = gamma_table(gamma)
    assert (table[0], table[255], table.dtype) == (0, 255, np.uint8)
    assert (np.diff(table.astype(int)) >= 0).all()
    exact = gamma_curve(gamma)
    assert ((table <= exact + 1e-6) & (exact < table + 1.0)).all()
    if gamma == 1:
        assert_array_equal(table, np.arange(256))
    else:
        assert (table.mean() > 127.5) == (gamma > 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("target", [30.0, 127.0, 200.0])
def test_bisection_reaches_the_mean(seed, target):
    histogram = np.random.default_rng(seed).multinomial(50_000, np.random.default_rng(seed).dirichlet(np.ones(256)))

    def mean(curve, gamma):
        return (histogram * curve(gamma)).sum() / histogram.sum()

    exact = fit_gamma(histogram, target, cap=20.0, curve=gamma_curve)
    assert abs(mean(gamma_curve, exact) - target) < 1e-6
    assert abs(mean(gamma_table, exact) - target) < 1
    fitted = fit_gamma(histogram, target, cap=20.0)
    assert abs(mean(gamma_table, fitted) - target) <= histogram.max() / histogram.sum() / 2 + 1e-9


@pytest.mark.parametrize(("target", "reached"), [(140.3, 140), (140.7, 141)])
def test_the_nearer_side_of_a_step_is_taken(target, reached):
    assert gamma_table(fit_gamma(np.bincount([100], minlength=256), target, cap=20.0))[100] == reached


@pytest.mark.parametrize("curve", [gamma_curve, gamma_table])
@pytest.mark.parametrize("target", [(120.0, 150.0, 90.0), (60.0, 200.0, 128.0)])
def test_no_worse_than_the_authors_search(curve, target):
    histogram = pooled_histogram(images_named(6, scale=200), CONFIG)

    def objective(gammas):
        if min(gammas) < 1e-3:
            return np.inf
        return np.abs(channel_means(histogram, np.stack([curve(g) for g in gammas])) - target).sum()

    theirs = minimize(objective, (0.5, 0.5, 0.5), method="Nelder-Mead", options={"maxiter": 2000})
    ours = [fit_gamma(histogram[c], target[c], cap=20.0, curve=curve) for c in range(3)]
    assert objective(ours) <= theirs.fun + 1e-9
    assert_allclose(ours, theirs.x, rtol=1e-2)


def test_a_black_channel_is_capped_with_a_warning():
    dark = [(name, vi * np.array([1, 1, 0], np.uint8)) for name, vi in images_named(8)]
    found = align(images_named(3, first=50), dark, CONFIG)
    assert found.gammas[2] == 20
    assert max(found.gammas[:2]) < 20
    assert [w.split(":")[0] for w in found.warnings] == ["blue"]
    assert "mean 0.00" in found.warnings[0]
    assert "too dark" in found.warnings[0]
    white = [("white", np.full((8, 8, 3), 255, np.uint8))]
    found = align(images_named(3, first=50), white, CONFIG)
    assert found.gammas == (1 / 20,) * 3
    assert "too bright" in found.warnings[0]


def test_both_orders_do_what_they_say():
    target, auxiliary = images_named(6, first=50), images_named(12, scale=140)
    chosen_first = align(target, auxiliary, CONFIG)
    fitted_first = align(target, auxiliary, dataclasses.replace(CONFIG, order="fit_then_choose"))
    wanted, pooled = channel_means(chosen_first.target), pooled_histogram(auxiliary, CONFIG)
    assert_allclose(channel_means(chosen_first.after), wanted, atol=0.3)
    assert_allclose(channel_means(pooled, gamma_tables(fitted_first.gammas)), wanted, atol=0.3)
    tables = gamma_tables(fitted_first.gammas)
    ranked = sorted(
        (np.abs(tables[np.arange(3), p].mean(axis=(0, 1)) - wanted).sum(), name, top, left)
        for name, top, left, p in all_patches(auxiliary, CONFIG)
    )
    assert places(fitted_first) == [r[1:] for r in ranked[: CONFIG.k]]
    assert places(fitted_first) != places(chosen_first)


def test_gray_and_sixteen_bit_images(tmp_path):
    gray = image(1, (20, 32))[..., :1]
    gray = np.minimum(gray, 254)
    named = {"one": gray, "three": np.repeat(gray, 3, axis=-1), "deep": gray.astype(np.uint16) * 257 + 100}
    for vi in named.values():
        assert_array_equal(eight_bit(vi), np.repeat(gray, 3, axis=-1))
    folder = write_folder(tmp_path, named.items())
    config = dataclasses.replace(CONFIG, k=100)
    found = align(images_named(3, first=50), VisibleImages(folder), config)
    assert all((p.histogram == p.histogram[0]).all() for p in found.patches)
    patches = AlignedPatches(folder, make_plan(found, folder, config))
    by_id = {p["id"]: p["vi"] for p in patches}
    assert {vi.dtype for vi in by_id.values()} == {np.dtype(np.uint8)}
    assert_array_equal(by_id["deep_0_12"], by_id["one_0_12"])


def test_images_smaller_than_the_patch():
    small = [("a", image(0, (7, 40))), ("b", image(1, (6, 6)))]
    with pytest.raises(ValueError, match=r"No patch of 8x8 fits: the largest image, a, is 40x7; lower the patch"):
        align(images_named(3), small, CONFIG)
    assert {p.name for p in align(images_named(3), [*small, ("c", image(2))], CONFIG).patches} == {"c"}


@pytest.mark.parametrize(
    "wrong", [{"patch": 0}, {"stride": 0}, {"k": 0}, {"k": 2.5}, {"gamma_cap": 1.0}, {"order": "random"}]
)
def test_nonsense_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        AlignConfig(**wrong)


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
        (lambda d: d | {"version": 2}, "version is 2, this program reads version 1"),
        (lambda d: {k: v for k, v in d.items() if k != "version"}, "version is None"),
        (lambda d: {k: v for k, v in d.items() if k != "gammas"}, "AlignPlan lacks gammas"),
        (lambda d: d | {"config": {"patch": 8}}, "AlignConfig lacks stride, k, gamma_cap, order"),
        (lambda d: d | {"gamas": 1}, "no field 'gamas'; did you mean 'gammas'"),
        (lambda d: d | {"gammas": [1, 1]}, "gammas holds 2 values"),
        (lambda d: d | {"gammas": [1, 1, 0]}, "their cap is 20"),
        (lambda d: d | {"patches": [["p00", 0, 30]]}, "the patch at 0, 30 of 'p00' lies outside"),
        (lambda d: d | {"patches": [["other", 0, 0]]}, "'other' lies outside"),
        (lambda d: d | {"patches": [["p00", 0]]}, "not enough values"),
        (lambda d: d | {"pictures": []}, "'list' object"),
        (lambda d: [d], "version is None"),
    ],
)
def test_a_damaged_plan_is_refused(planned, tmp_path, spoil, message):
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
    with pytest.raises(FileExistsError, match=r"plan\.json is already there; use --overwrite"):
        align_command(dataclasses.replace(options, config=dataclasses.replace(CONFIG, k=3)))
    assert written == {p: p.read_bytes() for p in options.out.iterdir()}
    again = dataclasses.replace(options, config=dataclasses.replace(CONFIG, k=3), overwrite=True)
    assert len(align_command(again).patches) == 3


def test_folders_align_from_python(folders, capsys):
    """Nothing goes to standard output; what is left out is returned."""
    (folders / "auxiliary" / "ir" / "zz.png").write_bytes(b"no image")
    (folders / "auxiliary" / "vi" / "zz.png").write_bytes(b"no image")
    found = fusejax.studies.align_folders(
        folders / "target", folders / "auxiliary", folders / "p.json", config=CONFIG, skip_bad=True
    )
    assert capsys.readouterr().out == ""
    assert (found.path, found.figure) == (folders / "p.json", folders / "p.png")
    assert load_plan(found.path) == found.plan
    assert found.figure.is_file()
    assert len(found.skipped) == 1
    assert "zz.png" in found.skipped[0]


def test_command_names_its_file_and_prints_warnings(folders, capsys):
    config = dataclasses.replace(CONFIG, k=10_000)
    out = folders / "deep" / "street.json"
    align_command(AlignOptions(folders / "target", folders / "auxiliary", out, config))
    assert sorted(p.name for p in out.parent.iterdir()) == ["street.json", "street.png"]
    said = capsys.readouterr().out
    assert "fewer than the 10000 asked for" in said
    assert "warning: " in said
    out.unlink()
    with pytest.raises(FileExistsError, match=r"street\.png is already there"):
        align_command(AlignOptions(folders / "target", folders / "auxiliary", out, config))
