"""A batch spread over eight devices has the same scores as on one.

Runs in a separate process, since the number of devices is fixed at startup.
"""

import subprocess
import sys

import pytest
from devices import environment

PROGRAM = """
import jax, numpy as np
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from fusejax.metrics import evaluate

assert jax.device_count() == 8
names = ("EN", "SD", "AG", "MI", "SCD", "Qabf", "SSIM")
rng = np.random.default_rng(0)
images = [rng.integers(0, 256, (8, 18, 20, 1)).astype(np.float32) / 255 for _ in range(3)]
alone = evaluate(*(jnp.asarray(x) for x in images), metrics=names)
mesh = Mesh(np.array(jax.devices()), ("data",))
spread = [jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))) for x in images]
together = evaluate(*spread, metrics=names)
for name in names:
    np.testing.assert_allclose(together[name], alone[name], rtol=2e-6, atol=1e-7, err_msg=name)
"""


@pytest.mark.slow
def test_eight_devices_score_as_one():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment(devices=8), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
