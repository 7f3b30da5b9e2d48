"""What the package promises to everybody: names, and that importing it costs next to nothing."""

import importlib
import subprocess
import sys

import pytest

import fusejax

ROOMS = ("data", "inference", "losses", "metrics", "models", "training")


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_reachable_from_the_package(room):
    module = getattr(fusejax, room)
    assert module is importlib.import_module(f"fusejax.{room}")
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_importing_the_package_loads_no_jax():
    code = "import sys, fusejax; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="has no attribute 'fus'"):
        _ = fusejax.fus
