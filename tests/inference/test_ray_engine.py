"""Fusing on several workers, of which one is killed, gives the files of one process."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fusing import save_tiny_weights

from fusejax.cli.main import main
from fusejax.inference.folder import fuse_folder
from fusejax.inference.options import FolderOptions
from fusejax.inference.ray_engine import fuse_on_ray
from fusejax.io.images import write_image

ray, psutil = pytest.importorskip("ray"), pytest.importorskip("psutil")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster():
    paths = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # 15 by default, by which a busy machine stops them
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=paths)
        yield
    ray.shutdown()


def make_pairs(root, number):
    rng = np.random.default_rng(0)
    for k in range(number):
        write_image(root / "ir" / f"{k:03d}.png", rng.integers(0, 256, (24, 32), np.uint8))
        write_image(root / "vi" / f"{k:03d}.png", rng.integers(0, 256, (24, 32, 3), np.uint8))


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    make_pairs(tmp_path, 60)
    weights = save_tiny_weights(tmp_path)
    whole = fuse_folder(tmp_path / "ir", tmp_path / "vi", tmp_path / "whole", weights=weights)
    killed = []

    def kill_one():
        while not killed:
            if len(list((tmp_path / "parts").glob("*.png"))) >= 5:
                mine = psutil.Process().children(recursive=True)
                killed.extend([each for each in mine if "_fuse_shard" in each.name() + "".join(each.cmdline())][:1])
                for each in killed:
                    each.kill()
            time.sleep(0.02)

    threading.Thread(target=kill_one, daemon=True).start()
    given = {"ir": tmp_path / "ir", "vi": tmp_path / "vi", "out": tmp_path / "parts", "weights": weights}
    parts = fuse_on_ray(**given, options=FolderOptions(skip_existing=True))
    assert killed
    assert len(parts.written) + len(parts.existing) == len(whole.written) == 60
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_errors_of_workers_are_those_of_one_process(cluster, tmp_path, capsys):
    make_pairs(tmp_path, 2)
    (tmp_path / "vi" / "000.png").write_bytes(b"no image")
    given = ["fuse", "--ir", str(tmp_path / "ir"), "--vi", str(tmp_path / "vi"), "--out", str(tmp_path / "out")]
    for words, text in (
        (["--skip-existing"], "000.png"),
        ([], "give --skip-existing"),
        (["--shard", "1/2"], "--shard"),
    ):
        with pytest.raises(SystemExit):
            main([*given, "--engine", "ray", *words])
        assert text in capsys.readouterr().err
