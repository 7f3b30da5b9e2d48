"""Object boxes, weak labels of a pair, read from annotation files.

Pascal VOC XML (M3FD, LLVIP), YOLO text, JSON lists.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float

CLASSES_FILE = "classes.txt"

# YOLO files contain rounded fractions of the sides: edges may lie this far outside the image, in
# pixels.
_YOLO_ROUNDING = 0.5


class AnnotationError(ValueError):
    """An annotation file that cannot be used; the message names file and line or box."""


@dataclasses.dataclass(frozen=True)
class Boxes:
    """Object boxes of an image, in the order of the file.

    Attributes:
        labels: name of each object.
        xyxy: corners x1, y1, x2, y2 in pixels, inside the image.
    """

    labels: tuple[str, ...]
    xyxy: Float[np.ndarray, "n 4"]


# What a reader returns for each box: its location in the file, its label, x1, y1, x2, y2 in pixels.
_Found = tuple[str, str, Sequence[float]]


def find_annotation(folder: str | Path, stem: str) -> Path | None:
    """The annotation file of the image `stem`, of any kind, or None.

    Raises:
        AnnotationError: if there are several.
    """
    paths = [path for suffix in _READERS if (path := Path(folder) / f"{stem}{suffix}").is_file()]
    if len(paths) > 1:
        raise AnnotationError(f"{paths[0]} and {paths[1].name} annotate the same image; keep one of them.")
    return paths[0] if paths else None


def read_boxes(path: str | Path, *, size: tuple[int, int], classes: Sequence[str] | None = None) -> Boxes:
    """Reads the boxes of one image; the suffix of the file determines its kind.

    .xml: Pascal VOC, bndbox in pixels as written (no shift by one). .txt: YOLO, `class cx cy w h`
    with center and sides as fractions of the image and classes counted from 0. .json: a list of
    {label, xyxy} in pixels.

    Args:
        path: annotation file.
        size: (height, width) of the image in pixels.
        classes: allowed names, ignoring case; labels are returned in this spelling. For YOLO, the
            class numbers are indices into them. None allows any name; for YOLO, it means the lines
            of a classes.txt next to the file.

    Returns:
        The boxes, in the order of the file.

    Raises:
        AnnotationError: if the file is missing, of an unknown kind or malformed, or if a box has an
            unknown class or no area or lies outside the image; the message names the file and the
            line or box.
    """
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise AnnotationError(f"{path}: unknown annotation format; expected one of {', '.join(_READERS)}.")
    if not path.is_file():
        raise AnnotationError(f"{path}: the file does not exist.")
    spelling = {name.lower(): name for name in classes or ()}
    labels, corners = [], []
    for where, label, xyxy in _READERS[path.suffix.lower()](path, size, classes):
        if classes is not None and label.lower() not in spelling:
            raise AnnotationError(f"{where}: class {label!r} is unknown; expected one of {', '.join(classes)}.")
        _check_box(xyxy, where, size)
        labels.append(spelling.get(label.lower(), label))
        corners.append(xyxy)
    return Boxes(tuple(labels), np.array(corners, np.float32).reshape(-1, 4))


def of_classes(labels: Sequence[str], classes: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Which labels are among the classes, ignoring case; all if no class is given."""
    wanted = {name.lower() for name in classes}
    return np.array([not wanted or label.lower() in wanted for label in labels], bool)


def _check_box(xyxy: Sequence[float], where: str, size: tuple[int, int]) -> None:
    (x1, y1, x2, y2), (h, w) = xyxy, size
    shown = f"({x1:g}, {y1:g}, {x2:g}, {y2:g})"
    if not all(math.isfinite(value) for value in xyxy):
        raise AnnotationError(f"{where}: {shown} has values that are not finite.")
    if x2 <= x1 or y2 <= y1:
        raise AnnotationError(f"{where}: {shown} has no area; x1, y1, x2, y2 need x1 < x2 and y1 < y2.")
    if x1 < 0 or y1 < 0 or x2 > w or y2 > h:
        raise AnnotationError(f"{where}: {shown} is not inside the {w}x{h} image.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not a text file ({error.reason}).") from error


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:  # noqa: ARG002
        # Entities, including external ones, can only be declared here.
        raise AnnotationError("it declares a document type, which annotations do not need; remove it")


def _read_voc(path: Path, size: tuple[int, int], classes: Sequence[str] | None) -> Iterator[_Found]:  # noqa: ARG001
    try:
        root = ElementTree.parse(path, ElementTree.XMLParser(target=_NoDoctype())).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise AnnotationError(f"{path}: malformed XML ({error}).") from error
    for n, found in enumerate(root.findall("object"), start=1):
        where = f"{path}, box {n}"
        texts = {k: found.findtext(f"bndbox/{k}") for k in ("xmin", "ymin", "xmax", "ymax")}
        try:
            xyxy = [float(text or "") for text in texts.values()]
        except ValueError as error:
            raise AnnotationError(f"{where}: bndbox {texts} is not four numbers.") from error
        if not (label := (found.findtext("name") or "").strip()):
            raise AnnotationError(f"{where}: no name.")
        yield where, label, xyxy


def _read_yolo(path: Path, size: tuple[int, int], classes: Sequence[str] | None) -> Iterator[_Found]:
    names = _class_names(path) if classes is None else classes
    h, w = size
    for n, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {n}"
        try:
            index, (cx, cy, bw, bh) = int(line.split()[0]), map(float, line.split()[1:])
        except ValueError as error:
            raise AnnotationError(f"{where}: {line.strip()!r} is not `class cx cy w h`.") from error
        if not 0 <= index < len(names):
            raise AnnotationError(f"{where}: class {index} is unknown; there are {len(names)}: {', '.join(names)}.")
        xyxy = np.array([(cx - bw / 2) * w, (cy - bh / 2) * h, (cx + bw / 2) * w, (cy + bh / 2) * h])
        inside = np.clip(xyxy, 0, [w, h, w, h])
        yield where, names[index], (inside if np.abs(inside - xyxy).max() <= _YOLO_ROUNDING else xyxy).tolist()


def _class_names(path: Path) -> list[str]:
    """Class names for the numbers in a YOLO file, from the classes.txt next to it."""
    if not (file := path.with_name(CLASSES_FILE)).is_file():
        raise AnnotationError(f"{path}: its classes are numbers; put their names, one a line, into {file}.")
    return [line.strip() for line in _text(file).splitlines() if line.strip()]


def _read_json(path: Path, size: tuple[int, int], classes: Sequence[str] | None) -> Iterator[_Found]:  # noqa: ARG001
    try:
        entries = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise AnnotationError(f"{path}, line {error.lineno}: malformed JSON ({error.msg}).") from error
    if not isinstance(entries, list):
        raise AnnotationError(f"{path}: expected a list of {{label, xyxy}}, found {type(entries).__name__}.")
    for n, entry in enumerate(entries, start=1):
        label, xyxy = (entry.get(k) if isinstance(entry, dict) else None for k in ("label", "xyxy"))
        numbers = xyxy if isinstance(xyxy, list) and all(type(v) in (int, float) for v in xyxy) else []
        if not (isinstance(label, str) and label and len(numbers) == 4):
            raise AnnotationError(f"{path}, box {n}: {entry!r} is not a label and xyxy, four numbers.")
        yield f"{path}, box {n}", label, [float(value) for value in numbers]


_READERS = {".xml": _read_voc, ".txt": _read_yolo, ".json": _read_json}
