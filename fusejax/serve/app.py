"""The service: images in, a fused image out, by the same way as `fusejax fuse`.

Uploads are written to a temporary folder and fused by `fuse_folder`, so that a result has the bytes
that the command would write, and every check of the command holds. Requests are not put together in
batches, since a batch may differ from a single pair in the last bit.
"""

import asyncio
import dataclasses
import functools
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from fusejax import __version__
from fusejax.inference.backend import Backend
from fusejax.inference.folder import fuse_folder
from fusejax.io.image_headers import SUFFIXES, ImageError, image_size
from fusejax.io.pairing import size_text
from fusejax.serve.counts import Counts
from fusejax.serve.guard import Guard

_LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
_AGAIN = "send this one again later"
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "tif": "image/tiff"}


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """Limits of the service.

    Attributes:
        token: that requests must carry; None only for a service on loopback.
        most_bytes: largest request.
        most_pixels: largest image.
        timeout: seconds in which a request must arrive, for which it may wait for a worker, and in
            which it must then be fused.
        queue: requests that may wait; more are refused, to be sent again later.
        workers: pairs that are fused at the same time.
    """

    token: str | None = None
    most_bytes: int = 64_000_000
    most_pixels: int = 50_000_000
    timeout: float = 60.0
    queue: int = 64
    workers: int = 2


class _Refusal(Exception):
    """An answer that is no image."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status, self.text = status, text


def create_app(backend: Backend, options: ServeOptions | None = None) -> Any:
    """The service as an ASGI application.

    Args:
        backend: network, see `fusejax.load`.
        options: limits.

    Returns:
        A FastAPI application with POST /fuse, GET /health, GET /metrics and GET /openapi.json.

    Raises:
        ValueError: if FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI, File, Form, Response, UploadFile
        from fastapi.responses import PlainTextResponse
        from starlette.middleware.trustedhost import TrustedHostMiddleware
    except ImportError as error:
        raise ValueError("The service needs FastAPI and uvicorn: pip install 'fusejax[serve]'.") from error
    options, counts = options or ServeOptions(), Counts()
    pool = ThreadPoolExecutor(options.workers, thread_name_prefix="fuse")
    # The pages that FastAPI would serve at /docs load scripts from other servers.
    app = FastAPI(title="fusejax", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the service runs."""
        return {"status": "ok", "version": __version__, "weights": backend.name}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """Figures for Prometheus."""
        return counts.text()

    async def fuse(
        ir: UploadFile = File(description="infrared image, or a radiometric JPEG that holds both images"),  # noqa: B008
        vi: UploadFile | None = File(None, description="visible image"),  # noqa: B008
        ir_low: float | None = Form(None, description="infrared value that maps to black; with ir_high"),
        ir_high: float | None = Form(None, description="infrared value that maps to white"),
        ir_polarity: Literal["white", "black"] = Form("white", description="whether hot is white or black"),
        resize: Literal["ir"] | None = Form(None, description="`ir`: resample infrared to the visible size"),
        strength: float = Form(1.0, description="0 for the visible image, 1 for the network's result, up to 2"),
        style: Literal["fused", "overlay", "edges"] = Form("fused", description="overlay and edges use no network"),
        format: Literal["png", "jpg", "webp", "tif"] = Form("png", description="format of the fused image"),
    ) -> Response:
        """Fuses a pair; the answer is the image that `fusejax fuse` writes."""
        if (ir_low is None) != (ir_high is None):
            raise _Refusal(422, "give both ir_low and ir_high, or neither")
        chosen = "auto" if ir_low is None or ir_high is None else (ir_low, ir_high)
        with tempfile.TemporaryDirectory(prefix="fusejax-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            paths = [await _store(upload, folder / kind) for upload, kind in ((ir, "ir"), (vi, "vi")) if upload]
            for path in paths:
                _check_image(path, options.most_pixels)
            look = {"ir_polarity": ir_polarity, "strength": strength, "style": style, "resize": resize}
            work = functools.partial(_fuse, backend, folder, paths, format=format, ir_range=chosen, **look)
            loop, begun = asyncio.get_running_loop(), asyncio.Event()
            begin = functools.partial(loop.call_soon_threadsafe, begun.set)
            running = loop.run_in_executor(pool, _timed, work, begin, counts)
            try:
                await asyncio.wait_for(begun.wait(), options.timeout)
            except TimeoutError as error:
                running.cancel()
                raise _Refusal(503, f"no worker was free for {options.timeout:g} s; {_AGAIN}") from error
            try:
                data = await asyncio.wait_for(asyncio.shield(running), options.timeout)
            except TimeoutError as error:
                raise _Refusal(504, f"fusing took longer than {options.timeout:g} s; send smaller images") from error
        return Response(data, media_type=_TYPES[format])

    app.post("/fuse", response_class=Response, responses={200: {"content": {kind: {} for kind in _TYPES.values()}}})(
        fuse
    )

    _handle_errors_and_counts(app, counts, options)
    if options.token is None:
        # No page of another site can reach the service through a name of its own.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK)
    app.add_middleware(Guard, token=options.token, most_bytes=options.most_bytes, timeout=options.timeout)
    return app


def _handle_errors_and_counts(app: Any, counts: Counts, options: ServeOptions) -> None:
    """Answers refusals, counts requests, and refuses those for which there is no room."""
    from fastapi import Request, Response
    from fastapi.responses import JSONResponse

    @app.exception_handler(_Refusal)
    async def refuse(request: Request, error: _Refusal) -> JSONResponse:
        del request
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        return JSONResponse({"detail": error.text}, error.status, headers=headers)

    @app.middleware("http")
    async def count(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path != "/fuse":
            return await answer(request)
        began = time.perf_counter()
        # A request that would wait for longer than it may is told at once.
        likely = counts.waiting * counts.pair_seconds / options.workers
        if counts.waiting >= options.queue + options.workers or likely > options.timeout:
            counts.note(503, 0.0)
            text = f"{counts.waiting} requests are waiting; {_AGAIN}"
            return JSONResponse({"detail": text}, 503, headers={"Retry-After": "1"})
        counts.waiting += 1
        status = 500
        try:
            response = await answer(request)
            status = response.status_code
            return response
        finally:
            counts.waiting -= 1
            counts.note(status, time.perf_counter() - began)


async def _store(upload: Any, stem: Path) -> Path:
    """Writes an upload under a name of ours, with the suffix of its own."""
    suffix = Path(upload.filename or "").suffix.lower()
    if suffix not in SUFFIXES:
        named = f"{suffix} files are" if suffix else "a file without a suffix is"
        raise _Refusal(415, f"{stem.name}: {named} not accepted; send one of {', '.join(SUFFIXES)}")
    path = stem.with_suffix(suffix)
    with path.open("wb") as file:
        while chunk := await upload.read(2**20):
            file.write(chunk)
    return path


def _check_image(path: Path, most_pixels: int) -> None:
    """Refuses what is no image, or too large, from its header alone."""
    try:
        size = image_size(path)
    except (ImageError, OSError) as error:
        raise _Refusal(422, str(error).replace(f"{path.parent}/", "")) from error
    if size[0] * size[1] > most_pixels:
        raise _Refusal(413, f"{path.name} has {size_text(size)} pixels; at most {most_pixels / 1e6:g} megapixels")


def _timed(work: Callable[[], bytes], begin: Callable[[], Any], counts: Counts) -> bytes:
    """Runs in a worker; says that it has begun, and notes how long it took."""
    begin()
    start = time.perf_counter()
    try:
        return work()
    finally:
        counts.note_pair(time.perf_counter() - start)


def _fuse(backend: Backend, folder: Path, paths: list[Path], *, resize: Any, format: Any, **options: Any) -> bytes:
    """Fuses the files and reads the result."""
    target = folder / "fused" / f"fused.{format}"
    try:
        fuse_folder(paths[0], paths[1] if len(paths) > 1 else None, target, weights=backend, resize=resize, **options)
        return target.read_bytes()
    except (ValueError, OSError) as error:
        raise _Refusal(422, str(error).replace(f"{folder}/", "")) from error
