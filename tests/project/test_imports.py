"""What is loaded, and when: heavy packages only where they are needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow_datasets", "array_record", "grain", "orbax", "tensorstore", "onnx", "torch", "matplotlib", "av")


def loaded_after(code):
    """Top-level names of the modules that a fresh process has loaded after the code."""
    report = "import sys; print('loaded', *sorted({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", f"{code}\n{report}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_importing_the_library_loads_no_jax():
    assert not loaded_after("import fusejax") & {"jax", "flax", "numpy", *HEAVY}


@pytest.mark.slow
def test_fusing_arrays_loads_nothing_heavy():
    code = "import fusejax, numpy as np; x = np.zeros((16, 16), np.uint8); fusejax.fuse(x, x)"
    assert sorted(loaded_after(code) & set(HEAVY)) == []


@pytest.mark.slow
def test_the_command_fuse_loads_nothing_heavy(tmp_path):
    code = f"""
from pathlib import Path
from fusejax.cli.main import main
from PIL import Image
folder = Path({str(tmp_path)!r})
for name in ("ir", "vi"):
    Image.new("L", (32, 32), 90).save(folder / f"{{name}}.png")
main(["fuse", "--ir", str(folder / "ir.png"), "--vi", str(folder / "vi.png"), "--out", str(folder / "fused.png")])
"""
    assert sorted(loaded_after(code) & set(HEAVY)) == []
    assert (tmp_path / "fused.png").is_file()


@pytest.mark.slow
def test_flax_nnx_is_never_imported(tmp_path):
    """Two releases of JAX in 2026 broke it; linen was not affected."""
    config = ROOT / "tests" / "configs" / "tiny.py"
    code = f"""
from fusejax.config import load_config
from fusejax.training.loop import fit
import fusejax, numpy as np, sys
fit(load_config({str(config)!r}), {str(tmp_path)!r})
x = np.zeros((16, 16), np.uint8)
fusejax.load({str(tmp_path)!r}).fuse(x, x)
assert not [name for name in sys.modules if name.startswith("flax.nnx")]
"""
    assert {"flax", "orbax", "grain"} <= loaded_after(code)
