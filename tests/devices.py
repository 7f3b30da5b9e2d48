"""Child processes: `fusejax` without PyTorch, and virtual CPU devices."""

import os
import sys

# TensorBoard's writer imports PyTorch if it is installed, which takes a second and a half.
WITHOUT_TORCH = """
import sys


class NoTorch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("hidden", name=name)


sys.meta_path.insert(0, NoTorch)
from fusejax.cli.main import main
"""
COMMAND = [sys.executable, "-c", f"{WITHOUT_TORCH}main()"]


def environment(devices: int) -> dict[str, str]:
    """This process's environment, with so many virtual CPU devices; other flags of XLA are kept."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}
