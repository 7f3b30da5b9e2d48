"""`fusejax live`: fuses two cameras, streams or files as they come."""

import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from fusejax.cli.parsing import parse
from fusejax.cli.registering import RegisterFlags, Registering
from fusejax.inference.loading import load
from fusejax.inference.options import check_tile, parse_memory
from fusejax.inference.pair_checks import check_strength
from fusejax.inference.styles import Style, check_style
from fusejax.inference.thermal import RangeOption
from fusejax.live.controls import Controls, Settings
from fusejax.live.http import HttpOutput
from fusejax.live.outputs import FileOutput, RawOutput, Recorder, WindowOutput
from fusejax.live.session import LiveOptions, Output, Session
from fusejax.live.sources import parse_source
from fusejax.live.statistics import Summary

_REPORT_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class LiveFlags:
    """Fuses two registered live sources; Ctrl-C ends it.

    A source is the number of a camera, a device such as /dev/video0, the address of a stream
    (rtsp://, http://, udp://), or a video file, which is played in real time. Every visible frame
    gets the latest infrared frame, so the rates may differ. Without another output, the result is
    served as a web page on this machine.

    Attributes:
        ir: infrared source.
        vi: visible source.
        http: HOST:PORT or PORT of a web page with the video, controls, snapshots and recording;
            port 0 is any free one. Other hosts than this machine get an address with a token. `off`
            for no page.
        out: video file to write, .mkv (lossless) or .mp4.
        raw: write the frames to standard output as RGB of 8 bits, without headers.
        window: show the frames in a window.
        record_dir: folder of the recordings that the page starts.
        weights: shipped name, .safetensors file, or folder of a finished run.
        resize: `ir` resamples each infrared frame to the size of the visible frame.
        ir_range: infrared values that map to black and white: LOW HIGH, `full`, or `auto`, which
            for raw thermal follows the scene and settles.
        ir_polarity: whether hot is white or black in the infrared frames.
        temporal: time constant in seconds with which the network's decision settles where nothing
            moves; 0 fuses every frame independently.
        strength: 0 shows the visible video, 1 the network's result, up to 2.
        style: `overlay` and `edges` show infrared over the visible video without the network.
        offset: seconds to add to the times of infrared frames, if one camera is slower.
        hold: seconds for which an infrared frame is held if no other comes; visible frames after
            that are dropped and counted.
        timeout: seconds without data after which a connection counts as lost and is made again.
        give_up: seconds without a pair of frames after which the command ends with an error.
        seconds: end after so many seconds.
        overwrite: replace an existing file of --out.
        tile: see `fusejax fuse`.
        memory: see `fusejax fuse`.
        registration: for two cameras that do not line up.
    """

    ir: str
    vi: str
    http: str | None = None
    out: Path | None = None
    raw: bool = False
    window: bool = False
    record_dir: Path = Path()
    weights: str = "light"
    resize: Literal["ir"] | None = None
    ir_range: RangeOption = "auto"
    ir_polarity: Literal["white", "black"] = "white"
    temporal: float = 0.0
    strength: float = 1.0
    style: Style = "fused"
    offset: float = 0.0
    hold: float = 0.5
    timeout: float = 5.0
    give_up: float = 30.0
    seconds: float | None = None
    overwrite: bool = False
    tile: str = "auto"
    memory: str | None = None
    registration: Registering = dataclasses.field(default_factory=RegisterFlags)


def live_command(flags: LiveFlags) -> Summary:
    """Runs a session until it ends or is interrupted.

    Args:
        flags: the command line.

    Returns:
        The figures of the session, which are also printed on standard error.

    Raises:
        ValueError: for wrong options, and see `Session.run`.
        OSError: if an output cannot be written.
    """
    _check(flags)
    ir, vi = parse_source(flags.ir), parse_source(flags.vi)
    if ir.url == vi.url:
        raise ValueError(f"--ir and --vi are both {flags.ir}; give the infrared and the visible source.")
    check_style(flags.style, strength=check_strength(flags.strength))
    controls = Controls(Settings(temporal=flags.temporal, strength=flags.strength, view=flags.style))
    options = LiveOptions(
        resize=flags.resize,
        ir_range=flags.ir_range,
        ir_polarity=flags.ir_polarity,
        offset=flags.offset,
        hold=flags.hold,
        timeout=flags.timeout,
        give_up=flags.give_up,
        align=flags.registration.stream_aligner(live=True),
    )
    check_tile(flags.tile)
    backend = load(flags.weights, tile=flags.tile, memory=parse_memory(flags.memory) if flags.memory else None)
    session = Session(ir, vi, backend, outputs=[], controls=controls, options=options)
    raw = _add_outputs(flags, session, controls)
    print("live: opening the sources and compiling the network", file=sys.stderr, flush=True)
    with _stopping(controls, flags.seconds), _reporting(session, raw):
        summary = session.run()
    print(f"live: {summary}", file=sys.stderr, flush=True)
    for source in (session.ir, session.vi):
        if source.breaks:
            print(f"live: {source.address.name} was lost {source.breaks} times", file=sys.stderr, flush=True)
    return summary


def _check(flags: LiveFlags) -> None:
    for name, low in (("temporal", 0.0), ("hold", 0.0), ("timeout", 0.1), ("give_up", 0.1)):
        if getattr(flags, name) < low:
            value = getattr(flags, name)
            raise ValueError(f"--{name.replace('_', '-')} is {value:g}; give a time in seconds, {low:g} or more.")
    if flags.seconds is not None and flags.seconds <= 0:
        raise ValueError(f"--seconds is {flags.seconds:g}; give a time above 0.")
    if flags.raw and sys.stdout.isatty():
        raise ValueError("--raw writes pixels to standard output, which is a terminal; send it to a program or file.")


def _add_outputs(flags: LiveFlags, session: Session, controls: Controls) -> RawOutput | None:
    """Adds the outputs to the session, which closes them; if one fails, closes the others."""
    raw = None
    with contextlib.ExitStack() as stack:

        def add(output: Output) -> None:
            session.outputs.append(output)
            stack.callback(output.close)

        if flags.out is not None:
            sources = [Path(text) for text in (flags.ir, flags.vi)]
            add(FileOutput(flags.out, overwrite=flags.overwrite, sources=sources))
        if flags.raw:
            raw = RawOutput(sys.stdout.buffer, broken=controls.stop)
            add(raw)
        if flags.window:
            add(WindowOutput("fusejax live", closed=controls.stop))
        if flags.http or (flags.http is None and not session.outputs):
            host, port = _host_and_port(flags.http or "8080")
            if port is not None:
                recorder = Recorder(flags.record_dir, controls)
                add(recorder)
                page = HttpOutput(host, port, controls=controls, statistics=session.statistics, recorder=recorder)
                add(page)
                print(f"live: {page.url}", file=sys.stderr, flush=True)
        stack.pop_all()
    return raw


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text == "off":
        return "", None
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"--http is {text!r}; give PORT, HOST:PORT or off.")
    return host.strip("[]") or "127.0.0.1", int(port)


@contextlib.contextmanager
def _stopping(controls: Controls, seconds: float | None) -> Iterator[None]:
    """Ends the session at an interrupt, at a request of the system, or after some seconds."""
    in_main = threading.current_thread() is threading.main_thread()
    kinds = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    before = {kind: signal.signal(kind, lambda *_: controls.stop.set()) for kind in kinds}
    timer = threading.Timer(seconds, controls.stop.set) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextlib.contextmanager
def _reporting(session: Session, raw: RawOutput | None) -> Iterator[None]:
    """Prints the recent figures every few seconds, and why a source is missing."""
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(_REPORT_SECONDS):
            lost = "; ".join(source.error for source in (session.ir, session.vi) if source.error)
            line = str(session.statistics.summary(recent=True)) + (f" (waiting for {lost})" if lost else "")
            print(f"live: {line}", file=sys.stderr, flush=True)

    threading.Thread(target=report, name="report", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if raw is not None and raw.dropped:
            session.statistics.drop("not read from standard output", raw.dropped)


def run(arguments: list[str]) -> None:
    """The command."""
    live_command(parse(LiveFlags, "live", arguments))
