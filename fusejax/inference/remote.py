"""Fusing folders in object stores, a few pairs at a time through a temporary folder.

A chunk of pairs is copied, fused by `fuse_folder`, and its files are copied back, the fused image
last: if it exists, so do the others.
"""

import contextlib
import csv
import dataclasses
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from fusejax.inference.backend import Backend
from fusejax.inference.folder import fuse_folder
from fusejax.inference.jobs import Shard
from fusejax.inference.loading import opened
from fusejax.inference.options import FolderOptions
from fusejax.inference.remote_plan import Chunk, Places, RemoteWork, plan_remote
from fusejax.io.align import Aligner
from fusejax.io.cameras import read_camera_layout
from fusejax.io.image_headers import read_header
from fusejax.io.pairing import PairError
from fusejax.io.remote import RemoteFolder
from fusejax.progress import track

_TRANSFERS = 8


@dataclasses.dataclass(frozen=True)
class FusedRemote:
    """Result of `fuse_remote`.

    Attributes:
        written: addresses of the fused images, sorted.
        existing: addresses of fused images that already existed and were kept.
        skipped: one line per skipped pair.
    """

    written: list[str]
    existing: list[str]
    skipped: list[str]


def fuse_remote(
    ir: str | Path,
    vi: str | Path | None,
    out: str | Path,
    *,
    weights: str | Path | Backend = "light",
    options: FolderOptions | None = None,
    align: Aligner | None = None,
    shard: Shard | None = None,
    **changes: Any,
) -> FusedRemote:
    """Fuses folders of which one or more are in an object store.

    If all pairs have one size, the files are the bytes that `fuse_folder` writes for local copies;
    otherwise they may differ by float rounding.

    Args:
        ir: folder of infrared images: gs://, s3:// or another address that fsspec knows, or local.
        vi: folder of visible images, likewise; None if `ir` holds both.
        out: folder for the fused images, likewise.
        weights: see `fuse_folder`.
        options: see `fuse_folder`.
        align: see `fuse_folder`.
        shard: (I, N): fuse every N-th chunk of 16 to 31 pairs.
        **changes: see `fuse_folder`.

    Returns:
        Addresses of the files that were written and kept, and the pairs that were skipped.

    Raises:
        ValueError: see `fuse_folder`; also for deep infrared images without a range.
        OSError: see `fuse_folder`; also if a store fails three times or is silent for a minute.
    """
    places, options = Places.of(ir, vi, out), dataclasses.replace(options or FolderOptions(), **changes)
    work = plan_remote(places, options, shard=shard)
    return joined(work, fuse_chunks(places, work.chunks, weights=weights, options=options, align=align))


def joined(work: RemoteWork, results: FusedRemote) -> FusedRemote:
    """The result of a call from its plan and what its chunks gave."""
    return FusedRemote(
        sorted(results.written), sorted({*work.existing, *results.existing}), [*work.skipped, *results.skipped]
    )


def fuse_chunks(
    places: Places,
    chunks: Sequence[Chunk],
    *,
    weights: str | Path | Backend,
    options: FolderOptions,
    align: Aligner | None = None,
) -> FusedRemote:
    """Fuses some chunks, one after the other.

    Args:
        places: the folders.
        chunks: see `plan_remote`.
        weights: see `fuse_folder`.
        options: see `fuse_folder`.
        align: see `fuse_folder`.

    Raises:
        ValueError: see `fuse_remote`.
        OSError: see `fuse_remote`.
    """
    written, existing, skipped = [], [], []
    if chunks:
        backend = opened(weights, tile=options.tile, memory=options.memory)
        for chunk in track(chunks, len(chunks), description="fusing", unit="chunks"):
            result = _fuse_chunk(places, chunk, backend, options, align)
            written += result.written
            existing += result.existing
            skipped += result.skipped
    return FusedRemote(written, existing, skipped)


def _fuse_chunk(
    places: Places, chunk: Chunk, backend: Backend, options: FolderOptions, align: Aligner | None
) -> FusedRemote:
    ir, vi, out = RemoteFolder(places.ir), RemoteFolder(places.vi or places.ir), RemoteFolder(places.out)
    one = places.vi is None
    with tempfile.TemporaryDirectory(prefix="fusejax-") as temporary, ThreadPoolExecutor(_TRANSFERS) as pool:
        folder = Path(temporary)
        targets = [pair.target for pair in chunk]
        there = list(pool.map(out.exists, targets)) if options.skip_existing else [False] * len(chunk)
        kept = [target for target, found in zip(targets, there, strict=True) if found]
        if len(kept) == len(chunk):
            return FusedRemote([], [out.url(name) for name in kept], [])
        files = {folder / "ir" / pair.ir: (ir, pair.ir) for pair in chunk}
        files |= {folder / ("ir" if one else "vi") / pair.vi: (vi, pair.vi) for pair in chunk}
        list(pool.map(lambda file: file[1][0].fetch(file[1][1], file[0]), files.items()))
        if options.ir_range == "auto":
            _check_depth([(folder / "ir" / pair.ir, ir.url(pair.ir)) for pair in chunk])
        _write_list(folder / "pairs.csv", chunk, one=one)
        below = PurePosixPath(chunk[0].target).parent
        local = folder / "out" / below
        # Pairs that exist take part in the decisions for the chunk, which comes out as it would
        # at once.
        for name in kept:
            local.mkdir(parents=True, exist_ok=True)
            (folder / "out" / name).touch()
        given = dataclasses.replace(
            options, ir_pattern=None, vi_pattern=None, recursive=False, overwrite=False, skip_existing=bool(kept)
        )
        try:
            with _warnings_about(folder, places):
                result = fuse_folder(folder / "pairs.csv", None, local, weights=backend, options=given, align=align)
        except (ValueError, OSError) as error:
            raise _renamed(error, folder, places) from error
        fused = {(below / path.relative_to(local)).as_posix(): path for path in result.written}
        beside = {
            (PurePosixPath(kind) / below / path.relative_to(local / kind)).as_posix(): path
            for kind in options.beside
            for path in sorted((local / kind).rglob("*"))
            if path.is_file()
        }
        for files_now in (beside, fused):
            list(pool.map(lambda file: out.store(file[1], file[0]), files_now.items()))
        lines = [_user_text(line, folder, places) for line in result.skipped]
    return FusedRemote([out.url(name) for name in fused], [out.url(name) for name in kept], lines)


def _check_depth(files: Sequence[tuple[Path, str]]) -> None:
    """Refuses images whose automatic range is that of the whole folder, which is not here."""
    for path, address in files:
        if read_camera_layout(path) is not None or read_header(path).bits > 8:
            raise PairError(
                f"{address} holds raw thermal values. Their automatic range is that of all images, which a remote "
                "folder would have to send twice; give --ir-range LOW HIGH."
            )


def _write_list(path: Path, chunk: Chunk, *, one: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["ir", "vi"])
        rows.writerows((f"ir/{pair.ir}", f"{'ir' if one else 'vi'}/{pair.vi}") for pair in chunk)


@contextlib.contextmanager
def _warnings_about(folder: Path, places: Places) -> Iterator[None]:
    """Lets warnings of a block name the files of the user instead of their copies."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        warnings.warn(_user_text(str(each.message), folder, places), each.category, stacklevel=2)


def _user_text(text: str, folder: Path, places: Places) -> str:
    """A text with the user's addresses instead of copies."""
    for kind, address in (("ir", places.ir), ("vi", places.vi or places.ir), ("out", places.out)):
        text = text.replace(f"{folder / kind}/", f"{RemoteFolder(address).address}/")
    return text


def _renamed(error: ValueError | OSError, folder: Path, places: Places) -> ValueError | OSError:
    """An error about the files of the user instead of their copies."""
    if isinstance(error, OSError) and error.filename is not None:
        return type(error)(error.errno, error.strerror, _user_text(str(error.filename), folder, places))
    return type(error)(_user_text(str(error), folder, places))
