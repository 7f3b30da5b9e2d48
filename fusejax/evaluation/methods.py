"""Methods to score: a name, and what fuses or the folder with what it has fused."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusejax.evaluation.results import printable
from fusejax.inference.backend import Backend
from fusejax.inference.folder import fuse_folder
from fusejax.inference.foreign import split_options
from fusejax.inference.loading import weights_name
from fusejax.io.pairing import PairError

Given = Sequence[str | Path] | Mapping[str, str | Path]
"""NAME=PATH or PATH, or paths by name."""

GivenBackends = Sequence[str | Path | Backend] | Mapping[str, str | Path | Backend]
"""Likewise, for what `fusejax.load` loads; or backends."""


@dataclasses.dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: name in tables, unique among the methods of a study.
        weights: what fuses, see `fusejax.load`, or a backend; None for images that exist.
        folder: folder with the images that it has fused; None for `weights`.
    """

    name: str
    weights: str | Backend | None = None
    folder: Path | None = None


def name_methods(*, weights: GivenBackends = (), rules: Sequence[str] = (), folders: Given = ()) -> list[Method]:
    """Names methods, the same way for every command.

    NAME=PATH gives a name. Otherwise it is that of the folder or file without suffix; where several
    would have the same, it is the last part of their paths that differs.

    Args:
        weights: what fuses.
        rules: names of rules, likewise.
        folders: folders of fused images.

    Returns:
        The methods: weights, rules, folders, each in the order given.

    Raises:
        PairError: if a path is given twice, or two methods have the same name.
    """
    fusing = [*_named(weights), *_named(rules)]
    given = [*fusing, *_named(folders)]
    places = [_place(item) for name, item in given]
    unnamed = [place for (name, _), place in zip(given, places, strict=True) if not name]
    if len(set(unnamed)) < len(unnamed):
        raise PairError(f"The same method is given twice: {', '.join(unnamed)}.")
    found = dict(zip(unnamed, _distinct(unnamed), strict=True))
    names = [name or found[place] for (name, _), place in zip(given, places, strict=True)]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise PairError(f"Two methods are called {', '.join(repeated)}; give one another name: NAME={places[-1]}.")
    return [
        Method(name, weights=item) if n < len(fusing) else Method(name, folder=Path(str(item)))
        for n, (name, (_, item)) in enumerate(zip(names, given, strict=True))
    ]


def _named(given: GivenBackends) -> list[tuple[str, str | Backend]]:
    """Names, empty if none is given, and paths or backends."""
    if isinstance(given, Mapping):
        return [(name, str(item) if isinstance(item, Path) else item) for name, item in given.items()]
    return [_split(str(item)) if isinstance(item, str | Path) else ("", item) for item in given]


def _place(item: str | Backend) -> str:
    if not isinstance(item, str):
        return item.name
    return str(Path(item).resolve()) if Path(item).exists() else item


def _split(text: str) -> tuple[str, str]:
    """Name, empty if none is given, and path. A path that exists is one, whatever it contains."""
    match = re.fullmatch(r"([^=/:]+)=(.+)", text, re.S)
    return ("", text) if match is None or Path(text).exists() else (printable(match[1]), match[2])


def _distinct(paths: Sequence[str]) -> list[str]:
    """One name for each path, different from each other as far as the paths are."""
    parts = [_parts(path) for path in paths]
    base = [weights_name(path) for path in paths]
    names = list(base)
    for name in set(base):
        alike = [n for n, other in enumerate(base) if other == name]
        shortest = min(len(parts[n]) for n in alike)
        choices = [[parts[n][-depth] for n in alike] for depth in range(1, shortest + 1)]
        if len(alike) > 1 and (found := next((c for c in choices if len(set(c)) > 1), None)):
            for n, part in zip(alike, found, strict=True):
                names[n] = part
    depth = 1
    while len(set(names)) < len(names) and depth < max(map(len, parts)):  # the paths differ at several places
        depth += 1
        names = ["/".join(p[-depth:]) for p in parts]
    return [printable(name) for name in names]


def _parts(path: str) -> tuple[str, ...]:
    """Parts of a path; of weights that are no path, their name."""
    return split_options(path)[0].parts or (path,)


def fuse_methods(methods: Sequence[Method], ir: Path, vi: Path | None, out: Path, **options: Any) -> dict[str, Path]:
    """Folders with the fused images of methods; those with weights fuse into OUT/NAME first.

    Args:
        methods: the methods.
        ir: folder of infrared images.
        vi: folder of visible images; None if `ir` names both.
        out: folder for the fused images.
        **options: options of `fuse_folder`.

    Returns:
        Folder by name of the method.
    """
    folders = {}
    for method in methods:
        if method.weights is None:
            assert method.folder is not None
            folders[method.name] = method.folder
            continue
        folders[method.name] = out / method.name.replace("/", "_")
        fuse_folder(ir, vi, folders[method.name], weights=method.weights, **options)
    return folders
