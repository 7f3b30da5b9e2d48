"""Fusing a folder on the workers of a Ray cluster (extra `ray`).

Every task is one shard of the folder, see `fuse_folder`, so nothing but paths travels, and the
files are the bytes of a single call. A task whose worker dies is run again by Ray; with
`skip_existing` it keeps the files that are complete. All workers must see local folders under the
same paths; folders in object stores are read and written by each worker, see `fuse_remote`.
"""

import sys
from collections.abc import Iterator
from typing import Any

from fusejax.inference.folder import FusedFolder, fuse_folder
from fusejax.inference.options import FolderOptions
from fusejax.inference.remote import FusedRemote, fuse_chunks, joined
from fusejax.inference.remote_plan import Chunk, Places, plan_remote
from fusejax.io.remote import is_remote
from fusejax.progress import track

_TASKS_PER_WORKER = 4  # so that a slow one does not hold up the others
_ATTEMPTS = 5


def fuse_on_ray(*, options: FolderOptions, **given: Any) -> FusedFolder | FusedRemote:
    """Fuses the pairs of one `fuse_folder` call on a Ray cluster.

    The cluster is the one that the environment variable RAY_ADDRESS names, otherwise this machine.

    Args:
        options: see `fuse_folder`.
        **given: other arguments of `fuse_folder`; weights by name or path.

    Returns:
        The files that were written and kept, and the pairs that were skipped. Files that a lost
        worker had completed count as kept.

    Raises:
        ValueError: if Ray is not installed, if neither `overwrite` nor `skip_existing` says what to
            do about the files of a lost worker, and see `fuse_folder`.
        OSError: see `fuse_folder`.
    """
    if not (options.overwrite or options.skip_existing):
        raise ValueError("A task that is repeated meets its own files; give --skip-existing, or --overwrite.")
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError("The engine needs Ray: pip install 'fusejax[ray]'.") from error
    own = not ray.is_initialized()
    if own:
        ray.init(include_dashboard=False, log_to_driver=False)
    try:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        count = _TASKS_PER_WORKER * workers
        given, plan = given | {"options": options}, None
        if is_remote(given["ir"], given["vi"], given["out"]):
            places = Places.of(given.pop("ir"), given.pop("vi"), given.pop("out"))
            plan = plan_remote(places, options)
            task = ray.remote(max_retries=_ATTEMPTS)(_fuse_chunks)
            waiting = [task.remote(places, part, given) for k in range(count) if (part := plan.chunks[k::count])]
        else:
            task = ray.remote(max_retries=_ATTEMPTS)(_fuse_shard)
            waiting = [task.remote(given, (index, count)) for index in range(1, count + 1)]
        number = len(waiting)
        print(f"{number} tasks on {workers} workers", file=sys.stderr, flush=True)
        results = list(track(_finished(ray, waiting), number, description="fusing", unit="tasks"))
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, ValueError | OSError) else error) from None
    finally:
        if own:
            ray.shutdown()
    written = sorted(path for result in results for path in result.written)
    existing = sorted(path for result in results for path in result.existing)
    skipped = list(dict.fromkeys(line for result in results for line in result.skipped))
    if plan is not None:
        return joined(plan, FusedRemote(written, existing, skipped))
    return FusedFolder(written, existing, skipped)


def _finished(ray: Any, waiting: list[Any]) -> Iterator[Any]:
    """Results in the order in which they come."""
    while waiting:
        done, waiting = ray.wait(waiting)
        yield ray.get(done[0])


def _fuse_shard(given: dict[str, Any], shard: tuple[int, int]) -> FusedFolder:
    """Runs on a worker."""
    return fuse_folder(**given, shard=shard)


def _fuse_chunks(places: Places, chunks: list[Chunk], given: dict[str, Any]) -> FusedRemote:
    """Runs on a worker."""
    return fuse_chunks(places, chunks, **given)
