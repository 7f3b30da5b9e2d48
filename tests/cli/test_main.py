"""The `fusejax` command as a process: status, messages, pipes and interrupts."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fusejax import __version__
from fusejax.cli.main import COMMANDS, main

COMMAND = [sys.executable, "-c", "from fusejax.cli.main import main; main()"]


@pytest.mark.slow
def test_both_commands_from_the_shell(pairs, weights, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", "from fusejax.cli.main import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    sources = ("--ir", pairs / "ir", "--vi", pairs / "vi")
    result = run("fuse", *sources, "--out", tmp_path / "f", "--weights", weights)
    assert result.returncode == 0, result.stderr
    assert "fusing 3/3" in result.stderr
    result = run("evaluate", "--fused", tmp_path / "f", *sources, "--metrics", "EN", "SD", "--out", tmp_path / "s")
    assert result.returncode == 0, result.stderr
    assert "convention exact" in result.stdout
    result = run("fuse", *sources, "--out", tmp_path / "f", "--weights", weights)
    assert result.returncode == 2
    assert "already exist" in result.stderr
    assert run("melt").returncode == 1
    assert "usage: fusejax COMMAND" in run("--help").stdout


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_version(words, capsys):
    main(words)
    assert capsys.readouterr().out == f"fusejax {__version__}\n"


def test_help_lists_the_commands_and_explains_each(capsys):
    main(["help"])
    assert "import-torch" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["help", "fuse"])
    assert caught.value.code in (0, None)
    assert "--skip-existing" in capsys.readouterr().out


def test_help_of_fuse_loads_no_jax():
    code = "import contextlib, sys; from fusejax.cli.main import main\n"
    code += "with contextlib.suppress(SystemExit):\n    main(['fuse', '--help'])\n"
    code += "print('jax' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "False\n"


def test_a_closed_pipe_is_no_error():
    process = subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # before anything is written, as `head -0` does
    _, errors = process.communicate(timeout=120)
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--workdir=", "--seed", "1"]])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unset_variable_is_not_the_current_folder(command, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configured = {"train": "light", "plan": "light", "info": "light", "ablate": "angle"}
    with pytest.raises(SystemExit) as caught:
        main([command, *([configured[command]] if command in configured else []), *words])
    assert caught.value.code == 2
    assert f"{words[0].rstrip('=')} has an empty value; is a shell variable unset?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_no_option_can_mean_are_refused(capsys):
    fuse = "fuse --ir a --vi b --out c --rate inf"
    export = "export --weights light --format onnx --out a --size 1x99999"
    for words in (fuse, f"train light --workdir w --seed {2**70}", export):
        with pytest.raises(SystemExit) as caught:
            main(words.split())
        assert caught.value.code == 2
        assert re.search(r"--(rate|seed|size) is \S+; give ", capsys.readouterr().err)


def test_a_misspelled_command_is_named(capsys):
    with pytest.raises(SystemExit, match=r"unknown command 'fuze'; .*; did you mean 'fuse'\?"):
        main(["fuze"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        (">/dev/full", 2, "fusejax: standard output: No space left on device.\n"),
        (">&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("2>&-", 0, ""),
    ],
)
@pytest.mark.slow
def test_lost_output_is_named_and_lost_messages_change_nothing(redirection, status, said):
    script = "import sys; from fusejax.cli import fuse, main\n"
    script += "def run(_):\n    print('working', file=sys.stderr)\n    print('done')\n"
    script += "fuse.run = run; main.main()"
    command = f'"$0" -c "$1" fuse {redirection}'
    done = subprocess.run(["bash", "-c", command, sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr == ("" if redirection.startswith("2") else f"working\n{said}")
    assert done.stdout == ("done\n" if redirection.startswith("2") else "")


def test_the_package_runs_as_a_program():
    command = [sys.executable, "-m", "fusejax", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"fusejax {__version__}\n"


@pytest.mark.parametrize(("words", "given", "level"), [("fuse", None, "3"), ("fuse", "0", "0"), ("train", None, None)])
def test_slow_compilations_are_no_errors_to_users(monkeypatch, words, given, level):
    """XLA's messages are silenced before it is loaded, unless the user asks for them."""
    code = "import os; from fusejax.cli import main as m; m._run = lambda words: print(os.getenv(words[1])); m.main()"
    name = "TF_CPP_MIN_LOG_LEVEL"
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    command = [sys.executable, "-c", code, words, name]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == str(level)


def test_errors_of_the_system_are_one_line_that_names_the_file(monkeypatch, capsys):
    from fusejax.cli import fuse

    def fail(_):
        raise OSError(28, "No space left on device", "/data/out/a.png")

    monkeypatch.setattr(fuse, "run", fail)
    with pytest.raises(SystemExit) as caught:
        main(["fuse"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "fusejax fuse: /data/out/a.png: No space left on device.\n"


BUSY = """
import signal, sys, time
from fusejax.cli import fuse, main
signal.signal(signal.SIGINT, signal.default_int_handler)  # background shells ignore it
def busy(_):
    print("ready", flush=True)
    {work}
fuse.run = busy
main.main(["fuse"])
"""
WORK = {  # what the main thread does when the signal comes
    "python": "time.sleep(60)",
    "one long step": "[__import__('ctypes').CDLL(None).poll(0, 0, 60000) for _ in range(9)]",
}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("work", WORK)
def test_an_interrupt_is_one_line_and_status_130(work, times):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY.format(work=WORK[work])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    for _ in range(times):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    start = time.perf_counter()
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130
    assert errors == "fusejax fuse: interrupted.\n"
    assert time.perf_counter() - start < 50


IMPORTING = """
import signal, sys, time
from types import ModuleType
from fusejax.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
class Slow(ModuleType):  # a command whose import takes a while, inside compiled code that drops exceptions
    @property
    def run(self):
        print("ready", flush=True)
        try:
            time.sleep(60)
        except BaseException:
            pass
        raise ImportError("Encountered an error while initializing the extension.")
main.COMMANDS["fuse"] = (Slow("fuse"), "")
main.main(["fuse"])
"""
DROPPED = """
import gc, signal, sys, time
from fusejax.cli import fuse, main
signal.signal(signal.SIGINT, signal.default_int_handler)
def callback(phase, info):  # as JAX has one: Python drops what it raises
    if phase == "start" and not said:
        said.append(phase)
        print("ready", flush=True)
        time.sleep(60)
said = []
def run(_):
    gc.callbacks.append(callback)
    gc.collect()
    time.sleep(60)
fuse.run = run
main.main(["fuse"])
"""
REPLACED = """
import signal, sys, time
from fusejax.cli import fuse, main
signal.signal(signal.SIGINT, signal.default_int_handler)
def run(_):
    print("ready", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.2)
    raise RuntimeError("what compiled code makes of an interrupt")
fuse.run = run
main.main(["fuse"])
"""
ENDING = """
import atexit, signal, sys, time
from fusejax.cli import fuse, main
signal.signal(signal.SIGINT, signal.default_int_handler)
def last():  # as libraries have one that takes a while
    print("ready", flush=True)
    time.sleep(60)
atexit.register(last)
fuse.run = lambda _: None
sys.argv[1:] = ["fuse"]
main.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_of_the_shutdown_leaves_no_traceback():
    process = subprocess.Popen([sys.executable, "-c", ENDING], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=50)[1] == b""
    assert process.returncode == -signal.SIGINT  # 130 in a shell


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("code", [IMPORTING, DROPPED, REPLACED], ids=["importing", "dropped", "replaced"])
def test_an_interrupt_counts_where_its_exception_is_lost(code):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=50)
    assert (process.returncode, errors) == (130, "fusejax fuse: interrupted.\n")
