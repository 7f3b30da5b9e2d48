"""The `fusejax` program: dispatches to its commands and reports user errors in one line.

Each command's module is imported only when its `run` is accessed, so `fusejax --help` answers
immediately.
"""

import gc
import os
import signal
import sys
import traceback
import warnings
from types import ModuleType

from etils import epy

from fusejax import __version__
from fusejax.cli.interrupt import INTERRUPTED, end_quietly, exit_on_interrupt, leave_at_once
from fusejax.cli.streams import OutputLost, discard_output, guard_streams
from fusejax.options import did_you_mean
from fusejax.plugins import load_plugins, split_plugins

with epy.lazy_imports():
    from fusejax.cli import (
        ablate,
        align,
        blind,
        compare,
        evaluate,
        export,
        fuse,
        import_torch,
        info,
        live,
        page,
        plan,
        register,
        report,
        serve,
        stress,
        train,
    )

# Each module has a function `run(arguments)`.
COMMANDS: dict[str, tuple[ModuleType, str]] = {
    "fuse": (fuse, "fuse a pair of images, two folders or two videos: --ir DIR --vi DIR --out DIR"),
    "register": (register, "bring infrared images onto the grid of visible ones: --ir DIR --vi DIR --out DIR"),
    "train": (train, "train a configuration, or resume a run: fusejax train CONFIG --workdir DIR --data.root DIR"),
    "evaluate": (evaluate, "score fused images, or weights, against the sources: --fused DIR --ir DIR --vi DIR"),
    "stress": (stress, "test methods on noise, blur, fog, misalignment: --weights A B --ir DIR --vi DIR --out DIR"),
    "compare": (compare, "rank weights, fusion rules and other methods' results: --data-root DIR --out DIR"),
    "blind": (blind, "judge methods by eye, without their names: --fused NAME=DIR ... --ir DIR --vi DIR --out DIR"),
    "live": (live, "fuse cameras, streams or files as they come: --ir SOURCE --vi SOURCE"),
    "serve": (serve, "a web service that fuses pairs of images: fusejax serve --port 8000"),
    "info": (info, "parameters, FLOPs and the resolved settings of a configuration: fusejax info CONFIG"),
    "plan": (
        plan,
        "memory, FLOPs and collectives of a step on devices you do not have: fusejax plan CONFIG --devices 256",
    ),
    "align": (
        align,
        "select and correct foreign pairs by Top-k channel alignment: --target DIR --auxiliary DIR --out DIR",
    ),
    "ablate": (ablate, "train and score variants: fusejax ablate CONFIG --data-root DIR --out DIR"),
    "report": (report, "plot and summarize the log of a run, finished or running: fusejax report WORKDIR"),
    "export": (
        export,
        "write weights as ONNX, StableHLO or safetensors: fusejax export --weights NAME --format onnx --out FILE",
    ),
    "page": (page, "write a web page that fuses in the browser: fusejax page --weights NAME --out DIR"),
    "import-torch": (
        import_torch,
        "convert the CrossFuse author's checkpoint: fusejax import-torch FILE.pth --out FILE.safetensors",
    ),
}

_WARNINGS_SHOWN = 10

# Tracing creates many objects that live on; at Python's own threshold (700 objects), looking
# through them takes a quarter of the time to trace AngularFuse's training step.
_COLLECT_AFTER = (100_000, 20)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command.

    User errors end the process with one message and status 2; FUSEJAX_TRACEBACK=1 also prints the
    traceback. An interrupt ends it with one line and status 130, except in `fusejax train`, which
    saves first.

    Args:
        arguments: words after `fusejax`; by default those of the process.

    Raises:
        SystemExit: with the exit status, unless it is 0.
    """
    if arguments is None:
        gc.set_threshold(*_COLLECT_AFTER)
        guard_streams()
        if sys.argv[1:2] != ["train"]:  # whose processes tell by such messages which of them was lost
            # XLA reports slow compilations as errors; what really fails is raised as an exception.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except SystemExit as end:
        if arguments is None and end.code == INTERRUPTED:  # Python would sometimes end itself with the signal
            sys.stdout.flush()
            os._exit(INTERRUPTED)
        raise
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        discard_output()
        sys.exit(1)
    except OutputLost as error:
        discard_output()
        print(f"fusejax: {_error_text(error)}", file=sys.stderr)
        sys.exit(2)
    finally:
        if arguments is None:
            end_quietly()


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return None
    if arguments[0] in ("-V", "--version"):
        print(f"fusejax {__version__}")
        return None
    if arguments[0] == "help":  # fusejax help [COMMAND]
        return _run([*arguments[1:2], "--help"])
    try:
        (command, *rest), files = split_plugins(arguments)
    except ValueError as error:
        sys.exit(f"fusejax: {error}")
    if command not in COMMANDS:
        meant = did_you_mean(command, COMMANDS)
        sys.exit(f"fusejax: unknown command {command!r}; expected one of {', '.join(COMMANDS)}{meant or '.'}")
    with exit_on_interrupt(command) as interrupt, warnings.catch_warnings():
        _print_warnings()
        try:
            with leave_at_once(command):
                run = COMMANDS[command][0].run
            load_plugins(files)
            if not {"-h", "--help"} & set(rest):
                from fusejax.inference.compilation import keep_compilations  # imports JAX

                keep_compilations()
            run(rest)
        except BaseException as error:
            if interrupt.is_cause_of(error):
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second interrupt would crash the shutdown
                print(f"fusejax {command}: interrupted.", file=sys.stderr)
                sys.exit(INTERRUPTED)
            if isinstance(error, BrokenPipeError | OutputLost) or not isinstance(error, ValueError | OSError):
                raise
            if os.environ.get("FUSEJAX_TRACEBACK"):
                traceback.print_exc()
            print(f"fusejax {command}: {_error_text(error)}", file=sys.stderr)
            sys.exit(2)


def _usage() -> str:
    lines = (f"  {name:14}{text}" for name, (_, text) in COMMANDS.items())
    head = "usage: fusejax COMMAND [options]; fusejax help COMMAND; fusejax --version\n"
    tail = "\nEvery command also takes --plugin FILE.py, which adds networks, losses or metrics of your own."
    return "\n".join([head, *lines, tail])


def _error_text(error: ValueError | OSError) -> str:
    """The error message; system errors are shown without their number."""
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        return f"{named}{error.strerror}."
    return str(error)


def _print_warnings() -> None:
    """Shows each warning as one line, and at most `_WARNINGS_SHOWN` of them."""
    shown = 0

    def show(message, category, filename, lineno, file=None, line=None):  # noqa: ARG001 - Python's own signature
        nonlocal shown
        shown += 1
        if shown <= _WARNINGS_SHOWN:
            more = " (further warnings are not shown)" if shown == _WARNINGS_SHOWN else ""
            print(f"warning: {message}{more}", file=sys.stderr, flush=True)

    warnings.showwarning = show


if __name__ == "__main__":
    main()
