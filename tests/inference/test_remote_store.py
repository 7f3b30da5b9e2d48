"""Ray on a bucket, against an emulator of the store, with one worker killed."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fusing import save_tiny_weights

from fusejax.inference.folder import fuse_folder
from fusejax.io.images import write_image
from fusejax.io.remote import RemoteFolder

ray, psutil = pytest.importorskip("ray"), pytest.importorskip("psutil")
pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PAIRS = 100
SERVER = """
import time
from gcp_storage_emulator.server import create_server
server = create_server("localhost", 0, in_memory=True, default_bucket="bucket")
server.start()
print(server._api._httpd.server_address[1], flush=True)
time.sleep(1e6)
"""


@pytest.fixture
def bucket(monkeypatch):
    """The emulator, to which gs:// refers in this process and in those that it starts."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    address = f"http://localhost:{server.stdout.readline().strip()}"
    environment = {
        "STORAGE_EMULATOR_HOST": address,
        "FSSPEC_GCS_TOKEN": "anon",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield environment
    server.kill()
    server.wait()


def test_a_worker_killed_amid_a_bucket_loses_nothing(bucket, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for k in range(PAIRS):
        write_image(tmp_path / "ir" / f"{k:03d}.png", rng.integers(0, 256, (24, 32), np.uint8))
        write_image(tmp_path / "vi" / f"{k:03d}.png", rng.integers(0, 256, (24, 32, 3), np.uint8))
    weights = save_tiny_weights(tmp_path)
    fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "whole", weights=weights)
    for kind in ("ir", "vi"):
        folder = RemoteFolder(f"gs://bucket/pairs/{kind}")
        for path in (tmp_path / kind).iterdir():
            folder.store(path, path.name)
    out, killed = RemoteFolder("gs://bucket/fused"), []

    def kill_one():
        while not killed:
            if len(out.names()) >= 5:
                mine = psutil.Process().children(recursive=True)
                killed.extend([each for each in mine if "_fuse_chunks" in each.name() + "".join(each.cmdline())][:1])
                for each in killed:
                    each.kill()
            time.sleep(0.05)

    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, by which a busy machine stops them
    paths = {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": paths | bucket})
    try:
        from fusejax.cli.main import main

        threading.Thread(target=kill_one, daemon=True).start()
        main(["fuse", "--ir", "gs://bucket/pairs/ir", "--vi", "gs://bucket/pairs/vi", "--out", "gs://bucket/fused",
              "--engine", "ray", "--skip-existing", "--weights", weights])  # fmt: skip
    finally:
        ray.shutdown()
    assert killed
    for name in out.names():
        out.fetch(name, tmp_path / "parts" / name)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("*.png")}
    assert len(whole) == PAIRS
    assert {path.name: path.read_bytes() for path in (tmp_path / "parts").iterdir()} == whole
