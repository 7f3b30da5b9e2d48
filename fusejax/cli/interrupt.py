"""Ctrl-C ends a command at once, also while a function compiles."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_GRACE_SECONDS = 2.0


@contextlib.contextmanager
def exit_on_interrupt(command: str) -> Iterator[None]:
    """Ends the process with status 130 if Python cannot react to an interrupt.

    A signal handler in Python runs only between two steps of the interpreter, so a compilation, one
    step that takes many seconds, delays it; a second Ctrl-C then arrives while the process shuts
    down and crashes it. The signal's number is therefore also written to a socket, and a thread
    that reads it ends the process if that has not happened after two seconds, or at the second
    signal. A command that handles the signal itself (`fusejax train`, which saves first) is left
    alone.

    Args:
        command: its name, for the message.
    """
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, command), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        writer.close()  # the thread reads the end of the stream


def _watch(reader: socket.socket, command: str) -> None:
    with reader:
        while received := reader.recv(1):
            if received[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                break
        else:
            return
        reader.settimeout(_GRACE_SECONDS)
        with contextlib.suppress(TimeoutError):
            while received := reader.recv(1):
                if received[0] == signal.SIGINT:
                    break
            else:
                return
        _exit(command)


def _exit(command: str) -> None:
    """Ends the process without the interpreter's shutdown, which would wait for the compilation."""
    print(f"fusejax {command}: interrupted.", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
