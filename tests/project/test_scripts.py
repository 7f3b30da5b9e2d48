"""Scripts that no other test runs still work with the library and print their results."""

import dataclasses
import importlib
import inspect
import itertools
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from fusejax.config import load_config
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.io.images import write_image

SCRIPTS = Path(__file__).parents[2] / "scripts"
TINY_SMOOTH = str(Path(__file__).parents[1] / "configs" / "tiny_smooth.py")


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.mark.parametrize(
    "name",
    sorted(
        ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
        for path in [*SCRIPTS.glob("*.py"), *SCRIPTS.glob("benchmarks/*.py"), *SCRIPTS.glob("tables/*.py")]
    ),
)
def test_every_script_finds_what_it_imports(load, name):
    assert load(name).__doc__


@pytest.mark.parametrize("name", ["bench", "table"])
def test_every_kind_of_script_is_found_by_its_name(load, name, monkeypatch):
    kinds = load(name).KINDS
    for kind, module in kinds.items():
        assert inspect.signature(load(module).main).parameters["options"].annotation.__doc__, kind
    run = load("benchmarks.commands").run
    monkeypatch.setattr("sys.argv", [f"scripts/{name}.py", "nothing"])
    with pytest.raises(SystemExit, match=f"KIND is one of(\n|.)*{next(iter(kinds))} +[A-Z]"):
        run(kinds)


@pytest.mark.slow
def test_the_first_step_of_a_tree_is_timed(load, tmp_path):
    bench = load("benchmarks.first_step")
    bench.write_synthetic_folder(tmp_path, count=8, size=(32, 32))
    options = bench.FirstStepOptions(against=SCRIPTS.parent, config=TINY_SMOOTH)
    assert 0 < bench.seconds_until_first_step(SCRIPTS.parent, options, tmp_path) < 600
    with pytest.raises(RuntimeError, match=r"took no step:\n.*batch"):
        bench.seconds_until_first_step(SCRIPTS.parent, dataclasses.replace(options, batch_size=0), tmp_path)


@pytest.mark.slow
def test_a_device_is_measured_network_by_network(load, tmp_path):
    bench = load("benchmarks.device")
    small = {"types": ("float32",), "sizes": ("48x32",), "crops": (2,), "crop": 32, "repeats": 2}
    bench.main(bench.DeviceOptions(networks=(TINY_SMOOTH,), out=tmp_path / "table.md", **small))
    rows = (tmp_path / "table.md").read_text().splitlines()
    number = r"\d+\.\d+"
    for work in ("forward 48x32", "step 2x32x32"):
        cells = ["tiny_smooth", work, "float32", number, f"{number} to {number}", number, "", "", number]
        row = r"\| " + r" \| ".join(cells) + r" \|"
        assert any(re.fullmatch(row, line) for line in rows), rows


@pytest.mark.slow
def test_twins_in_pytorch_are_measured_beside_it(load):
    pytest.importorskip("torch", reason="PyTorch (extra `bench`) is not installed")
    bench = load("benchmarks.device")
    options = bench.DeviceOptions(networks=("light",), sizes=("48x32",), crops=(2,), crop=32, repeats=2)
    rows = [row.markdown(None) for row in itertools.islice(bench.twin_rows(options), 4)]  # those not compiled
    kinds = list(itertools.product(("float32", "bfloat16"), ("forward 48x32", "step 2x32x32")))
    for row, (dtype, work) in zip(rows, kinds, strict=True):
        start = rf"\| light, torch \S+ eager \| {work} \| {dtype} \|"
        assert re.fullmatch(start + r" \d+\.\d+ \| \d+\.\d+ to \d+\.\d+ \| \d+\.\d+ \|  \|  \|  \|", row), row


def test_what_does_not_fit_is_named_and_the_rest_goes_on(load):
    bench = load("benchmarks.device")
    empty = bench.Row("light", "step 256x96x96", "float32", [])

    def raise_error(message):
        raise jax.errors.JaxRuntimeError(message)

    row = bench.if_it_fits(empty, lambda: raise_error("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes"))
    assert row.markdown(None) == "| light | step 256x96x96 | float32 | out of memory | | | | | |"
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        bench.if_it_fits(empty, lambda: raise_error("INTERNAL: something else"))


def test_shares_of_the_peak(load):
    bench = load("benchmarks.device")
    chip = bench.chip_of("NVIDIA H100 80GB HBM3")
    row = bench.Row("light", "step", "bfloat16", [0.5], 8, flops=989e12 / 8, traffic=3.35e12 / 5, memory=2**30)
    assert row.markdown(chip) == "| light | step | bfloat16 | 0.50000 | 0.50000 to 0.50000 | 16.0 | 25% | 40% | 1.00 |"


@pytest.mark.slow
def test_operations_of_a_step_are_profiled(load, capsys):
    profile = load("benchmarks.profile_step")
    profile.main(profile.ProfileOptions(TINY_SMOOTH, batch=2, steps=1, rows=30))
    rows = re.findall(
        r"^\| (forward|backward) (\S+) \| (\d+\.\d) \| (\d+\.\d)% \|$", capsys.readouterr().out, re.MULTILINE
    )
    assert ("backward", "conv/conv_general_dilated") in {row[:2] for row in rows}
    assert 90 < sum(float(row[3]) for row in rows) <= 100.5
    assert profile.group("jit(f)/transpose(jvp(N))/N.outputs/N/fusion2/local1/conv2/mul") == "backward conv/mul"


@pytest.mark.slow
def test_phases_of_a_run_are_distinguished(load):
    where = load("benchmarks.where")
    watch = where.run(load_config(TINY_SMOOTH), steps=3)
    assert {phase: len(seconds) for phase, seconds in watch.seconds.items()} == {
        **dict.fromkeys(("pipeline", "placing", "dispatch", "device", "logs"), 3),
        **dict.fromkeys(("saving", "written"), 1),
    }
    watch.seconds.update(pipeline=[5.0], placing=[1.0], dispatch=[1.0], device=[3.0], saving=[10.0])
    lines = where.table(watch, save_every=10)
    # Reading and placing take 6 s, of which the 4 s step hides all but 2 s; saving costs 1 s.
    assert "| 5000.00 | 5000.00 to 5000.00 | 2000.00 | 28.6% |" in lines[2]
    assert lines[7].endswith("| 1000.00 | 14.3% |")


def test_what_is_left_in_glare_is_a_difference_of_levels(load):
    glare = load("tables.glare")
    vi_y, ir = np.ones((60, 80), np.float32), np.zeros((60, 80), np.float32)
    vi_y[:, :20] = 0.2  # not saturated
    ir[20:30, 40:50] = ir[:, :20] = 1.0
    fused = np.full((60, 80), 0.5, np.float32)
    fused[20:30, 40:50] += 10 / 255
    assert glare.left_in_glare(fused, ir, vi_y) == pytest.approx(10, abs=1e-3)
    assert np.isnan(glare.left_in_glare(fused, ir, 0 * vi_y))


def test_the_share_of_fine_detail_is_that_of_a_known_spectrum(load):
    spectra = load("tables.path_spectra")
    x = np.arange(128) / 128
    waves = {cycles: np.broadcast_to(np.sin(2 * np.pi * cycles * x), (128, 128))[..., None] for cycles in (4, 40)}
    assert spectra.spectrum(waves[4])[1] < 1e-3 and spectra.spectrum(waves[40])[1] > 0.999
    curve, share = spectra.spectrum(waves[4] + waves[40])
    assert share == pytest.approx(0.5, abs=0.01)
    assert set(np.argsort(curve)[-2:]) == {2, 20}  # 4 / 128 and 40 / 128 cycles per pixel, rings of 1 / 64


@pytest.mark.slow
def test_costs_are_measured_row_by_row_and_continue(load, tmp_path):
    costs = load("tables.cost")
    options = costs.CostOptions(tmp_path, ("light",), ("JAX float32",), ("48x32",), repeats=1)
    costs.main(options)
    (row,) = json.loads((tmp_path / "rows.json").read_text()).values()
    assert row["parameters"] == 40997 and row["ms"] > 0 and row["GFLOP"] > 0
    (tmp_path / "rows.json").write_text(json.dumps({"light, JAX float32, 48x32": row | {"ms": 123.0}}))
    costs.main(options)
    assert "| 123 |" in (tmp_path / "cost.md").read_text()


@pytest.mark.slow
def test_the_leaderboard_continues_pair_by_pair(load, tmp_path, monkeypatch):
    robustness = load("tables.robustness")
    robustness_set = tmp_path / "streets"
    write_synthetic_folder(robustness_set, count=3, size=(48, 56))
    kinds = {"degradations": ("blur", "dead"), "weights": (("average", "maximum"),)}
    options = robustness.RobustnessOptions(tmp_path, tmp_path / "out", ("streets",), pairs=2, **kinds)
    robustness.main(options)
    text = (tmp_path / "out/robustness.md").read_text()
    assert "2 pairs" in text and "blur, infrared" in text and "| average |" in text
    monkeypatch.setattr(robustness, "stress_folders", None)
    robustness.main(options)
    assert (tmp_path / "out/robustness.md").read_text() == text


def test_contrast_of_a_person_is_signed_and_that_of_the_ring_around_the_box(load):
    script = load("tables.people_contrast")
    ir = np.full((60, 60), 0.3, np.float32)
    ir[20:40, 25:35] = 0.7
    box = (24, 18, 36, 42)
    half, inverted = 0.5 * ir, 1 - ir
    found = script.contrasts([ir, half, inverted, np.ones_like(ir)], ir, box)
    assert found == pytest.approx([102, 51, -102, 0], abs=1e-3)


@pytest.mark.slow
def test_people_are_measured_in_annotated_images(load, tmp_path, capsys):
    """The infrared image itself keeps all of the contrast; the visible one, which is flat, none."""
    ir = np.random.default_rng(0).integers(38, 43, (64, 64), np.uint8)  # not constant, which counts as empty
    ir[20:40, 25:35] = 200
    root = tmp_path / "llvip/test_dev"
    write_image(root / "ir/a.png", ir[..., None])
    write_image(root / "vi/a.png", np.full((64, 64, 3), 30, np.uint8))
    (root / "boxes").mkdir()
    (root / "boxes/a.json").write_text('[{"label": "person", "xyxy": [24, 18, 36, 42]}]')
    write_image(tmp_path / "others/llvip/test_dev/a.png", np.full((64, 64, 1), 30, np.uint8))
    others = (f"flat={tmp_path / 'others'}",)
    load("tables.people_contrast").main(load("tables.people_contrast").PeopleOptions(tmp_path, ("maximum",), others))
    said = capsys.readouterr().out
    assert "maximum: ratio 1.00 on average, at least 1.00, 1 of 1 >= 0.8" in said
    assert "flat: ratio 0.00 on average" in said
