"""Loads a `fusejax serve` with many clients and prints errors, speed, memory and equality.

    python scripts/bench.py serve          # 50 clients, 2,000 requests of 640x480
    python scripts/bench.py serve --clients 8 --requests 100 --size 160 120

It starts the service on a free port of this machine, sends made-up pairs, and compares every answer
with the bytes that `fusejax fuse` writes. Memory is that of the service, from the system, after the
first tenth of the requests and at the end.
"""

import dataclasses
import http.client
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import tyro

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference.folder import fuse_folder

_COMMAND = "from fusejax.cli.main import main; main()"
_EDGE = "edge-of-the-benchmark"


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        clients: number of clients, each of which sends the next request after its answer.
        requests: number of all requests.
        size: width and height of the images.
        pairs: number of different pairs.
        weights: see `fusejax serve`.
        timeout: see `fusejax serve`.
    """

    clients: int = 50
    requests: int = 2000
    size: tuple[int, int] = (640, 480)
    pairs: int = 10
    weights: str = "light"
    timeout: float = 60.0


class Service:
    """A `fusejax serve` that runs while the block does."""

    def __init__(self, options: Load):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = ["serve", "--weights", options.weights, "--port", str(self.port), "--timeout", str(options.timeout)]
        self._process = subprocess.Popen([sys.executable, "-c", _COMMAND, *words])
        self._system = psutil.Process(self._process.pid)

    def __enter__(self) -> "Service":
        while not self._answers():
            if self._process.poll() is not None:
                raise RuntimeError("the service ended at once; its error is printed above")
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return self.send("GET", "/health")[0] == 200
        except OSError:
            return False

    def send(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and content of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, body, {"Content-Type": f"multipart/form-data; boundary={_EDGE}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def megabytes(self) -> float:
        """Memory of the service."""
        return self._system.memory_info().rss / 2**20


def form(ir: Path, vi: Path) -> bytes:
    """The body of a request."""
    parts = b""
    for name, path in (("ir", ir), ("vi", vi)):
        head = f'--{_EDGE}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n\r\n'
        parts += head.encode() + path.read_bytes() + b"\r\n"
    return parts + f"--{_EDGE}--\r\n".encode()


def main(options: Load) -> None:
    """Runs the load and prints one line per figure."""
    with tempfile.TemporaryDirectory() as temporary, Service(options) as service:
        root = Path(temporary)
        write_synthetic_folder(root, count=options.pairs, size=(options.size[1], options.size[0]))
        files = sorted((root / "ir").iterdir())
        bodies, wanted = [], []
        for ir in files:  # one at a time, as requests are
            vi = root / "vi" / ir.name
            fuse_folder(ir, vi, root / "out" / f"{ir.stem}.png", weights=options.weights)
            bodies.append(form(ir, vi))
            wanted.append((root / "out" / f"{ir.stem}.png").read_bytes())
        seconds, statuses, different = [], Counter(), 0
        memory, lock = [], threading.Lock()

        def request(number: int) -> None:
            nonlocal different
            k, began = number % len(bodies), time.perf_counter()
            try:
                status, data = service.send("POST", "/fuse", bodies[k])
            except OSError as error:
                status, data = type(error).__name__, b""
            with lock:
                seconds.append(time.perf_counter() - began)
                statuses[status] += 1
                different += status == 200 and data != wanted[k]
                if len(seconds) % max(1, options.requests // 10) == 0:
                    memory.append(service.megabytes)
                    print(f"{len(seconds)} answers, {memory[-1]:.0f} MB", flush=True)

        began = time.perf_counter()
        with ThreadPoolExecutor(options.clients) as pool:
            list(pool.map(request, range(options.requests)))
        wall = time.perf_counter() - began
        waiting = re.search(rb"fusejax_waiting (\d+)", service.send("GET", "/metrics")[1])
    print(f"{options.clients} clients, {options.requests} requests of {options.size[0]}x{options.size[1]}")
    print(f"answers by status: {dict(statuses)}; different from fusejax fuse: {different}")
    median, late = np.quantile(seconds, [0.5, 0.95])
    print(f"{options.requests / wall:.1f} requests/s; seconds per answer: median {median:.2f}, 95 % {late:.2f}")
    print(f"memory of the service: {memory[0]:.0f} MB after a tenth, {memory[-1]:.0f} MB at the end")
    print(f"left waiting: {int(waiting[1]) if waiting else '?'}")


if __name__ == "__main__":
    main(tyro.cli(Load, description=__doc__))
