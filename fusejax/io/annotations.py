"""Object boxes, weak labels of a pair, read from annotation files.

Pascal VOC XML (M3FD, LLVIP), YOLO text, COCO JSON, JSON lists.
"""

import dataclasses
import functools
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from fusejax.io.annotation_files import READERS, AnnotationError, AnnotationWarning, coco_images

__all__ = ["AnnotationError", "AnnotationWarning", "Boxes", "find_annotation", "of_classes", "read_boxes"]


@dataclasses.dataclass(frozen=True)
class Boxes:
    """Object boxes of an image, in the order of the file.

    Attributes:
        labels: name of each object.
        xyxy: corners x1, y1, x2, y2 in pixels, inside the image.
    """

    labels: tuple[str, ...]
    xyxy: Float[np.ndarray, "n 4"]


def find_annotation(folder: str | Path, stem: str) -> Path | None:
    """The annotation file of the image `stem`, of any kind, or None.

    Suffixes count in any case, and accents in any Unicode form. If the image has no file of its
    own, a COCO file of the folder that lists it is returned.

    Raises:
        AnnotationError: if there are several.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return None
    own, shared = _listing(os.fspath(folder), folder.stat().st_mtime_ns)
    stem = unicodedata.normalize("NFC", stem)
    paths = own.get(stem, ())
    paths = paths or [path for path in shared if stem in coco_images(path)]
    if len(paths) > 1:
        raise AnnotationError(f"{paths[0]} and {paths[1].name} annotate the same image; keep one of them.")
    return paths[0] if paths else None


@functools.lru_cache(maxsize=64)
def _listing(folder: str, changed: int) -> tuple[dict[str, list[Path]], list[Path]]:  # noqa: ARG001 - a key
    """Annotation files by stem, and those that are COCO files of a whole folder."""
    own: dict[str, list[Path]] = {}
    for suffix in READERS:
        for path in sorted(Path(folder).iterdir()):
            if path.suffix.lower() == suffix and path.is_file() and not path.name.startswith("."):
                own.setdefault(unicodedata.normalize("NFC", path.stem), []).append(path)
    files = [path for paths in own.values() for path in paths if path.suffix.lower() == ".json"]
    return own, [path for path in files if len(coco_images(path)) > 1]


def read_boxes(
    path: str | Path, *, size: tuple[int, int], classes: Sequence[str] | None = None, stems: Sequence[str] = ()
) -> Boxes:
    """Reads the boxes of one image; the suffix of the file determines its kind.

    .xml: Pascal VOC, bndbox in pixels as written (no shift by one). .txt: YOLO, `class cx cy w h`
    with center and sides as fractions of the image and classes counted from 0; a confidence is
    ignored, and of a polygon the bounds are used. .json: COCO, or a list of {label, xyxy} in
    pixels.

    VOC and COCO files that state another size of the image with the same aspect ratio are scaled,
    with a warning. A box that lies up to one pixel outside is clipped, with a warning.

    Args:
        path: annotation file.
        size: (height, width) of the image in pixels.
        classes: allowed names, ignoring case; labels are returned in this spelling. For YOLO, the
            class numbers are indices into them. None allows any name; for YOLO, it means the lines
            of a classes.txt next to the file.
        stems: names of the image without suffix, for COCO files of several images; the first that
            the file lists is used. By default that of the file.

    Returns:
        The boxes, in the order of the file.

    Raises:
        AnnotationError: if the file is missing, of an unknown kind or malformed, was made for an
            image of another aspect ratio, or if a box has an unknown class or no area or lies
            outside the image; the message names the file and the line or box.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise AnnotationError(f"{path}: unknown annotation format; expected one of {', '.join(READERS)}.")
    if not path.is_file():
        raise AnnotationError(f"{path}: the file does not exist.")
    spelling = {name.lower(): name for name in classes or ()}
    labels, corners = [], []
    for where, label, xyxy in READERS[path.suffix.lower()](path, size, classes, stems or (path.stem,)):
        if classes is not None and label.lower() not in spelling:
            raise AnnotationError(f"{where}: class {label!r} is unknown; expected one of {', '.join(classes)}.")
        labels.append(spelling.get(label.lower(), label))
        corners.append(xyxy)
    return Boxes(tuple(labels), np.array(corners, np.float32).reshape(-1, 4))


def of_classes(labels: Sequence[str], classes: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Which labels are among the classes, ignoring case; all if no class is given."""
    wanted = {name.lower() for name in classes}
    return np.array([not wanted or label.lower() in wanted for label in labels], bool)
