"""Child processes with virtual CPU devices."""

import os


def environment(devices: int) -> dict[str, str]:
    """This process's environment, with so many virtual CPU devices; other flags of XLA are kept."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}
