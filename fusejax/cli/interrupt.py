"""Makes Ctrl-C end a command at once, even while a function is being compiled."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

INTERRUPTED = 130  # 128 + SIGINT, as in shells
_GRACE_SECONDS = 2.0


@contextlib.contextmanager
def exit_on_interrupt(command: str) -> Iterator[None]:
    """Ends the process with status 130 if Python cannot react to an interrupt.

    A Python signal handler runs only between two steps of the interpreter. A compilation is a
    single step that can take many seconds and delays the handler; a second Ctrl-C then arrives
    while the process is shutting down and crashes it. Therefore the signal number is also written
    to a socket. A thread reads it and ends the process if the process is still running after two
    seconds, or at the second signal. Commands that handle the signal themselves (`fusejax train`,
    which saves first) are not affected.

    Args:
        command: name of the command, for the message.
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
        writer.close()  # ends the thread, which sees the end of the stream


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
    """Ends the process without shutting down the interpreter, which would wait for the
    compilation.
    """
    print(f"fusejax {command}: interrupted.", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)
