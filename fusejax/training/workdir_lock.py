"""One process per run: a lock file in its folder, local, shared or remote."""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from etils import epath

from fusejax.io.outputs import write_complete
from fusejax.io.run_log import is_remote

LOCK_FILE = "train.lock"
HEARTBEAT_SECONDS = 10.0
_PATIENCE_SECONDS = 2.5 * HEARTBEAT_SECONDS
_SETTLE_SECONDS = 0.2


class WorkdirInUse(ValueError):
    """Another process is training in this folder; the message names its host and process."""


@contextlib.contextmanager
def hold_workdir(workdir: epath.Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keeps other runs out of a folder while the block runs.

    The lock file contains host, process and a counter that its holder increments every ten seconds.
    If the holder was a process on this machine that is no longer alive, the lock is taken over
    immediately. A lock held on another machine is watched for 25 seconds and taken over if its
    counter does not change; clocks are not compared, and nothing waits longer than that. Two
    processes that take over the same dead lock within 0.2 seconds detect each other; in object
    stores, which cannot create a file exclusively, the same holds for two processes that start
    together.

    Args:
        workdir: folder to lock; it is created if needed.
        say: function that prints one line.

    Raises:
        WorkdirInUse: if the holder of the lock is alive.
        PermissionError: if the folder cannot be written to.
    """
    lock = _Lock(workdir / LOCK_FILE)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock.acquire(say)
    except OSError as error:
        message = f"Cannot write to {workdir} ({error}); get access or give another --workdir."
        raise PermissionError(message) from error
    stop = threading.Event()
    beating = threading.Thread(target=lock.beat, args=(stop,), daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join(timeout=HEARTBEAT_SECONDS)
        lock.release()


class _Lock:
    def __init__(self, path: epath.Path) -> None:
        self._path = path
        self._content: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "process": _process_identity(os.getpid()),
            "machine": _machine_identity(),
            "token": uuid.uuid4().hex,
            "beats": 0,
        }

    def acquire(self, say: Callable[[str], None]) -> None:
        if self._create():
            return
        if (holder := self._read()) is None:  # perhaps it is just being written
            time.sleep(_SETTLE_SECONDS)
            holder = self._read()
        if holder is not None and self._is_alive(holder, say):
            raise WorkdirInUse(
                f"{self._path.parent} is in use by process {holder.get('pid')} on host "
                f"{holder.get('host')}, which is training there; wait until it ends, stop it, or give "
                f"another --workdir. If no such process exists, delete {self._path}."
            )
        self._write()
        time.sleep(_SETTLE_SECONDS)
        if (winner := self._read()) is not None and winner.get("token") != self._content["token"]:
            raise WorkdirInUse(f"{self._path.parent} has just been locked by process {winner.get('pid')}.")

    def beat(self, stop: threading.Event) -> None:
        """Increments the counter until `stop` is set; after a failure (a full disk) it tries again
        later.
        """
        while not stop.wait(HEARTBEAT_SECONDS):
            self._content["beats"] += 1
            with contextlib.suppress(OSError):
                self._write()

    def release(self) -> None:
        """Deletes the lock if it is still ours."""
        with contextlib.suppress(OSError):
            if (self._read() or {}).get("token") == self._content["token"]:
                self._path.unlink()

    def _create(self) -> bool:
        """Writes the lock if there is none; returns whether there was none."""
        if is_remote(self._path):
            if self._path.exists():
                return False
            self._write()
            time.sleep(_SETTLE_SECONDS)
            return (self._read() or {}).get("token") == self._content["token"]
        try:
            with Path(self._path).open("x") as file:  # atomic, also on NFS
                file.write(json.dumps(self._content))
        except FileExistsError:
            return False
        except OSError:
            self._path.unlink(missing_ok=True)  # an empty one, where the disk is full
            raise
        return True

    def _write(self) -> None:
        if is_remote(self._path):
            self._path.write_text(json.dumps(self._content))
            return
        write_complete(self._path, json.dumps(self._content))

    def _read(self) -> dict[str, Any] | None:
        """The content of the lock; None if it is gone or unreadable (because its writer was
        killed).
        """
        try:
            content = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _is_alive(self, holder: dict[str, Any], say: Callable[[str], None]) -> bool:
        if holder.get("machine") == self._content["machine"]:
            pid = holder.get("pid")
            return isinstance(pid, int) and _process_identity(pid) == holder.get("process")
        say(
            f"process {holder.get('pid')} on host {holder.get('host')} held this folder; "
            f"watching {_PATIENCE_SECONDS:.0f} s for a sign of life"
        )
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end:
            time.sleep(1)
            now = self._read()
            if now is None:
                return False
            if (now.get("token"), now.get("beats")) != (holder.get("token"), holder.get("beats")):
                return True
        return False


def _machine_identity() -> str:
    """Identity of the running kernel and its PID namespace, if the system reports them."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} {boot.read_text().strip()} {os.readlink(space)}"
    return socket.gethostname()


def _process_identity(pid: int) -> str | None:
    """Number and start time of a process, since numbers are reused; None if it is dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # alive, but owned by another user
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return f"{pid}"
    return None if fields[0] == "Z" else f"{pid} {fields[19]}"
