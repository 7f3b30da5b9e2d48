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


class Interrupt:
    """Whether an interrupt has been seen."""

    def __init__(self) -> None:
        self._seen = threading.Event()

    def note(self) -> None:
        """Records that there was an interrupt."""
        self._seen.set()

    def is_cause_of(self, error: BaseException) -> bool:
        """Whether an error is the interrupt or was caused by it, since compiled code replaces
        exceptions.
        """
        return isinstance(error, KeyboardInterrupt) or (self._seen.is_set() and not isinstance(error, SystemExit))


@contextlib.contextmanager
def leave_at_once(command: str) -> Iterator[None]:
    """Ends the process with status 130 on an interrupt while the block runs.

    This is for imports, where nothing has to be cleaned up: compiled modules that are interrupted
    during import raise ImportError or abort the process.

    Args:
        command: name of the command, for the message.
    """
    if not _is_raised():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: _exit(command))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def exit_on_interrupt(command: str) -> Iterator[Interrupt]:
    """Ends the process with status 130 if Python cannot react to an interrupt.

    A Python signal handler runs only between two steps of the interpreter. A compilation is a
    single step that can take many seconds and delays the handler; a second Ctrl-C then arrives
    while the process is shutting down and crashes it. Therefore the signal number is also written
    to a socket. A thread reads it and ends the process if the process is still running after two
    seconds, or at the second signal. This also covers exceptions raised inside JAX's garbage
    collector callback, where they are dropped. Commands that handle the signal themselves (`fusejax
    train`, which saves first) are not affected.

    Args:
        command: name of the command, for the message.

    Yields:
        Whether an interrupt has been seen.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield interrupt
        return
    with leave_at_once(command):  # starting a thread waits for it
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=_watch, args=(reader, command, interrupt), daemon=True).start()
    previous_hook = sys.unraisablehook
    sys.unraisablehook = lambda dropped: (
        None if issubclass(dropped.exc_type, KeyboardInterrupt) else previous_hook(dropped)
    )
    try:
        yield interrupt
    finally:
        sys.unraisablehook = previous_hook
        signal.set_wakeup_fd(previous)
        writer.close()  # ends the thread, which sees the end of the stream


def end_quietly() -> None:
    """Lets an interrupt end the process without a traceback while the interpreter shuts down."""
    if _is_raised():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_raised() -> bool:
    """Whether an interrupt raises KeyboardInterrupt and can be handled differently."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _watch(reader: socket.socket, command: str, interrupt: Interrupt) -> None:
    with reader:
        while received := reader.recv(1):
            if received[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                interrupt.note()
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
