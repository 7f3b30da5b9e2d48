"""The notebooks: stored with outputs; every cell runs in order at small size, without Jupyter."""

import json
import re
import sys
import types
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import fusejax
from fusejax.data.synthetic import synthetic_pair
from fusejax.io.images import write_image

COLABS = Path(__file__).parents[2] / "colabs"
NOTEBOOKS = sorted(COLABS.glob("*.ipynb"))


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def run(name, **settings):
    """The namespace after all cells; `settings` replace those of the cell tagged `parameters`."""
    cells = load(COLABS / f"{name}.ipynb")["cells"]
    known, namespace = False, {"__name__": "notebook"}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        source = re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", "".join(cell["source"]))
        exec(compile(source, f"{name}.ipynb[{cell['id']}]", "exec"), namespace)
        if "parameters" in cell["metadata"].get("tags", []):
            known = True
            assert settings.keys() <= namespace.keys(), "a setting that the notebook does not have"
            namespace.update(settings)
    assert known, "no cell is tagged `parameters`"
    return namespace


@pytest.fixture(autouse=True)
def figures(monkeypatch, tmp_path):
    """A separate folder without older figures; figures shown by a notebook stay open, to be
    counted.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", lambda: None)
    monkeypatch.setitem(plt.rcParams, "figure.max_open_warning", 0)
    plt.close("all")
    yield
    plt.close("all")


def titles():
    return [axis.get_title() for n in plt.get_fignums() for axis in plt.figure(n).axes]


def test_the_notebooks_are_there():
    assert {path.stem for path in NOTEBOOKS} >= {"conventions", "losses", "quickstart", "registration", "training"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_with_outputs_and_open_on_colab(path):
    notebook = load(path)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["colab"]["name"] == path.name
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    cells = notebook["cells"]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"]) for cell in cells)
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == [*range(1, len(code) + 1)], "run docs/make/notebooks.py --store"
    outputs = [output for cell in code for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/jpeg" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 2_000_000
    installs = [cell["id"] for cell in code if re.search(r"(?m)^\s*[%!]\s*pip", "".join(cell["source"]))]
    assert installs == [code[0]["id"]], "one cell installs, and it is the first"
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/|[A-Z]:\\\\|index-url|token", text)


@pytest.mark.slow
def test_quickstart_fuses_and_scores_the_made_up_pairs(capsys):
    space = run("quickstart", SIZE=64)
    for name, pair in space["made_up"].items():
        fused = space["fused"][name]
        assert (fused.shape, fused.dtype) == (pair["vi"].shape, np.uint8)
        np.testing.assert_array_equal(fused, fusejax.fuse(pair["ir"], pair["vi"]))
        luma = space["luma"](fused)
        assert luma.min() >= 0 and luma.max() <= 1 and luma.std() > 0.05
        scores = space["scores"][name]
        assert list(scores) == ["EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM"]
        assert all(np.isfinite(values).all() and values.shape == (3,) for values in scores.values())
        assert scores["SD"][0] > scores["SD"][1], "the network has less contrast than the average"
    assert titles() == ["infrared", "visible", "fused", "fused in color"] * 2
    printed = capsys.readouterr().out
    assert "night, convention 'exact'" in printed
    assert "You did not provide a pair" in printed


@pytest.mark.slow
def test_quickstart_takes_an_uploaded_pair_of_one_file_name(monkeypatch, tmp_path):
    pair = synthetic_pair(3, size=(64, 85))
    uploads = []
    for kind in ("ir", "vi"):
        write_image(tmp_path / kind / "0001.png", pair[kind])
        uploads.append({"0001.png": (tmp_path / kind / "0001.png").read_bytes()})
    colab = types.ModuleType("google.colab")
    colab.files = types.SimpleNamespace(upload=lambda: uploads.pop(0))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    space = run("quickstart", SIZE=64)
    np.testing.assert_array_equal(space["fused"]["yours"], fusejax.fuse(pair["ir"], pair["vi"]))
    assert set(space["scores"]) == {"night", "day", "yours"}
    assert (tmp_path / "fused.png").is_file()
    assert len(titles()) == 12


@pytest.mark.slow
def test_conventions_explains_every_difference(capsys):
    space = run("conventions", SIZE=176)  # its cells hold the assertions
    assert list(space["scores"]) == ["exact", "cddfuse", "tang", "vifb"]
    assert capsys.readouterr().out.count("SSIM 0.") + 1 >= 4
    assert len({round(scores["SSIM"], 3) for scores in space["scores"].values()}) == 4


@pytest.mark.slow
def test_training_resumes_after_a_disconnect(capsys):
    space = run("training", STEPS=6, BATCH=4, CROP=48)
    assert space["status"] == 0
    said = capsys.readouterr().out
    assert "status 75" in said and "repeat the command to resume" in said
    assert [step for step, _ in space["losses"]][-1] == 6
    assert titles() == ["loss", "infrared", "visible", "fused"]


@pytest.mark.slow
def test_losses_draws_every_loss_and_its_gradients_are_right():
    space = run("losses", SIZE=48, STEPS=150, DRAWS=8)
    losses = space["LOSSES"]
    assert set(space["values"]) == set(space["worst"]) == set(losses)  # `draw_loss` has compared maps with values
    for name, value in space["values"].items():
        assert value > 0, name
        assert space["worst"][name] < 1e-4, f"{name}: finite differences disagree by {space['worst'][name]:.1e}"
    drawn = titles()
    assert sum(title.startswith("descent direction") for title in drawn) == len(losses)
    assert sum(title.startswith("cost") for title in drawn) == len(losses) + 2  # direction-aware: three scales
    middle = {title: float(end[0, 19, 24, 0]) for title, end in space["ends"].items()}  # of the disc, 0.3 in V
    assert middle["conventional"] < 0.3
    assert middle["direction-aware"] > 0.6
    assert all(np.isfinite(end).all() and end.min() >= 0 and end.max() <= 1 for end in space["ends"].values())
    y, x = np.mgrid[:48, :48] / 48
    beyond = 48 * (np.hypot(y - 0.4, x - 0.5) - 0.2)  # pixels outside the disc
    difference = np.asarray(space["difference"])[0, ..., 0]
    assert difference[(beyond > -2) & (beyond < 0)].mean() > 0.5, "direction-aware does not brighten the disc"
    assert difference[(beyond > 1) & (beyond < 3)].mean() < -0.5, "direction-aware does not darken around the disc"
    np.testing.assert_allclose(np.diag(space["tables"]["street, F = average"]), 1, atol=1e-5)


@pytest.mark.slow
def test_registration_finds_the_transform_and_keeps_it_as_a_rig(capsys):
    space = run("registration", SIZE=192)
    assert space["residual"].pixels > 4 and not space["found"].refused
    assert space["together"] < 4 and space["rig"].images == 3
    assert titles() == ["overlay as taken", "overlay registered", "fused as taken", "fused after registration"]
    printed = capsys.readouterr().out
    assert "different scenes: the images do not match" in printed
    assert "flat image: the visible image is flat" in printed
