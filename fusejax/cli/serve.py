"""`fusejax serve`: a web service that fuses pairs of images."""

import dataclasses
import os
import sys

from fusejax.cli.parsing import parse
from fusejax.inference.loading import load
from fusejax.inference.options import check_tile, parse_memory
from fusejax.serve.app import ServeOptions, create_app

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SHORTEST_TOKEN = 16


@dataclasses.dataclass(frozen=True)
class ServeFlags:
    """Serves fusion over HTTP: POST /fuse with the files `ir` and `vi` gives the fused image.

    Attributes:
        weights: shipped name, .safetensors file, or folder of a finished run.
        host: address to listen on; only this machine by default.
        port: port to listen on.
        token: secret that requests must carry as `Authorization: Bearer TOKEN`; needed for other
            hosts than this machine. The environment variable FUSEJAX_TOKEN is safer, since other
            users can see the words of a command.
        max_megabytes: largest request.
        max_megapixels: largest image.
        timeout: seconds in which a request must arrive, for which it may wait for a worker, and in
            which it must then be fused.
        queue: requests that may wait; more are answered with 503.
        workers: pairs that are fused at the same time.
        tile: see `fusejax fuse`.
        memory: see `fusejax fuse`.
    """

    weights: str = "light"
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    max_megabytes: float = 64.0
    max_megapixels: float = 50.0
    timeout: float = 60.0
    queue: int = 64
    workers: int = 2
    tile: str = "auto"
    memory: str | None = None


def serve_options(flags: ServeFlags) -> ServeOptions:
    """Checks the command line.

    Args:
        flags: the command line.

    Returns:
        The limits of the service.

    Raises:
        ValueError: for values that cannot be meant, and for a host without a token.
    """
    for name in ("max_megabytes", "max_megapixels", "timeout", "queue", "workers"):
        if getattr(flags, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(flags, name):g}; give a number above 0.")
    if not 0 <= flags.port <= 65535:
        raise ValueError(f"--port is {flags.port}; give a number from 0 to 65535.")
    token = flags.token or os.environ.get("FUSEJAX_TOKEN")
    if token is None and flags.host not in _LOOPBACK:
        raise ValueError(
            f"--host {flags.host} can be reached by others; set FUSEJAX_TOKEN to a secret that requests must carry."
        )
    if token is not None and len(token) < _SHORTEST_TOKEN:
        raise ValueError(f"the token has {len(token)} characters; use at least {_SHORTEST_TOKEN}, chosen at random.")
    return ServeOptions(
        token=token,
        most_bytes=round(flags.max_megabytes * 1e6),
        most_pixels=round(flags.max_megapixels * 1e6),
        timeout=flags.timeout,
        queue=flags.queue,
        workers=flags.workers,
    )


def run(arguments: list[str]) -> None:
    """The command."""
    flags = parse(ServeFlags, "serve", arguments)
    options = serve_options(flags)
    check_tile(flags.tile)
    limit = parse_memory(flags.memory) if flags.memory else None
    app = create_app(load(flags.weights, tile=flags.tile, memory=limit), options)
    import uvicorn

    print(f"serve: http://{flags.host}:{flags.port}/fuse", file=sys.stderr, flush=True)
    uvicorn.run(app, host=flags.host, port=flags.port, log_level="warning", timeout_keep_alive=5)
