"""The stress study end to end on synthetic pairs with a tiny network."""

import json

import numpy as np
import pytest
from fusing import random_params

from fusejax.cli.stress import StressOptions, stress_command
from fusejax.data.synthetic import synthetic_pair, write_synthetic_folder
from fusejax.evaluation.attack import adversarial_pair
from fusejax.evaluation.conditions import Condition, degrade
from fusejax.evaluation.score_files import read_scores
from fusejax.evaluation.sources import choose_pairs
from fusejax.evaluation.stress import stress_folders
from fusejax.evaluation.stress_inputs import write_inputs
from fusejax.inference.fuser import Fuser
from fusejax.io.align import Aligned
from fusejax.io.images import read_image, to_float, write_image
from fusejax.models import FusionNetConfig, build
from fusejax.ops.color import rgb_to_luma

KINDS = ("gaussian_noise", "dead", "adversarial_noise")
# Light mixes the sources by few decisions, so that an attack gains little.
SENSITIVE = FusionNetConfig(widths=(2, 4, 4), attention_width=4, alpha_width=2)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root, count=2, size=(40, 48))
    return root


@pytest.mark.slow
def test_adversarial_noise_is_small_and_worse_than_chance():
    pair, fuser = synthetic_pair(1, size=(39, 50)), Fuser(random_params(build(SENSITIVE), 0), SENSITIVE)
    condition = Condition("adversarial_noise", "both", 3)
    attacked = adversarial_pair(fuser.network, pair["ir"], pair["vi"], condition, name="a")
    rng = np.random.default_rng(0)
    noise = [
        np.clip(x.astype(int) + rng.choice([-4, 4], x.shape), 0, 255).astype(np.uint8) for x in (pair["ir"], pair["vi"])
    ]
    for changed, given in zip(attacked, (pair["ir"], pair["vi"]), strict=True):
        assert 3 <= np.abs(changed.astype(int) - given).max() <= 4
    # Luma, which the network computes and the attack targets; noise in the colors passes through.
    clean = rgb_to_luma(to_float(fuser.fuse(pair["ir"], pair["vi"])))
    changes = [rgb_to_luma(to_float(fuser.fuse(*x))) - clean for x in (attacked, noise)]
    by_attack, by_chance = (np.square(x).mean() for x in changes)
    assert by_attack > 1.5 * by_chance


@pytest.mark.slow
def test_weights_and_folders_of_their_images_score_alike(pairs, weights, tmp_path, capsys):
    ir, vi, inputs = pairs / "ir", pairs / "vi", tmp_path / "inputs"
    written = write_inputs(ir, vi, inputs, weights=weights, kinds=KINDS)
    described = json.loads((inputs / "stress.json").read_text())["conditions"]
    assert written == 1 + len(described) == 1 + 2 * 4 + 2 + 4
    fuser = Fuser.load(weights)
    for folder in inputs.glob("*/"):
        for path in (folder / "ir").iterdir():
            fused = fuser.fuse(read_image(path), read_image(folder / "vi" / path.name))
            write_image(tmp_path / "fused" / folder.name / path.name, fused)
    options = StressOptions(
        ir=ir,
        vi=vi,
        out=tmp_path / "out",
        weights=((weights,),),
        fused=((f"theirs={tmp_path / 'fused'}",),),
        degradations=KINDS,
        metrics=("MI", "SSIM"),
    )
    stress_command(options)
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert table
    assert not any("**" in line for line in table)  # the two methods are level everywhere
    (scores,) = read_scores(tmp_path / "out" / "metrics.csv")
    assert (scores.methods, scores.metrics) == (("tiny", "theirs"), ("change", "MI", "SSIM"))
    assert scores.conditions == ("clean", *(c["folder"] for c in described))
    np.testing.assert_allclose(scores.values[0], scores.values[1], atol=1e-6)
    assert (scores.values[:, 0, :, 0] == 0).all() and (scores.values[:, 1:, :, 0] > 0).all()
    for name in ("clean", "vi_dead_1"):  # R15: the root of the mean square, of the luma that is in the files
        a, b = (read_image(tmp_path / "fused" / x / "night_000001.png") for x in (name, "clean"))
        change = np.sqrt(np.mean(np.square(rgb_to_luma(to_float(a)) - rgb_to_luma(to_float(b))), dtype=np.float64))
        found = scores.of("tiny", "change", condition=name)[scores.images.index("night_000001")]
        assert found == pytest.approx(255 * change, abs=1e-4)
    grid = read_image(tmp_path / "out" / "grid.png")
    assert grid.shape[0] > 3 * 150  # six conditions in two blocks of thumbnails
    assert {path.name for path in (tmp_path / "out").glob("curves_*")} == {
        f"curves_{metric}.png" for metric in scores.metrics
    }
    with pytest.raises(FileExistsError, match=r"table\.md already exists; use --overwrite"):
        stress_command(options)


def test_scores_are_against_the_clean_sources(pairs, tmp_path):
    """A method that returns the degraded infrared image is worse the more noise there is."""
    write_inputs(pairs / "ir", pairs / "vi", tmp_path / "inputs", kinds=("gaussian_noise",))
    copies = tmp_path / "copies"
    for folder in (tmp_path / "inputs").glob("*/"):
        for path in (folder / "ir").iterdir():
            write_image(copies / folder.name / path.name, read_image(path))
    result = stress_folders(
        pairs / "ir", pairs / "vi", fused={"copy": copies}, kinds=("gaussian_noise",), metrics=("CC",)
    )
    means = result.scores.means()[0]
    noisy = means[:5, 1]  # clean, then the four strengths on infrared
    assert (np.diff(noisy) < 0).all()
    levels = means[:5, 0]
    np.testing.assert_allclose(levels[1:], (5, 10, 20, 40), rtol=0.25)  # clipped at black


def test_what_does_not_fit_is_refused(pairs, tmp_path):
    ir, vi = pairs / "ir", pairs / "vi"
    for changes, message in (
        ({"degradations": ("rain",)}, "rain; known are gaussian_noise"),
        ({}, "Nothing to test"),
        ({"fused": (("a",),)}, "a needs a folder clean"),
        ({"fused": ((f"a={tmp_path}",),)}, "needs a folder clean and one per condition"),
        ({"out": None}, "Give --out DIR"),
        ({"pairs": 0, "weights": (("light",),)}, "pairs is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            stress_command(StressOptions(ir=ir, vi=vi, **({"out": tmp_path / "o"} | changes)))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty, and .*a\.txt is none of the degraded inputs"):
        write_inputs(ir, vi, tmp_path / "full")


def test_degraded_inputs_that_were_stopped_are_completed_by_the_same_call(tmp_path):
    write_synthetic_folder(tmp_path, count=2, size=(16, 16))
    given, out = (tmp_path / "ir", tmp_path / "vi"), tmp_path / "o"
    write_inputs(*given, out, kinds=["shift"])
    whole = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match="are complete; give a new folder"):
        write_inputs(*given, out, kinds=["shift"])
    for path in [out / "stress.json", *sorted((out / "clean" / "vi").iterdir())]:  # as a kill would leave it
        path.unlink()
    with pytest.raises(FileExistsError, match="is not empty"):
        write_inputs(*given, out, kinds=["rotation"])
    write_inputs(*given, out, kinds=["shift"])
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == whole


def test_pairs_are_spread_over_the_folder(tmp_path):
    write_synthetic_folder(tmp_path, count=6, size=(16, 16))
    names = [pair.id for pair in choose_pairs(tmp_path / "ir", tmp_path / "vi", count=None)]
    chosen = [pair.id for pair in choose_pairs(tmp_path / "ir", tmp_path / "vi", count=3)]
    assert chosen == names[::2]


def test_raw_thermal_is_degraded_after_its_range_is_chosen(pairs, tmp_path):
    for path in (pairs / "ir").iterdir():
        write_image(tmp_path / "ir" / path.name, (5000 + 3 * read_image(path).astype(int)).astype(np.uint16))
    kinds = {"weights": ("average",), "kinds": ("gaussian_noise",), "metrics": ("CC",)}
    raw = stress_folders(tmp_path / "ir", pairs / "vi", ir_range=(5000, 5765), **kinds)
    np.testing.assert_allclose(raw.scores.values, stress_folders(pairs / "ir", pairs / "vi", **kinds).scores.values)


class Mirrored:
    """A step before fusion that mirrors the infrared image."""

    any_size = True

    def __call__(self, ir, vi, *, name=None):
        return Aligned(np.ascontiguousarray(ir[:, ::-1]), vi)


def test_the_step_before_fusion_comes_before_the_degradations_and_the_scores(pairs, tmp_path):
    for path in (pairs / "ir").iterdir():
        write_image(tmp_path / "ir" / path.name, np.ascontiguousarray(read_image(path)[:, ::-1]))
    given = {"weights": ("average",), "kinds": ("gaussian_noise",), "metrics": ("CC",)}
    found = stress_folders(tmp_path / "ir", pairs / "vi", align=Mirrored(), **given)
    np.testing.assert_allclose(found.scores.values, stress_folders(pairs / "ir", pairs / "vi", **given).scores.values)


def test_names_that_are_no_text_are_degraded_as_others():
    gray = np.full((16, 16, 1), 128, np.uint8)
    noise = Condition("gaussian_noise", "ir", 1)
    plain, odd, again = (degrade(gray, gray, noise, name=name)[0] for name in ("a", "a\udcff", "a\udcff"))
    np.testing.assert_array_equal(odd, again)
    assert (plain != odd).any()
