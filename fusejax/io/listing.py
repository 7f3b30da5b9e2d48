"""The images of a folder."""

from collections import Counter
from pathlib import Path

from fusejax.io.images import SUFFIXES
from fusejax.io.pair_names import PairError, stem_of

_SHOWN = 8


def list_images(folder: str | Path) -> dict[str, Path]:
    """Lists the image files of a folder.

    Args:
        folder: folder to list; its subfolders are not searched.

    Returns:
        Paths by file stem (Unicode NFC), sorted.

    Raises:
        PairError: if the folder is missing or has no images, or if a stem occurs twice.
    """
    images, repeated = scan_folder(Path(folder))
    if repeated:
        raise PairError(f"{next(iter(repeated.values()))}.")
    return images


def check_folder(folder: Path) -> None:
    """Raises PairError if a path is not a folder; the message says what it is."""
    if folder.is_dir():
        return
    raise PairError(f"{folder} is a file; expected a folder." if folder.exists() else f"{folder} does not exist.")


def scan_folder(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Images by stem, and messages about stems that occur more than once."""
    images: dict[str, Path] = {}
    repeated: dict[str, str] = {}
    for path in images_of(folder):
        stem = stem_of(path)
        if stem in images:
            repeated[stem] = f"{images[stem]} and {path} share the stem {stem!r}; keep one of them"
        images[stem] = path
    return images, repeated


def images_of(folder: Path) -> list[Path]:
    """Image files of a folder, sorted; raises PairError if there are none."""
    check_folder(folder)
    found = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise PairError(f"{folder} has no images ({', '.join(SUFFIXES)}); {_contents(folder)}")
    return found


def _contents(folder: Path) -> str:
    """Describes the content of a folder without images, with advice."""
    entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
    folders = sorted(p.name for p in entries if p.is_dir())
    kinds = Counter(p.suffix.lower() or "no suffix" for p in entries if not p.is_dir())
    held = [f"{n} file{'s' * (n > 1)} with {suffix}" for suffix, n in kinds.most_common(_SHOWN)]
    if folders:
        more = ", ..." if len(folders) > _SHOWN else ""
        held.append(f"the folder{'s' * (len(folders) > 1)} {', '.join(folders[:_SHOWN])}{more}")
    if not held:
        return "it is empty."
    advice = " Convert the files to png or tif." if kinds else ""
    advice += " Give one of the folders, or search them with --recursive (fusejax fuse)." if folders else ""
    return f"it contains {' and '.join(held)}.{advice}"
