"""Training pairs of two cameras that do not line up: registered as they are read."""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fusejax
from fusejax.data.folders import PairFolder
from fusejax.io.json_text import read_json
from fusejax.io.outputs import write_complete
from fusejax.io.pair_images import PairHeader, SourceOptions, read_pair
from fusejax.io.pairing import PairError, PairPaths, size_text
from fusejax.progress import track
from fusejax.registration.aligner import RegisterInfrared, RegistrationError, common_field, on_grid, warp_pixels
from fusejax.registration.choice import WORDS, register_by
from fusejax.registration.lens import NO_LENS, Lenses
from fusejax.typing import Pair

_READ = SourceOptions()


class RegisteredPairs:
    """Random-access source of a folder's pairs, on the visible grid and cut to their common field.

    All transforms are known before the first element is read: from a file, or found now and kept in
    the user's cache (`$XDG_CACHE_HOME`, by default `~/.cache`), so that a resumed run, another
    process or a worker neither waits for them nor finds other ones.

    Args:
        source: the folder, opened with `any_size`, without boxes.
        register: `auto`, `rig` or `pair`, see `fusejax.registration.choice.register_by`; the
            rig.json of `fusejax register --rig`; or a transforms.json, which gives each pair its
            own transform by name.
        min_side: least side of the common field in pixels.
        skip_bad: leave out pairs that cannot be registered, instead of raising.

    Attributes:
        source: the folder.
        sizes: height and width of the common field of each pair.
        skipped: one line per pair left out, by the folder or here.

    Raises:
        ValueError: if `register` is no word or usable file, or pairs do not agree on a rig.
        PairError: if a pair cannot be registered, or its common field is too small.
    """

    def __init__(self, source: PairFolder, register: str, *, min_side: int = 1, skip_bad: bool = False):
        self.source = source
        found, self._lens = _transforms(source, register)
        self._kept: list[tuple[int, np.ndarray]] = []
        self.sizes: list[tuple[int, int]] = []
        problems = []
        for number, (pair, header) in enumerate(zip(source.pairs, source.headers, strict=True)):
            matrix = found.get(pair.id, f"{register} has no transform of this name")
            size, problem = (0, 0), matrix if isinstance(matrix, str) else ""
            if not isinstance(matrix, str):
                size, problem = self._common(header, matrix, min_side)
                self._kept += [(number, matrix)] * (not problem)
                self.sizes += [size] * (not problem)
            if problem:
                problems.append(f"{pair.id}: {problem}")
        if problems and not skip_bad:
            more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise PairError(f"{problems[0]}{more}; set data.skip_bad to leave such pairs out.")
        if not self._kept:
            raise PairError(f"none of the {len(problems)} pairs can be registered: {problems[0]}.")
        self.skipped: Sequence[str] = [*source.skipped, *problems]

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Pair:
        number, matrix = self._kept[index]
        pair = self.source[number]
        pair["ir"], pair["vi"], *_ = on_grid(pair["ir"], pair["vi"], matrix, "common", lens=self._lens)
        return pair

    def _common(self, header: PairHeader, matrix: np.ndarray, least: int) -> tuple[tuple[int, int], str]:
        """Height and width of the field that both cameras see, and why it is too small."""
        known = self._lens.scaled(header.ir, header.vi)
        _, mask = warp_pixels(np.zeros((*header.ir, 1), np.uint8), matrix, header.vi, source=known.ir, target=known.vi)
        try:
            rows, columns = common_field(mask[..., 0])
        except RegistrationError as error:
            return (0, 0), str(error).rstrip(".")
        size = rows.stop - rows.start, columns.stop - columns.start
        return size, f"both cameras see {size_text(size)}, smaller than the crop of {least}" if min(
            size
        ) < least else ""


def _transforms(source: PairFolder, register: str) -> tuple[dict[str, np.ndarray | str], Lenses]:
    """By name, the matrix from a visible to an infrared pixel, or why there is none; the lenses."""
    if register not in WORDS and Path(register).is_file():
        values = read_json(register)
        if isinstance(values, dict) and "checksum" not in values:
            return _of_file(values, register), NO_LENS
    if register not in WORDS:  # a rig, or no file, which is said by name
        return _by(source, register)
    file = _cache_file(source.pairs, register)
    if file.is_file():
        return _of_file(read_json(file), str(file)), NO_LENS
    found, _ = _by(source, register)
    kept = {
        name: {"refused": one} if isinstance(one, str) else {"matrix": one.tolist(), "refused": ""}
        for name, one in found.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_complete(file, json.dumps(kept, indent=1) + "\n")
    _say(f"registration: the transforms of {len(found)} pairs are kept in {file}")
    return found, NO_LENS


def _by(source: PairFolder, register: str) -> tuple[dict[str, np.ndarray | str], Lenses]:
    step = register_by(register, lambda: source.pairs, say=_say)
    pairs = zip(source.pairs, source.headers, strict=True)
    if step.rig is None:
        pairs = track(pairs, len(source.pairs), description="registering", unit="pairs")
    return {pair.id: _one(step, pair, header) for pair, header in pairs}, step.lens


def _one(step: RegisterInfrared, pair: PairPaths, header: PairHeader) -> np.ndarray | str:
    if step.rig is not None:
        return step.rig.scaled(header.ir, header.vi).matrix  # pyright: ignore[reportAttributeAccessIssue] - read
    images = read_pair(pair, _READ)
    try:
        return step.transform(images.ir, images.vi)
    except RegistrationError as error:
        return str(error).rstrip(".")


def _of_file(values: Any, file: str) -> dict[str, np.ndarray | str]:
    found: dict[str, np.ndarray | str] = {}
    for name, one in values.items() if isinstance(values, dict) else ():
        if isinstance(one, dict) and one.get("refused"):
            found[name] = str(one["refused"])
            continue
        matrix = np.array(one.get("matrix") if isinstance(one, dict) else None, dtype=object)
        if matrix.shape != (3, 3):
            raise ValueError(f"{file}: {name} has no `matrix` of 3x3 numbers from a visible to an infrared pixel.")
        found[name] = matrix.astype(np.float64)
    if not found:
        raise ValueError(f"{file} holds no transforms; expected name -> matrix, as in transforms.json.")
    return found


def _cache_file(pairs: Sequence[PairPaths], register: str) -> Path:
    """Changes with the version, and with the time and size of any image."""
    files = [
        (pair.id, *((str(p.resolve()), p.stat().st_mtime_ns, p.stat().st_size) for p in (pair.ir, pair.vi)))
        for pair in pairs
    ]
    key = hashlib.sha256(json.dumps([fusejax.__version__, register, files]).encode()).hexdigest()[:16]
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fusejax" / "registration" / f"{key}.json"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
