"""Ctrl-C while the main thread is busy: it is acknowledged immediately, and a second one ends the
process.
"""

import signal
import subprocess
import sys

import pytest

# A busy main thread: Python's own handlers run only between two bytecodes of it.
BUSY = """
import ctypes, sys
from fusejax.training.interrupts import StopRequest
stop = StopRequest()
with stop.watch(lambda text: print(text, flush=True)):
    print("ready", flush=True)
    sys.stdin.readline() if len(sys.argv) < 2 else [ctypes.CDLL(None).poll(0, 0, 60_000) for _ in range(9)]
print("stopping", stop.reached(1), flush=True)
"""


def start(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_one_signal_is_answered_and_kept_for_the_end_of_the_step():
    process = start()
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline().startswith("stopping after this step, then saving")
    out, _ = process.communicate("\n", timeout=60)
    assert (out, process.returncode) == ("stopping True\n", 0)


def test_a_second_one_ends_the_process_even_inside_compiled_code():
    process = start("busy")
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline().startswith("stopping after this step")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "fusejax: stopped immediately, without saving\n")
