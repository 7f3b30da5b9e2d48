"""Top-K channel alignment: the selection, the effect of the gammas, and the plan."""

import dataclasses

import numpy as np
import pytest
from aligning import CONFIG, image, images_named, places, write_folder
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

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
from fusejax.data.alignment_plan import AlignedPatches, VisibleImages, make_plan


def all_patches(named, config):
    """Cuts every patch with plain loops: (name, top, left, pixels)."""
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


@pytest.mark.parametrize("k", [9, 10, 11, 12])  # some separate two patches of equal distance
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
def test_nonsense_is_refused(wrong, unchecked):
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        AlignConfig(**wrong)
