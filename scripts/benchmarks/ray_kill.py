"""Fuses many small pairs on Ray while a worker is killed, and compares with a plain run.

python scripts/bench.py ray [--pairs 1000] [--size 96 64] [--workers 2]; it needs the
extra `ray`.
"""

import dataclasses
import os
import tempfile
import threading
import time
from pathlib import Path

import psutil
import tyro

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference.folder import fuse_folder
from fusejax.inference.options import FolderOptions
from fusejax.inference.ray_engine import fuse_on_ray


@dataclasses.dataclass(frozen=True)
class Kill:
    """What is fused.

    Attributes:
        pairs: number of pairs.
        size: width and height.
        workers: number of Ray's workers.
        weights: see `fusejax fuse`.
    """

    pairs: int = 1000
    size: tuple[int, int] = (96, 64)
    workers: int = 2
    weights: str = "light"


def files(folder: Path) -> dict[str, bytes]:
    """Content of all files."""
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def main(options: Kill) -> None:
    """Runs both and prints what came out."""
    import ray  # pyright: ignore[reportMissingImports] - an extra

    os.environ.setdefault("RAY_worker_niceness", "0")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_synthetic_folder(root, count=options.pairs, size=(options.size[1], options.size[0]))
        began = time.monotonic()
        fuse_folder(root / "ir", root / "vi", root / "plain", weights=options.weights)
        plain = time.monotonic() - began
        killed: list[int] = []

        def kill_one() -> None:
            while not killed:
                if len(list((root / "ray").glob("*.png"))) >= options.pairs // 2:
                    mine = psutil.Process().children(recursive=True)
                    busy = [each for each in mine if "_fuse_shard" in each.name() + "".join(each.cmdline())]
                    for each in busy[:1]:
                        each.kill()
                        killed.append(len(list((root / "ray").glob("*.png"))))
                time.sleep(0.01)

        paths = {"env_vars": {"PYTHONPATH": str(Path(__file__).parents[2]), "JAX_PLATFORMS": "cpu"}}
        ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False, runtime_env=paths)
        threading.Thread(target=kill_one, daemon=True).start()
        began = time.monotonic()
        given = {"ir": root / "ir", "vi": root / "vi", "out": root / "ray", "weights": options.weights}
        result = fuse_on_ray(**given, options=FolderOptions(skip_existing=True), align=None)
        seconds = time.monotonic() - began
        ray.shutdown()
        same = files(root / "plain") == files(root / "ray")
        number = len(files(root / "ray"))
    print(f"{options.pairs} pairs of {options.size[0]}x{options.size[1]} on {options.workers} workers")
    print(f"a worker was killed after {killed[0] if killed else '?'} files; {number} files are there")
    print(f"kept by the repeated task: {len(result.existing)}; bytes equal to a plain run: {same}")
    print(f"plain {plain:.1f} s, Ray {seconds:.1f} s")


if __name__ == "__main__":
    main(tyro.cli(Kill, description=__doc__))
